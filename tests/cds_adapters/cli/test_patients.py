"""Patients in files are decided, explained, looked up and surveyed from the command line."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from builders.command_line import run
from builders.shipped import RULES, shipped

from cds_adapters.clock import parse_instant
from cds_adapters.fhir.files import read_records
from cds_adapters.fhir.samples import MESSES, STORIES
from cds_engine.bundle.document import Outcome
from cds_engine.decide.regime import Regime
from cds_engine.vocabulary.time import iso

REGIME = "hypertension-stepped-care"
REGIMES = sorted(folder.name for folder in RULES.iterdir())
AS_OF = "2025-04-28T09:45:00Z"
OUTCOMES = frozenset(get_args(Outcome))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One patient of every story, as a Bulk Data export."""
    folder = tmp_path_factory.mktemp("records")
    assert run("simulate", "--out", folder, "--count", len(STORIES)).code == 0
    return folder


def decided(records: Path, *more: object, regime: str = REGIME) -> list[Any]:
    folder = RULES / regime / "1.0.0"  # reading one bundle is quicker than reading all
    said = run("decide", folder, "--records", records, "--as-of", AS_OF, "--json", *more)
    assert (said.code, said.err) == (0, "")
    return said.documents


# --- decide -----------------------------------------------------------------------------------


def test_decide_prints_one_json_line_for_each_patient(records: Path) -> None:
    found = decided(records)
    assert [one["patient"] for one in found] == [name for name, _ in read_records(records)]
    bundle = shipped(REGIME)
    for one in found:
        assert {
            "patient", "outcome", "stage", "action", "candidates", "reasons", "basis", "bundle",
        } <= set(one)  # fmt: skip
        assert one["outcome"] in OUTCOMES
        assert one["stage"] is None or one["stage"] in {stage.name for stage in bundle.stages}
        assert one["action"] is None or one["action"] in bundle.actions
        assert (one["action"] is not None) == (one["outcome"] in {"recommendation", "no_change"})
        assert set(one["candidates"]) <= set(bundle.actions)
        assert one["bundle"] == {
            "regime": REGIME, "version": "1.0.0", "digest": bundle.digest,
        }  # fmt: skip
        assert one["as_of"] == AS_OF
        for reason in one["reasons"]:
            assert set(reason) == {"code", "text", "variables"}
            assert reason["text"]
        assert all({"variable", "value"} <= set(row) for row in one["basis"])
        assert {row["variable"] for row in one["basis"]} <= set(bundle.variables)


def test_decide_says_what_the_regime_says(records: Path) -> None:
    regime = Regime(shipped(REGIME))
    found = {one["patient"]: one for one in decided(records)}
    outcomes = set()
    for patient, record in read_records(records):
        history, decision = regime.decide(record, parse_instant(AS_OF))
        one = found[patient]
        outcomes.add(decision.outcome)
        assert one["as_of"] == iso(history.as_of)
        assert (one["outcome"], one["stage"], one["action"]) == (
            decision.outcome, decision.stage, decision.action,
        )  # fmt: skip
        assert one["candidates"] == list(decision.candidates)
        assert [reason["code"] for reason in one["reasons"]] == [r.code for r in decision.reasons]
    assert outcomes >= {"recommendation", "no_change", "not_applicable", "abstention"}


def test_an_input_is_shown_with_unit_time_and_source_or_with_why_it_is_missing(
    records: Path,
) -> None:
    found = {one["patient"]: one for one in decided(records)}
    known = {row["variable"]: row for row in found["htn-uncontrolled-0"]["basis"]}
    assert known["sbp"]["unit"] == "mm[Hg]"
    assert float(known["sbp"]["value"]) >= 140
    assert known["sbp"]["sources"][0].startswith("Observation/htn-uncontrolled-0")
    assert known["sbp"]["time"].startswith("2025-04-28")
    assert known["uncontrolled"]["derived"] == "sbp >= 140 or dbp >= 90"
    gone = {row["variable"]: row for row in found["htn-no-pressure-0"]["basis"]}
    assert (gone["sbp"]["value"], gone["sbp"]["missing"]) == ("missing", "absent")
    assert "no reading is on record" in gone["sbp"]["note"]


def test_one_patient_can_be_asked_for(records: Path) -> None:
    [one] = decided(records, "--patient", "htn-pregnant-0")
    assert one["patient"] == "htn-pregnant-0"
    assert one in decided(records)


