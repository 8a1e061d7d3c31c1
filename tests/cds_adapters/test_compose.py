"""All parts are wired in one place: settings in, a service out, or a reason why not."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders.audit import a_record, change, open_store
from builders.live_service import STEPPED_CARE, ask, kept_in, live
from builders.shipped import RULES

from cds_adapters.clock import parse_instant, system_clock
from cds_adapters.compose import clock_of, compose
from cds_adapters.fhir.samples import sample_patient
from cds_adapters.site import Site
from cds_adapters.storage.database import StorageError, open_database
from cds_adapters.storage.shelf import ShelfError
from cds_engine.errors import CDSError, DocumentError
from cds_engine.vocabulary.time import iso

FROZEN = sample_patient("htn-uncontrolled").visits[0]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return kept_in(tmp_path)


@pytest.fixture
def client(database: str) -> Iterator[httpx.Client]:
    with live(database=database, allow_as_of=True) as client:
        yield client


def test_everything_answers(client: httpx.Client) -> None:
    regimes = {folder.name for folder in RULES.iterdir()}
    assert len(regimes) >= 7
    services = {service["id"] for service in client.get("/cds-services").json()["services"]}
    assert {f"{regime}-patient-view" for regime in regimes} <= services
    health = client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "ready")
    assert set(health.json()["served"]) == regimes
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_decision_has_its_page_and_its_record(client: httpx.Client, database: str) -> None:
    answer = ask(client)
    assert answer.status_code == 200
    decision = answer.json()["extension"]["org.cds-engine.decision"]
    assert client.get(f"/decisions/{decision['id']}").status_code == 200
    with open_store(database) as store:
        record = store.get(decision["id"])
    assert record is not None
    assert (record.outcome, record.service) == (decision["outcome"], STEPPED_CARE)


def test_a_frozen_clock_stands_still_and_the_own_one_goes_on() -> None:
    clock = clock_of(Site(as_of=FROZEN))
    assert clock() == clock() == parse_instant(FROZEN)
    assert clock_of(Site()) is system_clock


def test_a_frozen_instant_is_on_every_card(database: str) -> None:
    with live(database=database, as_of=FROZEN) as client:
        answer = ask(client, visit=None)
    body = answer.json()
    assert body["extension"]["org.cds-engine.decision"]["as_of"] == iso(parse_instant(FROZEN))
    assert body["cards"]
    assert all(FROZEN[:10] in card["detail"] for card in body["cards"])
    assert all("demonstration" in card["summary"].lower() for card in body["cards"])


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        pytest.param({"as_of": "today"}, CDSError, "'today' is no instant", id="the clock"),
        pytest.param(
            {"as_of": "1066-10-14T09:00:00Z"},
            CDSError,
            "outside the years 1900 to 2199",
            id="a clock that stands too early",
        ),
        pytest.param({"rules": "nowhere"}, ShelfError, "holds no rule bundle", id="the rules"),
        pytest.param(
            {"database": "sqlite://"},
            StorageError,
            "in memory, which keeps no audit",
            id="a database in memory",
        ),
        pytest.param({"database": "x"}, StorageError, "is no database URL", id="no database"),
        pytest.param(
            {"time_zone": "Mars/Olympus"}, DocumentError, "Mars/Olympus", id="the time zone"
        ),
    ],
)
def test_what_cannot_be_used_stops_the_start_and_says_why(
    tmp_path: Path, settings: dict[str, Any], kind: type[CDSError], words: str
) -> None:
    if "rules" in settings:
        settings = {"rules": tmp_path / settings["rules"]}
    with pytest.raises(kind, match=words):
        compose(Site(**({"database": kept_in(tmp_path)} | settings)))


def test_a_broken_rule_bundle_stops_the_start_with_all_faults(
    tmp_path: Path, database: str
) -> None:
    folder = tmp_path / "rules" / "broken" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "bundle.yaml").write_text("regime: broken\nversion: 1.0.0\n")
    with pytest.raises(DocumentError, match=r"broken/1\.0\.0: title"):
        compose(Site(database=database, rules=tmp_path / "rules"))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        pytest.param(
            "UPDATE audit SET outcome = 'no_change' WHERE seq = 3",
            "row 3: its hash",
            id="a row that was changed",
        ),
        pytest.param(
            "DELETE FROM audit WHERE seq = 3",
            "row 3: it is missing; 3 rows were",
            id="a row that is gone",
        ),
        pytest.param("DELETE FROM audit_head", "the head of the chain", id="the head"),
    ],
)
def test_a_damaged_audit_stops_the_start(database: str, statement: str, words: str) -> None:
    with open_store(database) as store:
        for _ in range(3):
            store.append(a_record()).result(30)
    engine = open_database(database)
    change(engine, statement)
    engine.dispose()
    with pytest.raises(StorageError, match=f"the audit is not as it was written: .*{words}"):
        compose(Site(database=database))


def test_a_second_start_goes_on_with_the_same_audit(database: str) -> None:
    ids = []
    for _ in range(2):
        with live(database=database, as_of=FROZEN) as client:
            ids.append(ask(client, visit=None).json()["extension"]["org.cds-engine.decision"]["id"])
    with open_store(database) as store:
        assert [record.id for record in store.iterate()] == ids
        assert {(r.frozen, r.as_of) for r in store.iterate()} == {(True, parse_instant(FROZEN))}


def test_a_start_that_fails_leaves_no_writer_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(DocumentError):
        compose(Site(database=kept_in(tmp_path), time_zone="Mars/Olympus"))
    assert threading.active_count() == before
