"""Orders under codes that nothing reads are told: by action, by type, and in the report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders.command_line import run as command
from builders.replays import bundle_files, bundles, export, lines, run, write

from cds_adapters.bulk.eventfiles import write_event_files
from cds_adapters.bulk.records import read_records
from cds_adapters.bulk.run import ReplayResult
from cds_adapters.bulk.vocabulary import MANY, Treatments
from cds_engine.replay.points import Patient

Json = dict[str, Any]
REGIME = "hypertension-intensification"
ACE, CCB = "314076", "197361"
OWN = "http://hospital.example/drugs"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ORDERS = "MedicationRequest.ndjson"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A simulated export as it is, file by file."""
    folder = tmp_path_factory.mktemp("simulated")
    command("simulate", "--world", "hypertension-cohort", "--out", folder, "--count", 60)
    return {path.name: path.read_text() for path in folder.glob("*.ndjson")}


def coding_of(order: Json) -> Json:
    found: Json = order["medicationCodeableConcept"]["coding"][0]
    return found


def recoded(
    simulated: dict[str, str], tmp_path: Path, *codes: str, every: int = 1, system: str = OWN
) -> Path:
    """Write the export with every so many orders of some drugs under another code."""
    orders = [json.loads(line) for line in simulated[ORDERS].splitlines()]
    some = [coding_of(one) for one in orders if coding_of(one)["code"] in codes]
    for coding in some[::every]:
        coding |= {"system": system, "code": f"99{coding['code']}"}
    return write(tmp_path / "data", simulated | {ORDERS: lines(orders)})


def counted(simulated: dict[str, str], code: str) -> int:
    return simulated[ORDERS].count(f'"code":"{code}"')


def replayed(data: Path, tmp_path: Path, **given: Any) -> ReplayResult:
    return run(data, tmp_path / "out", bundles=(bundle_files(REGIME),), complete=(), **given)


def vocabulary(tmp_path: Path) -> Json:
    found: Json = json.loads((tmp_path / "out" / "vocabulary.json").read_text())
    return found


def test_a_simulated_export_as_it_is_has_its_actions_on_record_and_no_warning(
    simulated: dict[str, str], tmp_path: Path
) -> None:
    found = replayed(write(tmp_path / "data", simulated), tmp_path)
    assert found.warnings == ()
    told = vocabulary(tmp_path)
    held = {"add_ace": counted(simulated, ACE), "add_ccb": counted(simulated, CCB)}
    assert told["actions"] == held
    assert all(held.values())
    assert told["treatments"] == {"MedicationRequest": {
        "resources": sum(held.values()), "unread": 0, "elsewhere": 0, "doubtful": False,
        "codes": {},
    }}  # fmt: skip


def packed(data: Path) -> Path:
    return data


def one_by_one(data: Path) -> Path:
    """Put a space before each line, so that no block of lines is judged at once."""
    for path in data.iterdir():
        path.write_text("".join(f" {line}\n" for line in path.read_text().splitlines()))
    return data


def in_a_bundle(data: Path) -> Path:
    resources = [
        json.loads(line) for path in sorted(data.iterdir())
        for line in path.read_text().splitlines()
    ]  # fmt: skip
    entry = [{"resource": one} for one in resources]
    body = {"resourceType": "Bundle", "type": "collection", "entry": entry}
    return write(data.parent / "bundle", {"all.json": json.dumps(body)})


def referred(data: Path) -> Path:
    """Let orders name a Medication each, which has the code."""
    orders = [json.loads(line) for line in (data / ORDERS).read_text().splitlines()]
    medications = {}
    for one in orders:
        concept = one.pop("medicationCodeableConcept")
        name = concept["coding"][0]["code"]
        medications[name] = {"resourceType": "Medication", "id": name, "code": concept}
        one["medicationReference"] = {"reference": f"Medication/{name}"}
    return write(data, {ORDERS: lines(orders), "Medication.ndjson": lines(medications.values())})


def as_events(data: Path) -> Path:
    folder = data.parent / "events"
    write_event_files(folder, [Patient(record, {}) for _, record in read_records(str(data))])
    return folder


