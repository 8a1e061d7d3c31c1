"""Columns are refused with the cure where they do not fit, and rounding is the referee's."""

import numpy as np
import pytest
from builders.bundles import a_document, a_stage, bundle_of
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.decide.table import Column, Table, decide_table, quantise
from cds_engine.errors import TableError
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.value import Span

BUNDLE = bundle_of(a_document())
TWO = np.array([1.0, 2.0])


@given(st.lists(st.floats(), max_size=50), st.integers(0, 9))
def test_quantise_is_the_referees_rounding_for_every_float(
    values: list[float], digits: int
) -> None:
    found = quantise(np.array(values, dtype=np.float64), digits).tolist()
    assert [repr(v) for v in found] == [repr(rounded(v, digits)) for v in values]


@given(st.lists(st.integers(-(10**9), 10**9), max_size=50), st.integers(0, 9))
def test_quantise_is_the_referees_rounding_on_and_beside_every_half(
    halves: list[int], digits: int
) -> None:
    at = np.array([(half + 0.5) / 10**digits for half in halves], dtype=np.float64)
    for values in (at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf)):
        assert quantise(values, digits).tolist() == [rounded(v, digits) for v in values.tolist()]


def test_a_row_comes_back_as_the_history_it_was() -> None:
    state = {"n0": 3.0, "n1": None, "n2": Span(0.5, 1.25, high_open=True), "b0": True, "b1": None,
             "letter": "is it in", "step": "none", "sex": None}  # fmt: skip
    table = Table.from_states(BUNDLE, [{}, state])
    assert {name: table.state(1)[name] for name in state} == state
    assert set(table.state(0).values()) == {None}


def test_a_variable_without_a_column_is_missing() -> None:
    decisions = decide_table(BUNDLE, Table({}, 2))
    assert decisions.decode(1).candidates == ("a0", "keep")


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("n0", Column(TWO[:1]), "n0: must have 2 rows, has the shape (1,)"),
        ("n0", Column(TWO.astype(np.int64)), "n0: is a number, so its values must be float64"),
        ("n0", Column(TWO.astype(np.float32)), "must be float64, not float32"),
        ("n0", Column(TWO, categories=("a",)), "n0: has categories, but is a number"),
        ("n0", Column(TWO, np.array([0, 1])), "n0: `missing` must be 2 truth values"),
        ("n0", Column(np.array([1.0, np.nan])), "NaN or an infinity in a row that is not marked"),
        ("n0", Column(TWO, spans={2: Span()}), "a span stands in a row that the table does not"),
        ("b0", Column(TWO), "b0: is a boolean, so its values must be bool, not float64"),
        ("b0", Column(TWO > 1, spans={0: Span()}), "only a number can be known as a span"),
        ("letter", Column(np.array([0, 1])), "letter: is a label, so it needs `categories`"),
        ("letter", Column(np.array([0, 2]), None, ("a", "b")), "codes outside its 2 categories"),
        ("letter", Column(np.array([-1, 0]), None, ("a", "b")), "codes outside its 2 categories"),
        ("letter", Column(np.array(["a", "b"]), None, ("a",)), "must be whole numbers (codes)"),
        ("strange", Column(TWO), "strange: the rule bundle reads no such variable"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(name: str, column: Column, words: str) -> None:
    with pytest.raises(TableError, match=r"the table does not fit drawn@1\.0\.0") as refused:
        decide_table(BUNDLE, Table({name: column}, 2))
    assert words in str(refused.value)


def test_all_that_does_not_fit_is_named_at_once() -> None:
    columns = {"n0": Column(TWO > 1), "n1": Column(TWO[:1])}
    with pytest.raises(TableError) as refused:
        decide_table(BUNDLE, Table(columns, 2, deceased=np.array([1, 0])))
    assert all(f"{name}: " in str(refused.value) for name in ("n0", "n1", "deceased"))


def test_what_stands_in_a_missing_row_or_under_a_span_does_not_count() -> None:
    nan = np.array([np.nan, np.inf, 7.0])
    number = Column(nan, np.array([True, False, False]), spans={1: Span(low=0.0)})
    letter = Column(np.array([9, -5, 0]), np.array([True, True, False]), categories=("a",))
    rule = [{"when": "n0 >= 3 and letter is a", "then": "a0"}, {"otherwise": "keep"}]
    bundle = bundle_of(a_document(stages=[a_stage(rule)]))
    decisions = decide_table(bundle, Table({"n0": number, "letter": letter}, 3))
    assert [decisions.decode(row).action for row in range(3)] == [None, None, "a0"]


def test_more_than_64_actions_are_refused() -> None:
    names = [f"a{at}" for at in range(65)]
    rule = [{"when": f"n0 == {at}", "then": name} for at, name in enumerate(names)]
    actions = {name: {"label": name} for name in [*names, "keep"]}
    document = a_document(actions=actions, stages=[a_stage([*rule, {"otherwise": "keep"}])])
    document["variables"]["step"] = {"from": "course", "take": "latest_action"}
    with pytest.raises(
        TableError, match="has 66 actions, and candidates are kept as 64 bits a row"
    ):
        decide_table(bundle_of(document), Table({}, 0))
