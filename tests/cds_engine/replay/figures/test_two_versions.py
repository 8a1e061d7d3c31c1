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


def decisions(*said: tuple[str, str, str, int]) -> Json:
    """Return decisions of a patient each: stage, what the first and the second advise, number."""
    rows = [one[:3] for one in said for _ in range(one[3])]
    columns: Json = {"key.patient": [f"p{n}" for n in range(len(rows))]}
    columns |= {"key.encounter": [""] * len(rows), "key.as_of": ["2024"] * len(rows)}
    for side, at in (("decision", 1), ("against", 2)):
        columns |= {f"{side}.outcome": ["recommendation"] * len(rows),
                    f"{side}.action": [one[at] for one in rows],
                    f"{side}.stage": [one[0] for one in rows]}  # fmt: skip
    return columns


SPREAD = (("s", "a", "b", 3), ("s", "a", "c", 40), ("s", "b", "a", 60), ("s", "c", "b", 70),
          ("s", "a", "a", 200), ("s", "b", "b", 300), ("t", "b", "c", 80), ("t", "c", "a", 90),
          ("t", "c", "c", 400), ("t", "b", "b", 50))  # fmt: skip


def test_a_pair_of_few_is_held_back_with_what_gives_it_away() -> None:
    found = flips(decisions(*SPREAD), smallest=10)
    told = {(one["from"], one["to"]): one["decisions"] for one in found["whole"]}
    assert told[("a", "b")] is None
    for side in (0, 1):
        for name in "abc":
            held = [pair for pair in told if pair[side] == name and told[pair] is None]
            assert len(held) != 1
    assert len([pair for pair in told if pair[0] == pair[1] and told[pair] is None]) != 1
    assert any(n is not None for n in told.values())
    assert found["pairs"] == [one for one in found["whole"] if one["from"] != one["to"]]
    assert found["flipped"] == 343


def test_a_stage_of_few_flips_is_held_back_and_so_is_another() -> None:
    rows = decisions(("s", "a", "b", 4), ("s", "a", "a", 90), ("t", "a", "b", 50),
                     ("t", "b", "a", 60), ("t", "b", "b", 80), ("u", "b", "a", 30),
                     ("u", "a", "a", 99))  # fmt: skip
    found = {one["group"]: one for one in flips(rows, smallest=10)["stages"]}
    assert found["s"] == {"group": "s", "decisions": 94, "flipped": None}
    assert found["u"] == {"group": "u", "decisions": 129, "flipped": None}
    assert found["t"]["flipped"] == 110


def test_a_stage_of_few_is_held_back_whole() -> None:
    rows = decisions(("s", "a", "b", 2), ("s", "a", "a", 3), ("t", "a", "b", 50),
                     ("t", "a", "a", 80), ("u", "b", "a", 30), ("u", "a", "a", 99))  # fmt: skip
    found = {one["group"]: one for one in flips(rows, smallest=10)["stages"]}
    assert (found["s"]["decisions"], found["s"]["flipped"]) == (None, None)
    assert [one["decisions"] for one in found.values()].count(None) == 2


def test_a_kind_of_flips_does_not_tell_what_a_stage_holds_back() -> None:
    """Only ``s`` offers no choice, so that this kind counts its flips and no others."""
    rows = decisions(("s", "a", "b", 40), ("s", "a", "a", 90), ("t", "a", "b", 4),
                     ("t", "b", "a", 3), ("t", "b", "b", 80), ("u", "b", "a", 60),
                     ("u", "a", "b", 70), ("u", "a", "a", 99))  # fmt: skip
    found = flips(rows, smallest=10, choices=(frozenset("tu"), frozenset("tu")))
    told = {one["group"]: one["flipped"] for one in found["stages"]}
    assert told["t"] is None
    assert told["s"] is None
    assert None in found["kinds"].values()
    everything = flips(rows, choices=(frozenset("tu"), frozenset("tu")))
    assert everything["kinds"] == {"other": 137, "silent": 0, "no_choice": 40}


def test_a_patient_with_many_flips_is_one() -> None:
    rows = decisions(*SPREAD[1:])
    rows["key.patient"][:40] = ["one"] * 40
    told = {(one["from"], one["to"]): one["decisions"] for one in flips(rows, smallest=10)["whole"]}
    assert told[("a", "c")] is None


@pytest.mark.parametrize("seed", range(12))
def test_no_small_flip_is_worked_out_from_all_that_is_told(seed: int) -> None:
    """Whoever knows which decisions there can be, and adds and subtracts, does not find one."""
    random = np.random.default_rng(seed)
    drawn = [(s, a, b, int(random.choice([0, 0, 0, 0, 3, 6, 30, 60]))) for s in "stu"
             for a in "abc" for b in "abc"]  # fmt: skip
    drawn = [one for one in drawn if one[3]]
    open_ = (frozenset("tu"), frozenset("tu"))
    found, plain = (flips(decisions(*drawn), smallest=least, choices=open_) for least in (10, 1))

    def places(**wanted: Any) -> list[float]:
        return [float(all(one[key] == value for key, value in wanted.items()))
                for one in said]  # fmt: skip

    said = [{"stage": s, "from": a, "to": b, "flips": a != b, "no_choice": a != b and s == "s"}
            for s, a, b, _ in drawn]  # fmt: skip
    always = [places(), places(flips=True), *(places(**{side: name}) for side in ("from", "to")
                                              for name in "abc")]  # fmt: skip
    told, small = list(always), []
    for one, real in zip(found["whole"], plain["whole"], strict=True):
        sums = places(**{"from": one["from"], "to": one["to"]})
        told += [sums] if one["decisions"] is not None else []
        small += [sums] if real["decisions"] < 10 else []
        assert one["decisions"] is None or one["decisions"] >= 10
    for one, real in zip(found["stages"], plain["stages"], strict=True):
        flipped = places(stage=one["group"], flips=True)
        told += [places(stage=one["group"])] if one["decisions"] is not None else []
        told += [flipped] if one["flipped"] is not None else []
        small += [flipped] if 0 < real["flipped"] < 10 else []
    for kind, sums in (("no_choice", places(no_choice=True)),
                       ("other", places(flips=True, no_choice=False))):  # fmt: skip
        told += [sums] if found["kinds"][kind] is not None else []
    for sums in small:
        known, more = (np.linalg.matrix_rank(np.array([*rows, sums])) - np.linalg.matrix_rank(
            np.array(rows)) for rows in (always, told))  # fmt: skip
        assert more or not known
    assert small


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
