"""The table says in every row what the scalar history says, whatever the records look like."""

import pytest
from builders.history_tables import Takers
from builders.messy_records import ACTIONS, KINDS_OF_MESS, VARIABLES, draw_case
from hypothesis import given, settings
from hypothesis import strategies as st

TAKERS = Takers(VARIABLES, ACTIONS)
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("mess", KINDS_OF_MESS)
@settings(max_examples=4)
@given(seed=SEEDS)
def test_table_and_scalar_agree(mess: str, seed: int) -> None:
    TAKERS.assert_agree(*draw_case(seed, KINDS_OF_MESS[mess], records=40))


@given(seed=SEEDS)
@settings(max_examples=10)
def test_table_and_scalar_agree_on_a_single_record(seed: int) -> None:
    for mess in KINDS_OF_MESS.values():
        TAKERS.assert_agree(*draw_case(seed, mess, records=1))


@pytest.mark.slow
@pytest.mark.parametrize("mess", KINDS_OF_MESS)
@settings(max_examples=40)
@given(seed=SEEDS)
def test_table_and_scalar_agree_on_many_records(mess: str, seed: int) -> None:
    TAKERS.assert_agree(*draw_case(seed, KINDS_OF_MESS[mess], records=100))
