"""What two replays were asked differently is named, and so is why nothing is in both."""

from typing import Any

import pytest

from cds_adapters.report.replay_apart import differing, horizon_words, why_apart
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.settings import ReplaySettings

Figures = dict[str, Any]
Rows = dict[str, list[str]]


def figures(
    digest: str = "sha256:1", gaps: dict[str, str] | None = None, **settings: Any
) -> Figures:
    """Return of the figures of a run what tells how it was made."""
    run = {"data": "sha256:d", "gaps": gaps or {}, "cds_engine": "1", "semantics": 2}
    aim = {"outcome": "sbp", "at": "P9M"}
    return {
        "run": {**run, "settings": {**ReplaySettings().plain(), **settings}},
        "settings": FigureSettings().plain(),
        "bundle": {"identity": "care@1.0.0", "digest": digest, "aim": aim},
    }


def rows(*visits: str) -> Rows:
    """Return the keys of decisions, each written ``patient/encounter``."""
    pairs = [one.split("/") for one in visits]
    return {"key.patient": [p for p, _ in pairs], "key.encounter": [e for _, e in pairs]}


def test_runs_that_were_asked_alike_do_not_differ() -> None:
    assert differing(figures(), figures()) == []
    assert differing(figures(), figures(horizon="P9M")) == [], "it is what the aim says"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (figures(instant="end"),
         ("Instant of the decision", "start of the encounter", "end of the encounter")),
        (figures(horizon="P6M"), ("Horizon", "P9M", "P6M")),
        (figures(codes={"|k": ["loinc|1", "loinc|2"]}),
         ("Local codes of the site", "not set", "|k: loinc|1, loinc|2")),
        (figures(classes=["act|AMB"]), ("Only encounters of class", "all", "act|AMB")),
        (figures(accept_cut=True), ("Cut files accepted", "not set", "yes")),
        (figures(gaps={"a": "no Procedure", "b": "no Procedure"}),
         ("What the data lack", "nothing", "no Procedure")),
        (figures("sha256:2"), ("Rule bundle of this one name", "1", "2")),
    ],
)  # fmt: skip
def test_what_differs_is_named_with_both_values(other: Figures, told: tuple[str, ...]) -> None:
    assert differing(figures(), other) == [told]


def test_a_version_set_against_another_has_the_outcome_of_its_run() -> None:
    own = figures()["bundle"]
    against = {**own, "aim": {"outcome": "ldl", "at": "P3M"}}
    assert differing(figures(), {**figures(), "bundle": against, "own": own}) == []


@pytest.mark.parametrize(
    ("one", "other", "second", "words"),
    [
        (rows("p/1"), rows(), {}, "The second run has no decision at all."),
        (rows("p/1"), rows("q/1"), {}, "No patient is in both."),
        (rows("p/1"), rows("p/2"), {}, "but no encounter is: each run looked at others."),
        (rows("p/1"), rows("p/1"), {"offset": "PT1H"},
         "the start of an encounter and the second at the start, PT1H later, so that no decision"),
        (rows("p/1"), rows("p/1"), {}, "1 encounter is in both, but at other instants"),
        (rows("p/1"), rows("p/"), {"points": "schedule"},
         "The first run decided at encounters, the second at a schedule."),
    ],
)  # fmt: skip
def test_why_no_decision_is_in_both(
    one: Rows, other: Rows, second: dict[str, Any], words: str
) -> None:
    assert words in why_apart(one, other, (figures(), figures(**second)))


def test_two_schedules_without_an_instant_in_common() -> None:
    monthly = figures(points="schedule", every="P1M")
    assert why_apart(rows("p/"), rows("p/"), (monthly, monthly)).startswith("Their schedules")


def test_the_horizon_is_told_with_what_it_counts_from() -> None:
    assert horizon_words(figures(horizon_from="start")) == ("P9M", "the start")
    without: Figures = figures()
    without["bundle"]["aim"] = {"outcome": "sbp"}
    assert horizon_words(without) == ("", "")