def test_without_json_a_person_reads_a_table(records: Path) -> None:
    said = run("decide", REGIME, "--records", records, "--as-of", AS_OF)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{REGIME}@1.0.0 as of {AS_OF}")
    assert all(name in said.out for name, _ in read_records(records))


def forms(folder: Path, records: Path) -> Iterator[Path]:
    """Write the same patients in every form in which records may come."""
    packed = folder / "packed"
    packed.mkdir()
    for file in records.iterdir():
        with gzip.open(packed / f"{file.name}.gz", "wb") as out:
            out.write(file.read_bytes())
    yield packed
    lines = b"".join(file.read_bytes() for file in sorted(records.iterdir()))
    (folder / "all.ndjson").write_bytes(lines)
    yield folder / "all.ndjson"
    entries = [{"resource": json.loads(line)} for line in lines.splitlines()]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (folder / "all.json").write_text(json.dumps(bundle))
    yield folder / "all.json"
    (folder / "all.json.gz").write_bytes(gzip.compress(json.dumps(bundle).encode()))
    yield folder / "all.json.gz"


def test_the_form_of_the_files_makes_no_difference(tmp_path: Path, records: Path) -> None:
    expected = {one["patient"]: one for one in decided(records)}
    for path in forms(tmp_path, records):
        found = {one["patient"]: one for one in decided(path)}
        assert found.keys() == expected.keys(), path
        for patient, one in found.items():
            assert one == expected[patient], path


@pytest.mark.parametrize("mess", sorted(MESSES))
def test_no_mess_makes_decide_fail(tmp_path: Path, mess: str) -> None:
    written = run("simulate", "--out", tmp_path, "--count", 5, "--mess", mess, "--json")
    assert (written.code, written.document["patients"]) == (0, 5)
    answered(decided(tmp_path), 5)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("form", [[], ["--bundles"]], ids=["lines", "bundles"])
def test_nor_do_all_of_them_together(tmp_path: Path, form: list[str], regime: str) -> None:
    messes = [part for name in MESSES if not form or name != "nan-like"
              for part in ("--mess", name)]  # fmt: skip
    written = run("simulate", "--out", tmp_path, "--count", len(MESSES), *messes, *form)
    assert written.code == 0
    answered(decided(tmp_path, regime=regime), len(MESSES))


def answered(found: list[Any], patients: int) -> None:
    assert len(found) >= patients
    assert {one["outcome"] for one in found} <= OUTCOMES
    assert all(one["reasons"] for one in found if one["outcome"] == "abstention")


def test_a_bundle_that_is_no_json_is_named_and_nothing_is_decided(tmp_path: Path) -> None:
    run("simulate", "--out", tmp_path, "--count", 3, "--mess", "nan-like", "--bundles")
    said = run("decide", REGIME, "--records", tmp_path, "--json")
    assert (said.code, said.out) == (3, "")
    assert f"{tmp_path}/" in said.err
    assert "is no Bundle that can be read" in said.err


def test_local_codes_of_a_site_are_read(tmp_path: Path) -> None:
    assert run("simulate", "--out", tmp_path, "--count", 1).code == 0
    file = tmp_path / "Observation.ndjson"
    text = file.read_text().replace('"http://loinc.org"', '"urn:lab"')
    assert "urn:lab" in text
    file.write_text(text)
    [without] = decided(tmp_path)
    assert (without["outcome"], without["reasons"][0]["variables"]) == ("abstention", ["sbp"])
    site = tmp_path / "site.toml"
    site.write_text(
        '[codes]\n"urn:lab|8480-6" = ["loinc|8480-6"]\n"urn:lab|8462-4" = ["loinc|8462-4"]\n'
    )
    [mapped] = decided(tmp_path, "--site", site)
    [pressure] = [row for row in mapped["basis"] if row["variable"] == "sbp"]
    assert float(pressure["value"]) >= 140
    assert not {"sbp", "dbp"} & {v for reason in mapped["reasons"] for v in reason["variables"]}