@pytest.mark.parametrize("laid", [packed, one_by_one, in_a_bundle, referred, as_events])
def test_an_action_that_nobody_has_is_told_with_the_codes_that_may_be_it(
    simulated: dict[str, str], tmp_path: Path, laid: Callable[[Path], Path]
) -> None:
    found = replayed(laid(recoded(simulated, tmp_path, CCB)), tmp_path)
    count = counted(simulated, CCB)
    [words] = [words for words in found.warnings if "add_ccb" in words]
    assert words == (
        "the action add_ccb is on record for no patient, so that whoever was treated so counts as "
        "treated otherwise or not at all; the commonest MedicationRequest codes that nothing reads "
        f"are {OWN}|99{CCB} ({count}); map local codes in the site's settings, or name them in "
        "seen_as"
    )
    told = vocabulary(tmp_path)
    assert told["actions"]["add_ccb"] == 0
    assert told["unmapped"][f"MedicationRequest {OWN}|99{CCB}"] == count
    treated = told["treatments"]["MedicationRequest"]
    assert (treated["unread"], treated["elsewhere"]) == (count, count)


def test_all_drugs_under_local_codes_are_told_at_once(
    simulated: dict[str, str], tmp_path: Path
) -> None:
    [words] = replayed(recoded(simulated, tmp_path, ACE, CCB), tmp_path).warnings
    assert words.startswith("the actions add_ace, add_ccb are on record for no patient")


