"""Where too few outcomes were seen the report and the terminal say what may help."""

import json
from typing import Any

import numpy as np
import pytest
from builders.command_line import run
from builders.replay_worlds import a_world, intensification, points_of

from cds_adapters.report.answers import as_json
from cds_adapters.report.replay_page import replay_page
from cds_adapters.report.ways_out import ways_out
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration

Json = dict[str, Any]
PLAIN = ReplaySettings().plain()


def unseen(state: str, settings: Json | None = None, **more: Any) -> Json:
    frame = points_of(a_world().draw(80, 4), intensification())
    frame["outcome.value"] = np.nan
    frame["outcome.state"] = state
    return figures_of(frame, intensification(), run={"settings": settings or PLAIN, **more})


def options(figures: Json) -> list[str]:
    return [option for option, _ in ways_out(figures)]


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ("absent", ["--horizon-from start", "--instant end", "--horizon", "--tolerance"]),
        ("pending", ["--horizon-from start", "--instant end", "--horizon", "--data-until"]),
        ("no-horizon", ["--horizon"]),
    ],
)
def test_the_options_that_may_help_are_those_for_what_lacks(state: str, named: list[str]) -> None:
    assert options(unseen(state)) == named


def test_what_the_run_was_told_already_is_not_named_again() -> None:
    told = ReplaySettings(end=True, from_start=True, tolerance=parse_duration("P60D"),
                          horizon=parse_duration("P6M")).plain()  # fmt: skip
    assert ways_out(unseen("absent", told)) == (
        ("--horizon", "another time than 6 months"),
        ("--tolerance", "how far from the horizon a measurement counts, now 60 days"),
    )
    scheduled = PLAIN | {"points": "schedule"}
    assert "--instant end" not in options(unseen("pending", scheduled))
    assert "--last" in options(unseen("pending", scheduled))


def vocabulary(patients: int) -> Json:
    """What a run tells of its variables; the outcome, sbp, is on record for so many."""
    names = intensification().base_variables
    held = [
        {"variable": name, "patients": n, "known": n, "units": {}, "missing": {}}
        for name, n in {**dict.fromkeys(names, 80), "sbp": patients}.items()
    ]
    return {"patients": 80, "variables": held}


def test_an_outcome_that_nobody_has_on_record_is_answered_with_the_codes_alone() -> None:
    found = unseen("absent", vocabulary=vocabulary(0))
    [(option, words)] = ways_out(found)
    assert option == "--site"
    assert words == (
        "settings whose [codes] map the local codes of Systolic blood pressure (sbp), found for no "
        "patient; if it is not in the export at all, export it. No other horizon or tolerance "
        "would find it"
    )
    assert found["value"]["refused"].endswith(
        "No patient has sbp on record, so that no other time to look for it would help."
    )
    page = replay_page(found)
    assert "<dt><code>--site</code></dt>" in page
    assert "<code>--tolerance</code>" not in page
    assert "--tolerance" in options(unseen("absent", vocabulary=vocabulary(1)))
    assert "No patient has" not in unseen("absent", vocabulary=vocabulary(1))["value"]["refused"]


def test_another_refusal_names_no_option_and_figures_say_which_it_is() -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(80, 4), bundle)
    assert ways_out(figures_of(frame, bundle)) == ()
    nobody = frame.assign(**{"taken.state": "pending"})
    refused = figures_of(nobody, bundle)
    assert refused["value"]["refused_for"] == "left-out"
    assert ways_out(refused) == ()
    assert unseen("absent")["value"]["refused_for"] == "outcomes"
    assert json.loads(as_json(unseen("absent")))["value"]["refused_for"] == "outcomes"


def test_the_page_names_them_and_says_so_first() -> None:
    text = replay_page(unseen("pending"))
    assert "Options that may help are named below." in text
    assert "<dt><code>--horizon-from start</code></dt>" in text
    assert "<code>--data-until</code>" in text


def test_the_options_exist() -> None:
    said = run("replay", "--help")
    for words in {*options(unseen("absent")), *options(unseen("pending")), "--last", "--site"}:
        assert words.split()[0] in said.out
