"""Of two versions each is valued, counted and compared as what it says itself, or refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.replay_worlds import a_world, intensification, points_of

from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.flips import flips, in_words
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.settings import ReplayError

Json = dict[str, Any]
N = 600
BUNDLE = intensification()
OTHER = intensification({"constant: -9.19711": "constant: -12.0"})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return points_of(a_world().draw(N, 4), BUNDLE, OTHER)


@pytest.fixture(scope="module")
def figures(frame: pd.DataFrame) -> Json:
    return told(frame)


def told(frame: pd.DataFrame, **settings: Any) -> Json:
    return figures_of(frame, BUNDLE, OTHER, FigureSettings(**settings))


def regime(figures: Json, key: str) -> Json:
    found: Json = next(one for one in figures["value"]["regimes"] if one["key"] == key)
    return found


def test_advice_that_the_first_version_does_not_offer_is_refused_not_usual_care(
    frame: pd.DataFrame,
) -> None:
    first = frame["decision.stage"] == "three_months"
    strange = frame.copy()
    strange.loc[first, ["against.outcome", "against.action"]] = ["recommendation", "add_ccb"]
    found = told(strange)
    assert "add_ccb" not in BUNDLE.stages[1].choose
    assert regime(found, "against")["refused"] == (
        "it advises what nobody took: Add amlodipine 5 mg once daily at Three months (600 patients)"
    )
    assert regime(found, "version")["refused"] is None
    pairs = {(one["of"], one["minus"]): one for one in found["value"]["differences"]}
    assert pairs[("against", "usual")]["refused"]
    for part in found["subgroups"]:
        assert all("against_minus_usual" not in one for one in part["groups"])


LISINOPRIL = "seen_as: [rxnorm|314076]"


@pytest.mark.parametrize(
    ("codes", "refused"),
    [
        pytest.param("seen_as: [rxnorm|314077]", True, id="another drug"),
        pytest.param("seen_as: [rxnorm|314076, rxnorm|314077]", False, id="one code more"),
    ],
)
def test_an_action_of_one_name_and_other_codes_is_told_and_refused_if_it_shares_none(
    codes: str, refused: bool
) -> None:
    other = intensification({"constant: -9.19711": "constant: -12.0", LISINOPRIL: codes})
    frame = points_of(a_world().draw(N, 4), BUNDLE, other)
    found = figures_of(frame, BUNDLE, other)
    [told] = found["second"]["recoded"]
    assert (told["action"], told["first"]) == ("add_ace", ["rxnorm|314076"])
    assert told["shares"] is not refused
    assert regime(found, "version")["refused"] is None
    assert regime(found, "against")["refused"] == (
        "it advises what the first version knows by other codes: Add lisinopril 10 mg once daily; "
        "what was taken is judged by the first's" if refused else None
    )  # fmt: skip


def test_the_same_codes_are_not_worth_a_word(figures: Json) -> None:
    assert figures["second"]["recoded"] == []


def test_one_patient_with_advice_that_cannot_be_valued_is_enough(frame: pd.DataFrame) -> None:
    one = frame.index[frame["decision.stage"] == "three_months"][5]
    strange = frame.copy()
    strange.loc[one, ["against.outcome", "against.action"]] = ["recommendation", "something_else"]
    assert regime(told(strange), "against")["refused"].endswith(
        "something_else at Three months (1 patients)"
    )


def test_advice_that_a_safeguard_rules_out_is_no_silence(frame: pd.DataFrame) -> None:
    barred = frame[(frame["decision.stage"] == "three_months") & (frame["potassium"] > 5.5)].index
    assert len(barred)
    strange = frame.copy()
    strange.loc[barred, "against.outcome"] = "recommendation"
    strange.loc[barred, "against.action"] = "add_ace"
    assert (
        f"({len(barred)} patients, for whom a safeguard of the replayed version rules it out)"
    ) in regime(told(strange), "against")["refused"]


def test_silence_is_usual_care_and_stays_so(frame: pd.DataFrame, figures: Json) -> None:
    silent = frame.copy()
    rows = silent.index[silent["decision.stage"] == "three_months"][:40]
    before = figures["value"]["cohort"]["against_usual_instead"]["three_months"]
    quiet = int((silent.loc[rows, "against.outcome"] == "abstention").sum())
    silent.loc[rows, ["against.outcome", "against.action"]] = ["abstention", None]
    found = told(silent)
    assert regime(found, "against")["refused"] is None
    assert found["value"]["cohort"]["against_usual_instead"]["three_months"] == before + 40 - quiet


def test_the_second_version_has_counts_of_its_own(frame: pd.DataFrame, figures: Json) -> None:
    alone = frame.drop(columns=[name for name in frame if str(name).startswith("decision.")])
    alone = alone.rename(columns=lambda name: name.replace("against.", "decision."))
    own = figures_of(alone, OTHER)
    for key in ("funnel", "outcomes", "spoken", "concordance", "abstentions", "lacking"):
        assert figures["second"][key] == own[key]
    assert figures["second"]["concordance"] != figures["concordance"]
    groups = {one["by"]: one["groups"] for one in figures["subgroups"]}["Sex"]
    wanted = {one["by"]: one["groups"] for one in own["subgroups"]}["Sex"]
    assert [one["against_share"] for one in groups] == [one["share"] for one in wanted]
    assert [one["share"] for one in groups] != [one["share"] for one in wanted]


def test_what_was_done_is_seen_with_the_catalogue_of_each_version(frame: pd.DataFrame) -> None:
    other = frame.copy()
    other["against.taken.action"], other["against.taken.state"] = None, "none"
    found = told(other)
    assert found["second"]["concordance"][-1]["decisions"] == 0
    assert found["concordance"][-1]["decisions"] > 0


def test_without_a_second_version_there_is_none_to_look_at(frame: pd.DataFrame) -> None:
    with pytest.raises(ReplayError, match="no second version to look at; replay with --against"):
        _ = DecisionPoints.of(frame, BUNDLE).second


def test_small_flips_of_a_group_are_held_back_with_what_gives_them_away(
    frame: pd.DataFrame,
) -> None:
    groups = told(frame, smallest_cell=147)["flips"]["groups"]["Sex"]
    counts = [one["flipped"] for one in told(frame)["flips"]["groups"]["Sex"]]
    assert min(counts) < 147 < max(counts)
    assert [one["flipped"] for one in groups] == [None, None]
    assert [one["decisions"] for one in groups] == [N, N]


def test_flips_are_told_by_pair_kind_and_stage_as_their_list_stands_beside(
    frame: pd.DataFrame,
) -> None:
    some, few = told(frame)["flips"], told(frame, smallest_cell=N)["flips"]
    for name in ("pairs", "whole", "kinds", "stages", "listed"):
        assert few[name] == some[name]
    assert sum(one["decisions"] for one in few["pairs"]) == few["flipped"] == len(few["listed"])


def row(one: str, other: str, **more: Any) -> Json:
    """Return one decision as columns; each side is outcome, action, stage, candidates by commas."""
    rows: Json = {"key.patient": ["p"], "key.encounter": ["e"], "key.as_of": ["2024"]}
    for side, text in (("decision", one), ("against", other)):
        outcome, action, stage, names = text.split()
        rows |= {f"{side}.outcome": [outcome], f"{side}.stage": [stage],
                 f"{side}.action": [None if action == "-" else action],
                 f"{side}.candidates": [[] if names == "-" else names.split(",")]}  # fmt: skip
    return rows | more


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        pytest.param("equipoise - s a,b", "equipoise - s a,c", "other", id="other candidates"),
        pytest.param("equipoise - s a,b", "equipoise - s b,a", None, id="only their order"),
        pytest.param("equipoise - s a,b", "recommendation a s a", "other", id="one of them"),
        pytest.param("recommendation a s a", "recommendation b s b", "other", id="other action"),
        pytest.param("recommendation a s a", "abstention - s a,b", "silent", id="one is silent"),
        pytest.param("recommendation a t a", "abstention - s a,b", "no_choice", id="no choice"),
    ],
)
def test_a_flip_is_of_one_kind(one: str, other: str, kind: str | None) -> None:
    found = flips(row(one, other), choices=(frozenset("s"), frozenset("s")))
    assert found["flipped"] == (kind is not None)
    assert [name for name, n in found["kinds"].items() if n] == ([kind] if kind else [])
    assert [flip["kind"] for flip in found["listed"]] == ([kind] if kind else [])


def test_equally_good_actions_are_told_by_their_labels() -> None:
    labels = {"a": "Add", "several equally good": "Several equally good"}
    assert in_words("several equally good: a, b", labels) == "Several equally good: Add, b"
    assert in_words("several equally good", labels) == "Several equally good"
    assert in_words("a", labels) == "Add"


def test_differences_name_the_first_version_where_there_are_two(figures: Json) -> None:
    labels = [one["label"] for one in figures["value"]["differences"][:3]]
    assert labels == [
        "The first version less usual care", "The second version less usual care",
        "The first version less the second version",
    ]  # fmt: skip
    assert np.isfinite(figures["value"]["differences"][1]["robust"]["estimate"])
