"""The rewind page shows what was known at an instant, and nothing that came later."""

import asyncio
from functools import cache
from pathlib import Path

import httpx
import pytest
from builders.html_pages import Element, read_page
from builders.replays import RULES, bundles, export, write
from fakes.web_audit import FakeAudit
from fastapi import FastAPI

from cds_adapters.bulk.folder import PatientFolder
from cds_adapters.clock import parse_instant
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.files import read_records
from cds_adapters.site import Site
from cds_adapters.storage.shelf import Shelf
from cds_adapters.web.pages import Pages, add_pages
from cds_adapters.web.words import OUTCOMES
from cds_engine.decide.regime import Regime
from cds_engine.vocabulary.time import Instant, iso

NOW: Instant = 1_780_272_000_000_000
"""2026-06-01T00:00:00Z."""

PATIENT = "htn-uncontrolled-0"
VISIT = "2025-04-28T09:30:00Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("patients"))


@cache
def shipped_shelf() -> Shelf:
    return Shelf(RULES)


def reader(patients: PatientFolder | None, shelf: Shelf | None = None) -> FastAPI:
    app = FastAPI()
    shelf = shelf or shipped_shelf()
    regimes = {bundle.identity: Regime(bundle) for bundle in shelf}
    add_pages(app, Pages(shelf, regimes, FakeAudit(), Site(), lambda: NOW, patients=patients))
    return app


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    return reader(PatientFolder(folder))


def get(app: FastAPI, path: str, **query: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, params=query)

    return asyncio.run(send())


def page(app: FastAPI, patient: str = PATIENT, **query: str) -> Element:
    response = get(app, f"/patients/{patient}", **query)
    assert response.status_code == 200, response.text
    return read_page(response.text)


def variables(root: Element) -> dict[str, str]:
    """Return variable -> value in words, off the table of what was known."""
    table = next(t for t in root.find("table") if "as it stood" in t.words())
    rows = table.find("tbody")[0].find("tr")
    return {row.find("code")[0].words(): row.find("td")[0].words() for row in rows}


def links(root: Element) -> dict[str, str]:
    return {a.words(): a.attributes["href"] for a in root.find("a")}


def test_shows_every_variable_as_the_regime_read_it(app: FastAPI, folder: Path) -> None:
    root = page(app, as_of="2025-04-28T09:45:00Z", regime="hypertension-stepped-care")
    shown = variables(root)
    regime = Regime(shipped_shelf().find("hypertension-stepped-care"))
    assert shown.keys() == regime.bundle.base_variables.keys()
    assert shown["step"] == "Advise on diet, salt, weight, alcohol and exercise"
    assert shown["pregnancy_status"] == "missing (not on record)"
    [(_, record)] = read_records(folder, patient=PATIENT)
    _, decision = regime.decide(record, parse_instant("2025-04-28T09:45:00Z"))
    assert OUTCOMES[decision.outcome] in root.find("section")[0].words()


def test_going_back_hides_what_came_later(app: FastAPI) -> None:
    early = variables(page(app, as_of="2024-01-01T00:00:00Z", regime="hypertension-stepped-care"))
    late = variables(page(app, as_of="2026-01-01T00:00:00Z", regime="hypertension-stepped-care"))
    assert early["hypertension"] == "no"
    assert late["hypertension"] == "yes"
    assert (early["step"], late["step"]) == ("nothing yet", "Start lisinopril 10 mg once daily")


def test_says_how_much_is_not_looked_at(app: FastAPI) -> None:
    words = page(app, as_of="2020-01-01T00:00:00Z").words()
    assert "0 source records were known by then." in words
    assert "more were recorded later, and nothing here rests on them." in words
    assert "None was recorded later." in page(app).words()


def test_the_instant_is_now_unless_the_address_says_otherwise(app: FastAPI) -> None:
    assert "What was known as of 2026-06-01 00:00:00 UTC" in page(app).words()
    assert "as of 2025-04-28 09:30:00 UTC" in page(app, as_of=VISIT).words()
    assert "as of 2025-04-28 07:30:00 UTC" in page(app, as_of="2025-04-28T09:30:00+02:00").words()


def test_leads_to_the_entries_before_and_after_and_to_every_encounter(
    app: FastAPI, folder: Path
) -> None:
    root = page(app, as_of=VISIT)
    found = links(root)
    before = next(href for words, href in found.items() if words.startswith("Entry before"))
    after = next(href for words, href in found.items() if words.startswith("Next entry"))
    [(_, record)] = read_records(folder, patient=PATIENT)
    recorded = {iso(event.recorded) for event in record.events}
    for href in (before, after):
        assert get(app, href).status_code == 200
        assert httpx.URL(href).params["as_of"] in recorded
    assert "No entry before" in page(app, as_of="2000-01-01T00:00:00Z").words()
    assert "No entry after" in page(app).words()
    encounters = sum(event.kind == "encounter" for event in record.events)
    table = next(t for t in root.find("table") if "whole record" in t.words())
    assert len(table.find("tbody")[0].find("tr")) == encounters