@pytest.mark.parametrize(
    "system", [pytest.param(OWN, id="local"), pytest.param(RXNORM, id="of the same system")]
)
def test_an_action_that_is_half_seen_is_asked_about(
    simulated: dict[str, str], tmp_path: Path, system: str
) -> None:
    data = recoded(simulated, tmp_path, CCB, every=2, system=system)
    [words] = replayed(data, tmp_path).warnings
    half = -(-counted(simulated, CCB) // 2)
    whole = counted(simulated, CCB) + counted(simulated, ACE)
    short = "rxnorm" if system == RXNORM else OWN
    assert words.startswith(
        f"{half} of {whole} MedicationRequests have codes that nothing reads, most often "
        f"{short}|99{CCB} ({half}); is one of them an action?"
    )


def test_drugs_for_other_diseases_raise_no_question(
    simulated: dict[str, str], tmp_path: Path
) -> None:
    """Of the same system, and far more than those that are read."""
    order = json.loads(simulated[ORDERS].splitlines()[0])
    coding_of(order)["code"] = "316672"
    others = [order | {"id": f"other-{n}"} for n in range(1000)]
    data = write(tmp_path / "data", simulated | {ORDERS: simulated[ORDERS] + lines(others)})
    assert replayed(data, tmp_path).warnings == ()
    assert vocabulary(tmp_path)["treatments"]["MedicationRequest"]["unread"] == 1000


@pytest.mark.parametrize(
    ("unread", "elsewhere", "doubtful"),
    [
        pytest.param(10, 10, False, id="a tenth is not many"),
        pytest.param(11, 0, True, id="much beside what is mostly read"),
        pytest.param(50, 0, True, id="half is mostly read"),
        pytest.param(51, 0, False, id="other treatments of the same system"),
        pytest.param(90, 10, False, id="a tenth elsewhere is not many"),
        pytest.param(90, 11, True, id="much in systems that nothing is read of"),
    ],
)
def test_what_is_many(unread: int, elsewhere: int, doubtful: bool) -> None:
    assert MANY == 0.1
    assert Treatments(100, unread, elsewhere).doubtful is doubtful


def test_bundles_without_any_order_say_which_actions_cannot_be_seen(tmp_path: Path) -> None:
    data = bundles(tmp_path / "data")
    for file in data.iterdir():
        body = json.loads(file.read_text())
        body["entry"] = [
            e for e in body["entry"] if not e["resource"]["resourceType"].startswith("Medication")
        ]
        write(data, {file.name: json.dumps(body)})
    [words] = [w for w in replayed(data, tmp_path).warnings if "add_ccb" in w]
    assert words.startswith("found for no patient: action add_ace, action add_ccb, because the")


# --- the site's own codes ---------------------------------------------------------------------

MAPPED = {f"{OWN}|99{ACE}": (f"rxnorm|{ACE}",), f"{OWN}|99{CCB}": (f"rxnorm|{CCB}",)}


@pytest.mark.parametrize("laid", [packed, in_a_bundle, referred])
def test_codes_that_are_mapped_are_seen_and_nothing_is_said(
    simulated: dict[str, str], tmp_path: Path, laid: Callable[[Path], Path]
) -> None:
    data = laid(recoded(simulated, tmp_path, ACE, CCB))
    assert replayed(data, tmp_path, codes=MAPPED).warnings == ()
    assert vocabulary(tmp_path)["actions"] == {
        "add_ace": counted(simulated, ACE), "add_ccb": counted(simulated, CCB),
    }  # fmt: skip


def test_who_mapped_some_codes_of_a_system_has_seen_the_others(
    simulated: dict[str, str], tmp_path: Path
) -> None:
    order = json.loads(simulated[ORDERS].splitlines()[0])
    coding_of(order).update(system=OWN, code="sleep")
    others = [order | {"id": f"other-{n}"} for n in range(1000)]
    data = recoded(simulated, tmp_path, ACE, CCB)
    write(data, {ORDERS: (data / ORDERS).read_text() + lines(others)})
    assert replayed(data, tmp_path, codes=MAPPED).warnings == ()


def test_an_entry_that_no_record_has_is_named(simulated: dict[str, str], tmp_path: Path) -> None:
    data = recoded(simulated, tmp_path, CCB)
    wrong = "http://hospital.exmple/drugs|99197361"
    codes = {wrong: (f"rxnorm|{CCB}",), **MAPPED, "http://x|1": ("snomed|404684003",)}
    del codes[f"{OWN}|99{ACE}"]
    [words] = replayed(data, tmp_path, codes=codes).warnings
    assert words == (
        f"the site's settings map {wrong}, and no resource that is read has that code; check "
        "system and code, letter by letter, against the records"
    )


def test_many_such_entries_are_told_in_one_sentence(
    simulated: dict[str, str], tmp_path: Path
) -> None:
    codes = {f"http://x|{n:02d}": ("loinc|8480-6",) for n in range(20)}
    [words] = replayed(write(tmp_path / "data", simulated), tmp_path, codes=codes).warnings
    assert "http://x|14 and 5 more, and no resource that is read has one of those codes" in words


# --- what is made of it -----------------------------------------------------------------------


def test_the_report_and_the_figures_tell_it_and_consistency_is_doubtful(
    simulated: dict[str, str], tmp_path: Path
) -> None:
    data = recoded(simulated, tmp_path, CCB)
    said = command("replay", data, "--bundle", REGIME, "--out", tmp_path / "out",
                   "--instant", "end", "--least-n", 5)  # fmt: skip
    assert said.code == 0
    assert "Vocabulary, each patient as of the last entry of the record" in said.out
    assert f"99{CCB}" in said.out
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    told = figures["run"]["vocabulary"]
    assert {"action": "add_ccb", "patients": 0} in told["actions"]
    code, count = f"MedicationRequest {OWN}|99{CCB}", counted(simulated, CCB)
    assert {"code": code, "number": count} in told["unmapped"]
    assert told["treatments"][0]["codes"] == [{"code": code, "number": count}]
    page = (tmp_path / "out" / "report.html").read_text()
    assert code in page
    assert "What the records hold of each action" in page
    ledger = figures["value"]["assumptions"]["ledger"]
    assert [one["judgement"] for one in ledger][:2] == ["doubtful", "doubtful"]
    assert "100% of the 0" not in page
    assert " nan" not in json.dumps(ledger)


def test_the_vocabulary_check_finds_an_action_that_nobody_has(tmp_path: Path) -> None:
    data = export(tmp_path / "data")
    text = (data / ORDERS).read_text().replace(RXNORM, OWN)
    write(data, {ORDERS: text})
    arguments = ("vocab", "check", REGIME, "--records", data)
    told = command(*arguments, "--json").document
    assert told["actions_nowhere"] == ["add_ace", "add_ccb"]
    said = command(*arguments)
    assert said.code == 1
    assert "Actions on record for no patient: add_ace, add_ccb; map local codes" in said.out
