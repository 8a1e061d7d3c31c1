"""Warnings name the cause and the cure, in words that a newcomer can act on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from builders.replays import COMPLETE, bundle_files, bundles, export, run, write

from cds_adapters.bulk.run import WORK
from cds_adapters.bulk.sources import BulkError
from cds_adapters.clock import parse_instant
from cds_adapters.report.answers import write_answers
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return export(tmp_path / "data")


@pytest.mark.parametrize("complete", [COMPLETE, (*COMPLETE, "Patient")])
def test_an_export_without_patients_says_so_and_not_to_map_codes(
    data: Path, tmp_path: Path, complete: tuple[str, ...]
) -> None:
    (data / "Patient.ndjson").unlink()
    found = run(data, tmp_path / "out", complete=complete)
    assert (
        "the export holds no Patient: age, sex unknown for everybody, and nothing that rests on "
        "it can be decided; export it"
    ) in found.warnings
    assert not [words for words in found.warnings if "--complete Patient" in words]
    assert not [w for w in found.warnings if w.startswith("found for no patient") and "age" in w]


def test_bundles_without_patients_say_so_too(tmp_path: Path) -> None:
    data = bundles(tmp_path / "data")
    for file in data.iterdir():
        body = json.loads(file.read_text())
        body["entry"] = [e for e in body["entry"] if e["resource"]["resourceType"] != "Patient"]
        write(data, {file.name: json.dumps(body)})
    found = run(data, tmp_path / "out")
    assert [words for words in found.warnings if words.startswith("the export holds no Patient")]


def test_a_variable_that_nobody_has_because_its_type_is_not_there_says_that(
    data: Path, tmp_path: Path
) -> None:
    (data / "AllergyIntolerance.ndjson").unlink()
    found = run(data, tmp_path / "out")
    [words] = [words for words in found.warnings if "ccb_intolerance" in words]
    assert words.startswith("found for no patient: ")
    assert words.endswith("because the export holds no AllergyIntolerance")
    [others] = [words for words in found.warnings if words.endswith("in the site's settings")]
    assert "ccb_intolerance" not in others


def test_a_missing_type_is_told_once(data: Path, tmp_path: Path) -> None:
    (data / "Condition.ndjson").unlink()
    rest = tuple(set(COMPLETE) - {"Condition"})
    found = run(data, tmp_path / "out", complete=rest)
    assert len([words for words in found.warnings if "hypertension" in words]) == 1


def test_an_export_without_encounters_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    (data / "Encounter.ndjson").unlink()
    found = run(data, tmp_path / "out")
    assert (
        "the export holds no Encounter, and so there is no decision point; export it, or ask on a "
        "schedule (--first, --last and --every, with a --window as long as --every)"
    ) in found.warnings
    assert [words for words in found.warnings if "there is no decision point" in words] == [
        found.warnings[-1]
    ]


@pytest.mark.parametrize("packed_as", ["files", "bundles"])
def test_a_class_that_no_encounter_has_is_told_with_those_that_there_are(
    data: Path, tmp_path: Path, packed_as: str
) -> None:
    where = data if packed_as == "files" else bundles(tmp_path / "bundles")
    asked = ReplaySettings(end=True, classes=("act|amb",))
    found = run(where, tmp_path / "out", settings=asked)
    assert (
        "no encounter is of class act|amb, and so there is no decision point; the encounters are "
        "of act|AMB (34), snomed|185349003 (34)"
    ) in found.warnings
    fine = run(where, tmp_path / "fine", settings=ReplaySettings(end=True, classes=("act|AMB",)))
    assert not [words for words in fine.warnings if "no encounter is of" in words]


def test_class_and_type_that_never_meet_are_both_told(data: Path, tmp_path: Path) -> None:
    asked = ReplaySettings(end=True, classes=("act|AMB",), types=("snomed|1", "snomed|2"))
    found = run(data, tmp_path / "out", settings=asked)
    assert [
        words for words in found.warnings
        if "no encounter is of class act|AMB and of type snomed|1 or snomed|2, and so" in words
    ]  # fmt: skip


@pytest.mark.parametrize("odd", ["", " "], ids=["by blocks", "line by line"])
def test_merged_patients_are_counted(data: Path, tmp_path: Path, odd: str) -> None:
    people = list(map(json.loads, (data / "Patient.ndjson").read_text().splitlines()))
    for one in people[:2]:
        one |= {"active": False, "link": [{"type": "replaced-by", "other": {"reference": "x"}}]}
    people[2]["active"] = False
    people[3]["link"] = [{"type": "replaces", "other": {"reference": "x"}}]
    write(data, {"Patient.ndjson": odd + "".join(json.dumps(one) + "\n" for one in people)})
    found = run(data, tmp_path / "out")
    assert [words for words in found.warnings if "Patient" in words] == [
        (
            "2 Patients are merged into others (replaced-by); what still names them is replayed "
            "apart from the patients who took their places"
        ),
        "1 Patient is marked as no longer in use (active: false), and replayed all the same",
    ]


def test_several_damaged_lines_are_told_in_the_plural(data: Path, tmp_path: Path) -> None:
    text = (data / "Observation.ndjson").read_text()
    named = '{"resourceType":"Observation","subject":{"reference":"Patient/htn-uncontrolled-0"},"s'
    write(data, {"Observation.ndjson": f"{text}{{\n{{\n{named}\n"})
    found = run(data, tmp_path / "out", max_damaged=0.1, accept_cut=True)
    assert "3 damaged lines were set aside; they are in rejects.ndjson" in found.warnings
    assert (
        "2 of them name no patient: patients of whom they speak are decided on without what they "
        "say, and no row of the table is marked; mend the lines that rejects.ndjson lists with "
        "attributed: false, and export again"
    ) in found.warnings
    marked = (tmp_path / "out" / "rejects.ndjson").read_text().count('"attributed":false')
    assert marked == 2
    write(data, {"Observation.ndjson": f"{text}{{\n{{\n"})
    found = run(data, tmp_path / "none", max_damaged=0.1, accept_cut=True)
    assert (
        "none of them names a patient: patients of whom they speak are decided on without what "
        "they say, and no row of the table is marked; mend the lines that rejects.ndjson lists "
        "with attributed: false, and export again"
    ) in found.warnings


def test_one_encounter_without_an_end_is_told_in_the_singular(data: Path, tmp_path: Path) -> None:
    lines = list(map(json.loads, (data / "Encounter.ndjson").read_text().splitlines()))
    del lines[0]["period"]["end"]
    write(data, {"Encounter.ndjson": "\n".join(map(json.dumps, lines))})
    found = run(data, tmp_path / "out")
    assert "1 encounter without an end is no decision point" in found.warnings


def test_a_run_that_ends_for_damage_says_what_it_leaves_and_goes_on_from_it(
    data: Path, tmp_path: Path
) -> None:
    text = (data / "Condition.ndjson").read_text()
    write(data, {"Condition.ndjson": text + "{\n" * 10})
    with pytest.raises(BulkError) as fault:
        run(data, tmp_path / "out")
    work = tmp_path / "out" / WORK
    assert (
        f"allow more with --max-damaged. What was read stays in {work}, for a run that allows "
        "more; it holds patients' data, so delete it if there is to be none"
    ) in str(fault.value)
    assert work.is_dir()
    said: list[str] = []
    steps: list[tuple[str, int, int]] = []
    run(data, tmp_path / "out", lambda *step: steps.append(step), said.append, max_damaged=0.5)
    assert said == [f"taking up what {work} holds: 8 of 8 parts read, 0 of 1 shards decided"]
    assert steps[0][1] == steps[0][2] > 0
    assert not work.exists()


def test_work_of_another_question_is_thrown_away_and_that_is_said(
    data: Path, tmp_path: Path
) -> None:
    text = (data / "Condition.ndjson").read_text()
    write(data, {"Condition.ndjson": text + "{\n" * 10})
    with pytest.raises(BulkError):
        run(data, tmp_path / "out")
    said: list[str] = []
    run(data, tmp_path / "out", tell=said.append, max_damaged=0.5,
        settings=ReplaySettings(end=True, seed=3))  # fmt: skip
    assert said == [
        (
            f"what {tmp_path / 'out' / WORK} held was begun with other data, rule bundles or "
            "settings, or by another version of cds-engine, and is thrown away; this run begins "
            "anew"
        )
    ]


def a_schedule(every: str, window: str = "P30D", last: str = "2025-07-01") -> ReplaySettings:
    """Ask from the start of 2025 on."""
    return ReplaySettings(
        points="schedule", first=parse_instant("2025-01-01T00:00:00Z"),
        last=parse_instant(f"{last}T00:00:00Z"), every=parse_duration(every),
        window=parse_duration(window),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(a_schedule("P3M"), "the window (30 days) is shorter than the step of the "
                     "schedule (3 months): actions in the other 61 days count for no decision, so "
                     "that who is treated then looks untreated; say --window P3M", id="short"),
        pytest.param(a_schedule("P1D", "PT20H"), "the window (20 hours) is shorter than the step "
                     "of the schedule (1 day): actions in the other 4 hours count for no decision, "
                     "so that who is treated then looks untreated; say --window P1D", id="hours"),
        pytest.param(a_schedule("P3M", "P3M"), "", id="as long"),
        pytest.param(a_schedule("P3M", "P92D"), "", id="as long as the longest step"),
        pytest.param(a_schedule("P1Y"), "", id="one instant only"),
    ],
)  # fmt: skip
def test_a_window_shorter_than_the_step_of_a_schedule_is_told(
    data: Path, tmp_path: Path, asked: ReplaySettings, words: str
) -> None:
    found = run(data, tmp_path / "out", settings=asked)
    told = [one for one in found.warnings if "shorter than the step" in one]
    assert told == ([words] if words else [])
    assert found.manifest["warnings"] == list(found.warnings)


def test_actions_that_no_window_holds_are_told(data: Path, tmp_path: Path) -> None:
    asked = a_schedule("P3M", last="2026-01-01")
    found = run(data, tmp_path / "out", settings=asked)
    seen, unseen = (found.manifest["counts"].get(f"begun in {words}", 0)
                    for words in ("a window", "no window"))  # fmt: skip
    assert unseen > 0.1 * (seen + unseen)
    [words] = [one for one in found.warnings if "begun between two decisions" in one]
    assert words.startswith(f"{unseen} of {seen + unseen} actions begun between two decisions of a")
    assert words.endswith("in the window of none and count as taken at none; a longer --window may "
                          "see more")  # fmt: skip
    whole = run(data, tmp_path / "whole", settings=replace(asked, window=parse_duration("P3M")))
    assert whole.manifest["counts"]["begun in a window"] == seen + unseen
    assert not [one for one in whole.warnings if "begun between two decisions" in one]


def test_a_schedule_without_a_decision_point_says_which_instants_to_ask_at(
    data: Path, tmp_path: Path
) -> None:
    asked = ReplaySettings(points="schedule", first=0, last=1, every=parse_duration("P1D"))
    found = run(data, tmp_path / "out", settings=asked)
    assert found.rows == 0
    assert (
        "there is no decision point: each instant of the schedule lies before the first entry of a "
        "record or after the end of the records; say others with --first and --last, or "
        "--data-until if the records go on for longer"
    ) in found.warnings
    figures = write_answers(tmp_path / "out", (bundle_files(),)).figures
    assert figures["empty"] == (
        "There is no decision point, so nothing is answered; the run's warnings say why."
    )


def test_encounters_of_which_none_is_a_decision_point_are_followed_by_why(
    data: Path, tmp_path: Path
) -> None:
    found = run(data, tmp_path / "out", settings=ReplaySettings(data_until=0))
    assert found.warnings[-2:] == (
        "there is no decision point; why no encounter is one is told next",
        "34 encounters after the end of the records are no decision points",
    )


def test_encounters_that_cannot_be_used_are_told_as_the_cause(data: Path, tmp_path: Path) -> None:
    lines = list(map(json.loads, (data / "Encounter.ndjson").read_text().splitlines()))
    void = [one | {"status": "entered-in-error"} for one in lines]
    write(data, {"Encounter.ndjson": "\n".join(map(json.dumps, void))})
    found = run(data, tmp_path / "out")
    assert found.warnings[-1] == (
        "there is no decision point: no Encounter of the export could be used; see rejects.ndjson, "
        "and set_aside in vocabulary.json"
    )


def test_a_first_run_takes_nothing_up(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run(data, tmp_path / "out", tell=said.append)
    assert said == []
