"""A value that rests on few, or on the patients it was learned from, says so."""

import pytest

from cds_engine.estimate.comparison import Compared, ValueTable
from cds_engine.estimate.doubly_robust import IN_SAMPLE
from cds_engine.estimate.value import ValueEstimate
from cds_engine.fit.marks import LEAST_N, few, marked
from cds_engine.replay.figures.settings import FigureSettings


def row(label: str, effective_n: float) -> Compared:
    value = ValueEstimate(label=label, estimate=1.0, standard_error=0.1, n=400, followers=30,
                          effective_n=effective_n, estimand="a mean", method="by weights",
                          notes=("as it was",))  # fmt: skip
    return Compared("regime", value, None)


def test_the_limit_is_that_of_a_replay() -> None:
    assert FigureSettings().least_effective_n == LEAST_N


@pytest.mark.parametrize(
    ("effective_n", "words"),
    [
        pytest.param(23.04, "rests on effective n 23.0; a replay refuses below 50", id="few"),
        pytest.param(49.9, "rests on effective n 49.9; a replay refuses below 50", id="just below"),
        pytest.param(50.0, "", id="the limit itself is enough"),
        pytest.param(float("nan"), "", id="a value without weights"),
    ],
)
def test_few_are_told_with_what_a_replay_does(effective_n: float, words: str) -> None:
    assert few(row("a", effective_n).value) == words


def test_marks_are_added_to_the_notes_of_each_value() -> None:
    table = ValueTable((row("learned here", 23), row("thin", 10), row("usual care", 400)), "lower")
    notes = [one.value.notes for one in marked(table, in_sample=["learned here"]).rows]
    assert notes == [
        ("as it was", IN_SAMPLE, "rests on effective n 23.0; a replay refuses below 50"),
        ("as it was", "rests on effective n 10.0; a replay refuses below 50"),
        ("as it was",),
    ]