def test_every_regime_says_its_word_and_one_is_shown_in_full(app: FastAPI) -> None:
    root = page(app, as_of=VISIT, regime="hypertension-stepped-care")
    table = next(t for t in root.find("table") if "newest version of every regime" in t.words())
    words = table.words()
    assert all(bundle.identity in words for bundle in shipped_shelf().newest())
    chosen = [o for o in root.find("option") if "selected" in o.attributes]
    assert [o.attributes["value"] for o in chosen] == ["hypertension-stepped-care"]


def test_an_older_version_can_be_asked_as_a_replay_of_it_was(folder: Path, tmp_path: Path) -> None:
    regime = "hypertension-stepped-care"
    for version in ("1.0.0", "2.0.0"):
        text = (RULES / regime / "1.0.0" / "bundle.yaml").read_text().replace("1.0.0", version, 1)
        (tmp_path / regime / version).mkdir(parents=True)
        (tmp_path / regime / version / "bundle.yaml").write_text(text)
    app = reader(PatientFolder(folder), Shelf(tmp_path))
    for asked, shown in (
        (f"{regime}@1.0.0", ["2.0.0", "1.0.0"]), (f"{regime}@2.0.0", ["2.0.0"]),
        (regime, ["2.0.0"]),
    ):  # fmt: skip
        root = page(app, as_of=VISIT, regime=asked)
        rows = next(t for t in root.find("table") if "every regime" in t.words()).find("tr")[1:]
        assert [row.find("code")[0].words() for row in rows] == [f"{regime}@{v}" for v in shown]
        [decided] = [one.words() for one in root.find("p") if one.words().startswith("Decided by")]
        assert decided.endswith(f"{regime}@{shown[-1]}")
        [chosen] = [one for one in root.find("option") if "selected" in one.attributes]
        assert chosen.attributes["value"] == (asked if len(shown) == 2 else regime)
        stops = [one.attributes["href"] for one in root.find("a") if "as_of" in str(one.attributes)]
        assert ("%401.0.0" in stops[0]) == (len(shown) == 2)


@pytest.mark.parametrize(
    ("asked", "read_by"),
    [
        pytest.param("hypertension-stepped-care@3.0.0", "hypertension-stepped-care@1.0.0",
                     id="another version of a regime that is read"),
        pytest.param("hypertension-from-records@1.0.0", "hypertension", id="a regime that is not"),
    ],
)  # fmt: skip
def test_where_a_regime_is_not_read_nothing_is_said_in_its_place(
    app: FastAPI, asked: str, read_by: str
) -> None:
    response = get(app, f"/patients/{PATIENT}", as_of=VISIT, regime=asked)
    assert response.status_code == 404
    root = read_page(response.text)
    words = root.words()
    assert f"{asked} was not asked" in words
    assert "nothing is known of what it would have said" in words
    assert not [one for one in root.find("section") if "outcome" in one.attributes.get("class", "")]
    assert "Decided by" not in words
    assert "What each regime said" not in words
    assert not any(outcome in words for outcome in OUTCOMES.values())
    [chosen] = [one for one in root.find("option") if "selected" in one.attributes]
    assert chosen.attributes["value"] == asked
    assert len(root.find("option")) == 1 + len(shipped_shelf().newest())
    [table] = [one for one in root.find("table") if "as it stood" in one.words()]
    assert table.find("caption")[0].words().startswith(f"Every variable that {read_by}")
    stops = [one.attributes["href"] for one in root.find("a") if "as_of" in str(one.attributes)]
    assert all(httpx.URL(one).params["regime"] == asked for one in stops)


def test_opens_with_the_first_regime_that_has_a_word_on_the_patient(app: FastAPI) -> None:
    root = page(app, as_of=VISIT)
    rows = next(t for t in root.find("table") if "every regime" in t.words()).find("tr")[1:]
    assert rows[0].find("td")[0].words() == "Not applicable"
    stages = {row.find("code")[0].words(): row.find("td")[1].words() for row in rows}
    at_a_stage = [name for name, stage in stages.items() if len(stage) > 1]
    assert at_a_stage[0].startswith("hypertension")
    assert decided_by(root) == at_a_stage[0]


def decided_by(root: Element) -> str:
    [found] = [one for one in root.find("p") if one.words().startswith("Decided by")]
    return found.find("code")[0].words()


def test_a_regime_that_is_not_in_force_is_not_opened_first(folder: Path, tmp_path: Path) -> None:
    regime = "hypertension-stepped-care"
    text = (RULES / regime / "1.0.0" / "bundle.yaml").read_text()
    later = text.replace(f"regime: {regime}", "regime: a-later-one", 1)
    for name, yaml in (("a-later-one", f"{later}\neffective_from: 2030-01-01\n"), (regime, text)):
        (tmp_path / name / "1.0.0").mkdir(parents=True)
        (tmp_path / name / "1.0.0" / "bundle.yaml").write_text(yaml)
    app = reader(PatientFolder(folder), Shelf(tmp_path))
    root = page(app, as_of=VISIT)
    assert "version not yet in force" in root.words()
    assert decided_by(root) == f"{regime}@1.0.0"
    assert decided_by(page(app, as_of=VISIT, regime="a-later-one")) == "a-later-one@1.0.0"


