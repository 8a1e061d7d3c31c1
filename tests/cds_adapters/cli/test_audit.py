"""What was decided is shown again in full, and every decision can be made again."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from builders.audit import change
from builders.command_line import run
from builders.live_service import STEPPED_CARE, ask, kept_in, live

from cds_adapters.fhir.samples import STORIES, sample_patient
from cds_adapters.storage.database import open_database
from cds_adapters.storage.shelf import Shelf, shipped_rules

VISITS = [(story, at) for story in STORIES for at in range(len(sample_patient(story).visits))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Any]]:
    """A database with every visit of every story, and the answers that were given."""
    database = kept_in(tmp_path_factory.mktemp("audit"))
    with live(database=database, allow_as_of=True) as client:
        answers = [ask(client, story, at) for story, at in VISITS]
    assert all(answer.status_code == 200 for answer in answers)
    return database, [answer.json() for answer in answers]


def decision(answer: Any) -> Any:
    return answer["extension"]["org.cds-engine.decision"]


def test_each_record_shows_what_was_answered(kept: tuple[str, list[Any]]) -> None:
    database, answers = kept
    for answer, (story, _) in zip(answers, VISITS, strict=True):
        told = decision(answer)
        said = run("audit", "show", told["id"], "--database", database, "--json")
        assert said.code == 0
        record = said.document
        assert set(record) == {
            "id", "at", "as_of", "frozen", "source", "hook", "service", "status", "outcome",
            "bundle", "engine", "semantics", "duration_us", "cards", "feedback", "error", "history",
            "decision",
        }  # fmt: skip
        assert {name: record[name] for name in ("id", "outcome", "as_of")} == {
            name: told[name] for name in ("id", "outcome", "as_of")
        }
        assert record["bundle"] == {name: told[name] for name in ("regime", "version", "digest")}
        assert (record["hook"], record["service"]) == ("patient-view", STEPPED_CARE)
        assert (record["status"], record["error"]) == (200, None)
        assert [card["uuid"] for card in record["cards"]] == [c["uuid"] for c in answer["cards"]]
        assert record["decision"]["outcome"] == told["outcome"]
        assert record["history"]["findings"]
        person = sample_patient(story).resources[0]
        assert person["birthDate"] not in said.out, "the audit holds no raw FHIR"
        assert "name" not in person or person["name"][0]["family"] not in said.out


def test_a_person_reads_the_path_and_what_was_known(kept: tuple[str, list[Any]]) -> None:
    database, answers = kept
    told = decision(answers[VISITS.index(("htn-uncontrolled", 0))])
    said = run("audit", "show", told["id"], "--database", database)
    assert said.code == 0
    for words in (told["id"], told["outcome"], "Path", "Population", "Known then", "Observation/"):
        assert words in said.out
    assert f"{told['regime']}@{told['version']}, digest {told['digest']}" in said.out
    bundle = Shelf(shipped_rules()).find(told["regime"])
    assert f"Action: {bundle.actions[told['action']].label}" in said.out
    assert "holds" in said.out
    assert "True" not in said.out, "a verdict is said in words"
    assert "Systolic blood pressure" in said.out
    assert "mmHg" in said.out
    assert "Feedback: none so far" in said.out


def test_the_reasons_of_an_abstention_and_what_is_missing_are_said(
    kept: tuple[str, list[Any]],
) -> None:
    database, answers = kept
    told = next(decision(a) for a in answers if decision(a)["outcome"] == "abstention")
    record = run("audit", "show", told["id"], "--database", database, "--json").document
    said = run("audit", "show", told["id"], "--database", database).out
    for code, text, _, _ in record["decision"]["reasons"]:
        assert f"Reason: {text} [{code}" in said
    assert "missing (" in said


def test_feedback_is_shown_with_the_decision_it_is_about(tmp_path: Path) -> None:
    database = kept_in(tmp_path)
    with live(database=database, allow_as_of=True) as client:
        answer = ask(client, "htn-uncontrolled", 0).json()
        item = {
            "card": answer["cards"][0]["uuid"], "outcome": "overridden",
            "outcomeTimestamp": "2025-06-01T12:00:00Z",
            "overrideReason": {"reason": {"code": "patient-declined", "system": "urn:own",
                                          "display": "The patient declined"}},
        }  # fmt: skip
        sent = client.post(f"/cds-services/{STEPPED_CARE}/feedback", json={"feedback": [item]})
        assert sent.status_code == 200, sent.text
    shown = run("audit", "show", decision(answer)["id"], "--database", database)
    for words in ("Feedback", "overridden", "2025-06-01T12:00:00Z", "The patient declined"):
        assert words in shown.out
    as_json = run("audit", "show", decision(answer)["id"], "--database", database, "--json")
    [kept_item] = as_json.document["feedback"]
    assert (kept_item["outcome"], kept_item["reason"]) == (
        "overridden",
        "urn:own|patient-declined",
    )


def test_without_the_bundle_the_places_are_shown_and_it_is_said(
    kept: tuple[str, list[Any]], tmp_path: Path
) -> None:
    database, answers = kept
    told = decision(answers[VISITS.index(("htn-uncontrolled", 0))])
    other = tmp_path / "activity-coaching-gym"
    shutil.copytree(shipped_rules() / "activity-coaching-gym", other)
    said = run("audit", "show", told["id"], "--database", database, "--rules", tmp_path)
    assert said.code == 0
    assert f"Action: {told['action']}" in said.out
    assert "The rule bundle is not in the rules directory" in said.out


def test_a_decision_that_there_is_not_cannot_be_shown(kept: tuple[str, list[Any]]) -> None:
    said = run("audit", "show", "no-such-id", "--database", kept[0])
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "cds-engine: no decision no-such-id in this database; check the id and --database\n"
    )


def test_the_chain_is_sound_and_every_decision_comes_out_again(
    kept: tuple[str, list[Any]],
) -> None:
    database, answers = kept
    said = run("audit", "verify", "--database", database, "--reevaluate", "--json")
    assert said.code == 0
    found = said.document
    assert set(found) == {"ok", "chain", "reevaluation"}
    assert found["ok"] is True
    assert (found["chain"]["rows"], found["chain"]["first_bad"]) == (len(answers), None)
    assert found["reevaluation"] == {
        "rows": len(answers), "identical": len(answers), "differences": [], "errors": 0,
        "unavailable": {}, "other_semantics": 0,
    }  # fmt: skip
    plain = run("audit", "verify", "--database", database, "--reevaluate")
    assert plain.code == 0
    assert f"chain: {len(answers)} rows, all as they were written; row " in plain.out
    assert f"decisions: {len(answers)} of {len(answers)} came out again, bit for bit" in plain.out


def test_without_being_asked_decisions_are_not_made_again(kept: tuple[str, list[Any]]) -> None:
    said = run("audit", "verify", "--database", kept[0], "--json")
    assert (said.code, said.document["reevaluation"]) == (0, None)
    assert "decisions" not in run("audit", "verify", "--database", kept[0]).out


def test_a_bundle_that_is_not_there_is_a_finding(
    kept: tuple[str, list[Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "hypertension-stepped-care" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "bundle.yaml").write_text(OTHER)
    arguments = ["audit", "verify", "--database", kept[0], "--rules", tmp_path, "--reevaluate"]
    said = run(*arguments, "--json")
    assert said.code == 1
    assert (said.document["ok"], said.document["chain"]["first_bad"]) == (False, None)
    assert sum(said.document["reevaluation"]["unavailable"].values()) == len(kept[1])
    assert ", not found" in run(*arguments).out


OTHER = """
regime: hypertension-stepped-care
version: 1.0.0
title: Another regime of the same name
aim: {outcome: age, better: lower}
population: age >= 18
variables: {age: {from: patient.age, unit: a}}
actions: {talk: {label: Talk about it}}
stages: [{stage: only, when: age >= 18, choose: [talk], rule: [{otherwise: talk}]}]
"""


def test_a_row_that_was_changed_is_a_finding(tmp_path: Path) -> None:
    database = kept_in(tmp_path)
    with live(database=database, allow_as_of=True) as client:
        for at in range(3):
            assert ask(client, visit=at).status_code == 200
    engine = open_database(database)
    change(engine, "UPDATE audit SET outcome = 'no_change' WHERE seq = 2")
    engine.dispose()
    said = run("audit", "verify", "--database", database, "--json")
    assert said.code == 1
    assert (said.document["ok"], said.document["chain"]["first_bad"]) == (False, 2)
    again = run("audit", "verify", "--database", database, "--reevaluate")
    assert again.code == 1
    assert "row 2 is not: its hash does not fit" in again.out
    assert "outcome (of the row)" in again.out