def test_the_time_zone_of_a_site_must_be_one(tmp_path: Path, records: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('time_zone = "Mars/Olympus"\n')
    said = run("decide", REGIME, "--records", records, "--site", site)
    assert (said.code, said.out) == (3, "")
    assert "time_zone: 'Mars/Olympus' is no IANA time zone; write it as Europe/Berlin" in said.err


# --- explain and history ----------------------------------------------------------------------


def test_explain_adds_the_path_and_the_alternatives(records: Path) -> None:
    said = run("explain", REGIME, "--records", records, "--as-of", AS_OF, "--json")
    assert said.code == 0
    for explained, one in zip(said.documents, decided(records), strict=True):
        assert {key: explained[key] for key in one} == one
        assert explained["path"][0]["role"] == "population"
        for step in explained["path"]:
            assert step["verdict"] in {True, False, None}
            assert step["words"]
        for other in explained["alternatives"]:
            assert set(other) == {"action", "label", "why"}
            assert other["action"] != one["action"]


def test_a_person_reads_the_path_in_words(records: Path) -> None:
    arguments = ["--records", records, "--as-of", AS_OF, "--patient", "htn-uncontrolled-0"]
    said = run("explain", REGIME, *arguments)
    assert said.code == 0
    assert f"htn-uncontrolled-0, {REGIME}@1.0.0, as of {AS_OF}\n" in said.out
    assert "  recommendation: " in said.out
    for words in ("Path", "Basis", "Other options", "holds", "does not hold", "is 18 years or"):
        assert words in said.out
    nothing = run("explain", REGIME, *arguments[:4], "--patient", "htn-no-pressure-0")
    assert "  abstention\n  because Systolic blood pressure: no reading is on record" in nothing.out


def test_history_shows_every_variable_with_its_value_or_why_there_is_none(records: Path) -> None:
    said = run("history", REGIME, "--records", records, "--as-of", AS_OF, "--json")
    assert said.code == 0
    names = set(shipped(REGIME).base_variables)
    for one in said.documents:
        assert set(one) == {"patient", "bundle", "as_of", "deceased", "variables", "set_aside"}
        assert (one["as_of"], one["deceased"]) == (AS_OF, False)
        assert set(one["variables"]) == names
        assert all(("value" in v) is not ("missing" in v) for v in one["variables"].values())
    found = {one["patient"]: one["variables"] for one in said.documents}
    assert found["htn-no-pressure-0"]["sbp"]["missing"] == "absent"
    assert found["htn-uncontrolled-0"]["sbp"]["unit"] == "mm[Hg]"
    plain = run("history", REGIME, "--records", records, "--as-of", AS_OF)
    assert plain.code == 0
    assert f"htn-no-pressure-0 as of {AS_OF}" in plain.out
    assert "missing: absent" in plain.out


def test_history_at_an_earlier_instant_knows_less(records: Path) -> None:
    arguments = ["--records", records, "--patient", "htn-uncontrolled-0", "--json"]
    early = run("history", REGIME, *arguments, "--as-of", "2025-01-01T00:00:00Z").document
    late = run("history", REGIME, *arguments, "--as-of", AS_OF).document
    assert early["variables"]["step"]["value"] == "none"
    assert late["variables"]["step"]["value"] == "lifestyle"
    assert early["variables"]["sbp"]["missing"] == "absent"


def test_history_leaves_out_what_a_replay_withholds(records: Path) -> None:
    arguments = ["--records", records, "--patient", "htn-uncontrolled-0", "--as-of", AS_OF]
    whole = run("history", REGIME, *arguments, "--json").document
    [source] = {one["source"] for one in whole["variables"]["step"]["sources"]}
    rest = run("history", REGIME, *arguments, "--without", source, "--json").document
    assert (whole["variables"]["step"]["value"], rest["variables"]["step"]["value"]) == (
        "lifestyle", "none",
    )  # fmt: skip
    assert (rest["without"], "without" in whole) == ([source], False)
    plain = run("history", REGIME, *arguments, "--without", source)
    assert f"as of {AS_OF} without {source}" in plain.out
    said = " ".join(run("history", "--help").out.split())
    assert "a replay leaves out what the visit itself ordered" in said


def test_a_record_to_leave_out_that_nobody_has_is_named(records: Path) -> None:
    arguments = ["--records", records, "--patient", "htn-uncontrolled-0", "--as-of", AS_OF]
    said = run("history", REGIME, *arguments, "--without", "Nothing/1")
    assert (said.code, said.out) == (2, "")
    assert "--without: no record of these patients is `Nothing/1`" in said.err


# --- simulate ---------------------------------------------------------------------------------


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("simulate", "--out", tmp_path / name, "--count", 3, "--seed", seed).code == 0
    written = [
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "abc"
    ]
    assert written[0] == written[1] != written[2]


def test_simulate_says_what_it_wrote(tmp_path: Path) -> None:
    said = run("simulate", "--out", tmp_path / "x" / "y", "--count", 2, "--json")
    found = said.document
    assert (found["out"], found["patients"]) == (str(tmp_path / "x" / "y"), 2)
    assert found["files"] == sorted(file.name for file in (tmp_path / "x" / "y").iterdir())
    plain = run("simulate", "--out", tmp_path / "z", "--count", 2, "--bundles")
    assert plain.out == f"2 patients in 2 files in {tmp_path / 'z'}\n"


def test_simulate_lists_its_stories_and_messes(tmp_path: Path) -> None:
    found = run("simulate", "--list", "--json").document
    assert found["stories"] == {name: story.description for name, story in STORIES.items()}
    assert found["messes"] == {name: mess.what for name, mess in MESSES.items()}
    plain = run("simulate", "--list")
    assert plain.code == 0
    assert all(name in plain.out for name in (*STORIES, *MESSES))
    assert not list(tmp_path.iterdir())


# --- vocab check ------------------------------------------------------------------------------


def test_vocab_check_counts_patients_units_and_what_is_missing(records: Path) -> None:
    said = run("vocab", "check", REGIME, "--records", records, "--json")
    found = said.document
    assert set(found) == {
        "patients", "variables", "actions", "treatments", "unmapped", "set_aside",
        "found_nowhere", "actions_nowhere", "invalid",
    }  # fmt: skip
    assert found["patients"] == len(STORIES)
    assert set(found["variables"]) == set(shipped(REGIME).base_variables)
    for one in found["variables"].values():
        assert set(one) == {"patients", "known", "units", "missing"}
    assert found["variables"]["sbp"]["units"].keys() == {"mm[Hg]"}
    assert found["variables"]["hypertension"]["known"] == len(STORIES)
    nowhere = [name for name, one in found["variables"].items() if not one["patients"]]
    assert found["found_nowhere"] == nowhere
    unseen = [name for name, patients in found["actions"].items() if not patients]
    assert found["actions_nowhere"] == unseen
    assert said.code == (1 if nowhere or unseen else 0)
    plain = run("vocab", "check", REGIME, "--records", records)
    assert plain.code == said.code
    assert f"{len(STORIES)} patients, each as of the last entry of the record" in plain.out


def test_vocab_check_without_findings_is_fine(tmp_path: Path, records: Path) -> None:
    folder = tmp_path / "rules" / "few" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "bundle.yaml").write_text(FEW)
    arguments = ["vocab", "check", "few", "--rules", tmp_path / "rules", "--records", records]
    said = run(*arguments, "--strict", "--json")
    assert said.code == 0
    assert (said.document["found_nowhere"], said.document["invalid"]) == ([], {})
    assert "Every resource is valid FHIR R4B." in run(*arguments, "--strict").out