def test_what_is_withheld_stays_so_when_the_form_is_sent(app: FastAPI, folder: Path) -> None:
    [(_, record)] = read_records(folder, patient=PATIENT)
    source = next(event.source for event in record.events if event.kind == "request")
    root = page(app, as_of="2026-01-01T00:00:00Z", without=source)
    [held] = [box.attributes for box in root.find("input") if box.attributes["name"] == "without"]
    assert (held["type"], held["value"]) == ("hidden", source)
    assert not [box for box in page(app).find("input") if box.attributes["name"] == "without"]


def test_patients_are_listed_and_asked_for_by_their_ids(app: FastAPI, folder: Path) -> None:
    root = read_page(get(app, "/patients").text)
    names = {name for name, _ in read_records(folder)}
    assert f"{len(names)} patients are in the folder" in root.words()
    found = [one for one in root.find("a") if one.attributes["href"].startswith("/patients/")]
    assert {one.words() for one in found} == names
    assert get(app, found[0].attributes["href"]).status_code == 200
    assert "/patients" in links(root).values()
    assert "/patients" in links(page(app)).values()
    sent = get(app, "/patients", id=" a/b?c ")
    assert (sent.status_code, sent.headers["location"]) == (303, "/patients/a%2Fb%3Fc")


def test_of_many_patients_the_first_are_listed() -> None:
    class Many(PatientFolder):
        def __init__(self) -> None:
            self.path = Path()

        def names(self) -> tuple[str, ...]:
            return tuple(f"p{n}" for n in range(1234))

    root = read_page(get(reader(Many()), "/patients").text)
    found = [one for one in root.find("a") if one.attributes["href"].startswith("/patients/")]
    assert "1,234 patients are in the folder" in root.words()
    assert [one.words() for one in found] == [f"p{n}" for n in range(50)]


def test_without_a_folder_the_list_says_how_to_name_one() -> None:
    response = get(reader(None), "/patients")
    assert response.status_code == 200
    root = read_page(response.text)
    assert "Start it with --patients and a folder of FHIR records" in root.words()
    assert "/patients" not in links(root).values()


def test_an_instant_that_is_none_is_said_and_kept_as_typed(app: FastAPI) -> None:
    response = get(app, f"/patients/{PATIENT}", as_of="<b>soon")
    assert response.status_code == 400
    root = read_page(response.text)
    assert "is no instant; write it with date, time and offset" in root.words()
    assert root.find("input")[0].attributes["value"] == "<b>soon"
    assert not root.find("b")


def test_a_patient_who_is_not_there_is_said(app: FastAPI) -> None:
    for name in ("nobody", "..%2F..%2Fetc%2Fpasswd", "%3Cscript%3E"):
        response = get(app, f"/patients/{name}")
        assert response.status_code == 404
        assert "script" not in response.text


def test_without_a_folder_no_patient_is_shown() -> None:
    response = get(reader(None), f"/patients/{PATIENT}")
    assert response.status_code == 404
    assert "Start it with --patients" in response.text


def test_is_well_formed_with_unique_ids_labels_and_no_script(app: FastAPI) -> None:
    response = get(app, f"/patients/{PATIENT}", as_of=VISIT)
    root = read_page(response.text)
    ids = [e.attributes["id"] for e in root.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    fields = root.find("input") + root.find("select")
    labelled = {label.attributes["for"] for label in root.find("label")}
    assert {field.attributes["id"] for field in fields} <= labelled
    assert not root.find("script")
    assert response.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_a_folder_of_any_form_is_read_and_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    found = PatientFolder(bundles(tmp_path / "bundles")).find(PATIENT)
    assert found is not None
    assert found.person.key == PATIENT
    with pytest.raises(FHIRError, match="nowhere does not exist; name the folder"):
        PatientFolder(tmp_path / "nowhere")


def test_the_ids_of_every_form_of_folder_are_found(tmp_path: Path, folder: Path) -> None:
    expected = PatientFolder(folder).names()
    assert expected == tuple(sorted(name for name, _ in read_records(folder)))
    assert PatientFolder(bundles(tmp_path / "bundles")).names() == expected
    mixed = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
    write(tmp_path / "mixed", {"all.ndjson.gz": mixed + b'{"resourceType": "Patient", \n'})
    assert PatientFolder(tmp_path / "mixed").names() == expected


def test_the_ids_are_read_again_when_the_folder_changes(tmp_path: Path) -> None:
    patient = '{"resourceType": "Patient", "id": "p%d"}\n'
    write(tmp_path, {"Patient.ndjson": patient % 10})
    patients = PatientFolder(tmp_path)
    assert patients.names() == ("p10",)
    write(tmp_path, {"Patient.ndjson": patient % 10 + patient % 9})
    assert patients.names() == ("p9", "p10")


def test_a_record_is_read_once_while_somebody_goes_back_and_forth_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patients = PatientFolder(folder)
    first = patients.find(PATIENT)
    monkeypatch.setattr("cds_adapters.bulk.folder.records_in", lambda *_: pytest.fail("again"))
    assert patients.find(PATIENT) is first
