"""What the audit holds is found again, by its id, newest first, counted, or all in order."""

import pytest
from builders.audit import a_record
from sqlalchemy import Engine, text

from cds_adapters.storage.audit import AuditStore
from cds_adapters.storage.database import StorageError, open_database
from cds_adapters.storage.reader import AuditReader

RECORDS = (
    a_record(outcome="recommendation"),
    a_record(outcome="abstention"),
    a_record(outcome="recommendation", version="1.1.0"),
    a_record(outcome="no_change", regime="other"),
    a_record(outcome="error", regime="", version="", status=500, cards=()),
)


@pytest.fixture
def reader(store: AuditStore) -> AuditReader:
    for record in RECORDS:
        store.append(record).result(30)
    return AuditReader(store.engine)


def test_one_is_found_by_its_id(reader: AuditReader) -> None:
    assert [reader.get(record.id) for record in RECORDS] == [*RECORDS]
    assert reader.get("nobody's") is None
    assert reader.receipt("nobody's") is None


@pytest.mark.parametrize(
    ("limit", "regime", "outcome", "found"),
    [
        pytest.param(10, None, None, [4, 3, 2, 1, 0], id="all"),
        pytest.param(2, None, None, [4, 3], id="the newest two"),
        pytest.param(10, "pressure-demo", None, [2, 1, 0], id="of a regime"),
        pytest.param(10, None, "recommendation", [2, 0], id="with an outcome"),
        pytest.param(1, "pressure-demo", "recommendation", [2], id="both"),
        pytest.param(10, "nobody's", None, [], id="none"),
    ],
)
def test_the_newest_come_first(
    reader: AuditReader, limit: int, regime: str | None, outcome: str | None, found: list[int]
) -> None:
    assert reader.recent(limit, regime, outcome) == tuple(RECORDS[i] for i in found)


@pytest.mark.parametrize(
    ("regime", "version", "counts"),
    [
        pytest.param(
            None, None, {"abstention": 1, "error": 1, "no_change": 1, "recommendation": 2}, id="all"
        ),
        pytest.param("pressure-demo", None, {"abstention": 1, "recommendation": 2}, id="regime"),
        pytest.param("pressure-demo", "1.1.0", {"recommendation": 1}, id="version"),
        pytest.param("nobody's", None, {}, id="none"),
    ],
)
def test_outcomes_are_counted(
    reader: AuditReader, regime: str | None, version: str | None, counts: dict[str, int]
) -> None:
    assert reader.outcome_counts(regime, version) == counts


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_all_are_read_in_order_whatever_the_batch(reader: AuditReader, batch: int) -> None:
    assert tuple(reader.iterate(batch=batch)) == RECORDS


def test_a_card_leads_to_its_decision(reader: AuditReader) -> None:
    assert reader.decision_of(RECORDS[2].cards[0].uuid) == RECORDS[2].id
    assert reader.decision_of("nobody's") is None


def test_tables_that_are_not_there_are_said_so(url: str) -> None:
    engine = open_database(url)
    with pytest.raises(StorageError, match=r"cannot be read: .*; check that the database is run"):
        AuditReader(engine).recent(1)
    engine.dispose()


def test_a_head_that_was_removed_is_none(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_head"))
    assert AuditReader(engine).head() is None