FEW = """
regime: few
version: 1.0.0
title: A regime that reads what every sample has
aim: {outcome: age, better: lower}
population: age >= 18
variables:
  age: {from: patient.age, unit: a}
  sbp: {from: observation, codes: [loinc|8480-6], unit: "mm[Hg]"}
actions:
  talk: {label: Talk about it}
  wait: {label: Wait, change: false}
stages:
  - stage: only
    when: age >= 18
    choose: [talk, wait]
    rule: [{when: sbp >= 140, then: talk}, {otherwise: wait}]
"""


def test_vocab_check_strict_names_what_is_not_valid_fhir(tmp_path: Path) -> None:
    """The readers are lenient; the full models are not."""
    run("simulate", "--out", tmp_path, "--count", 3)
    file = tmp_path / "Observation.ndjson"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    del lines[0]["code"]
    lines[1]["colour"] = "blue"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    loose = run("vocab", "check", "hypertension-fixed-protocol", "--records", tmp_path, "--json")
    assert loose.document["invalid"] == {}
    said = run("vocab", "check", REGIME, "--records", tmp_path, "--strict", "--json")
    assert said.code == 1
    invalid = said.document["invalid"]
    assert set(invalid.values()) == {1}
    assert any(fault.startswith("Observation.code") for fault in invalid)
    assert any("colour" in fault for fault in invalid)
    plain = run("vocab", "check", REGIME, "--records", tmp_path, "--strict")
    assert "Not valid FHIR R4B" in plain.out


def test_vocab_check_strict_reads_every_mess(tmp_path: Path) -> None:
    run("simulate", "--out", tmp_path, "--count", len(MESSES), "--mess", "all", "--bundles")
    for file in tmp_path.iterdir():
        if "NaN" in file.read_text():
            file.unlink()
    said = run("vocab", "check", REGIME, "--records", tmp_path, "--strict", "--json")
    assert said.code == 1
    assert said.document["patients"] >= len(MESSES) - 2
    assert said.document["invalid"]
    assert said.document["set_aside"]
