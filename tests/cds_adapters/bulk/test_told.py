"""Warnings name the cause and the cure, in words that a newcomer can act on."""

import json
from pathlib import Path

import pytest
from builders.replays import COMPLETE, bundles, export, run, write

from cds_adapters.bulk.run import WORK
from cds_adapters.bulk.sources import BulkError
from cds_engine.replay.settings import ReplaySettings


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
        "schedule (--first, --last and --every)"
    ) in found.warnings
    assert not [words for words in found.warnings if "see the counts of encounters" in words]


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
        "2 of them name no patient; whose records lack them is not known, and no decision says so"
    ) in found.warnings
    write(data, {"Observation.ndjson": f"{text}{{\n{{\n"})
    found = run(data, tmp_path / "none", max_damaged=0.1, accept_cut=True)
    assert (
        "none of them names a patient; whose records lack them is not known, and no decision says "
        "so"
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


def test_a_first_run_takes_nothing_up(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run(data, tmp_path / "out", tell=said.append)
    assert said == []
