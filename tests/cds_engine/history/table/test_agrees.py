"""The table says in every row what the scalar history says, whatever the records look like."""

from typing import TYPE_CHECKING

import pytest
from builders.history_tables import Point, Takers
from builders.messy_records import (
    ACTIONS,
    DAYS,
    LATE,
    MESSY,
    POINTS,
    TIDY,
    VARIABLES,
    Mess,
    several,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from cds_engine.history.event import Record

KINDS = {"messy": MESSY, "late": LATE, "days": DAYS, "tidy": TIDY}


def agree(mess: Mess, most: int, data: st.DataObject) -> None:
    records: list[Record] = data.draw(several(mess, most))
    points: list[Point] = data.draw(POINTS)
    Takers(VARIABLES, ACTIONS).assert_agree(records, [(p % len(records), at) for p, at in points])


@pytest.mark.parametrize("mess", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_table_and_scalar_agree(mess: str, data: st.DataObject) -> None:
    agree(KINDS[mess], 12, data)


@pytest.mark.slow
@pytest.mark.parametrize("most", [3, 12, 30])
@pytest.mark.parametrize("mess", KINDS)
@settings(max_examples=1500, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_table_and_scalar_agree_on_many_records(mess: str, most: int, data: st.DataObject) -> None:
    agree(KINDS[mess], most, data)
