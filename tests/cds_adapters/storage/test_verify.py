"""Whoever touches the audit is found out, and every decision in it comes out again."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from builders.audit import RULES, a_bundle, a_decided_record, a_record, change
from sqlalchemy import Engine

from cds_adapters.storage.audit import AuditStore
from cds_adapters.storage.database import StorageError
from cds_adapters.storage.records import AuditRecord
from cds_adapters.storage.rows import GENESIS, Receipt, header_of, link, to_entry
from cds_adapters.storage.verify import (
    END,
    Difference,
    VerifyReport,
    reevaluate,
    require_sound,
    require_sound_end,
    verify,
)
from cds_engine import SEMANTICS_VERSION
from cds_engine.bundle.model import RuleBundle

FORGED_HASH = {"sqlite": "x'" + "ab" * 32 + "'", "postgresql": "'\\x" + "ab" * 32 + "'"}
BLOB = {"sqlite": "x'7b7d'", "postgresql": "'\\x7b7d'"}
COPY = (
    "INSERT INTO audit SELECT {seq}, 'forged', at, as_of, source, outcome, status, regime, version,"
    " digest, semantics, engine, stage, action, frozen, hook, hook_instance, service, cards,"
    " reasons, error, duration, history, decision, {chain} FROM audit WHERE seq = 1"
)


@pytest.fixture
def filled(store: AuditStore) -> AuditStore:
    for _ in range(10):
        store.append(a_record()).result(30)
    return store


def test_an_untouched_chain_is_sound(filled: AuditStore) -> None:
    report = verify(filled)
    end = filled.head()
    assert end is not None
    assert report == VerifyReport(10, None, "", 10, end.chain.hex())
    assert report.sound
    assert str(report).startswith("chain: 10 rows, all as they were written; row 10 has the hash ")
    assert require_sound(filled) == report


def test_an_empty_audit_is_sound(store: AuditStore) -> None:
    assert verify(store) == VerifyReport(0, None, "", 0, GENESIS.hex())


CHANGED = "its hash does not fit its content and the row before it"
MISSING = "it is missing; the next row there is has the number"
MOVE = "UPDATE audit SET seq = {} WHERE seq = {}"


@pytest.mark.parametrize(
    ("statements", "first_bad", "why"),
    [
        pytest.param(["UPDATE audit SET outcome = 'no_change' WHERE seq = 4"], 4, CHANGED,
                     id="au-01 a column"),
        pytest.param(["UPDATE audit SET action = NULL WHERE seq = 4"], 4, CHANGED,
                     id="au-01 a column is emptied"),
        pytest.param(["UPDATE audit SET at = at + 1 WHERE seq = 10"], 10, CHANGED,
                     id="au-01 the last row"),
        pytest.param(["UPDATE audit SET chain = {forged} WHERE seq = 3"], 3, CHANGED,
                     id="au-01 the hash"),
        pytest.param(["UPDATE audit SET history = {blob} WHERE seq = 5"], 5, CHANGED,
                     id="au-02 the history"),
        pytest.param(["UPDATE audit SET decision = {blob} WHERE seq = 5"], 5, CHANGED,
                     id="au-02 the decision"),
        pytest.param(["DELETE FROM audit WHERE seq = 1"], 1, f"{MISSING} 2", id="au-03 the first"),
        pytest.param(["DELETE FROM audit WHERE seq IN (6, 7)"], 6, f"{MISSING} 8", id="au-03 two"),
        pytest.param(["DELETE FROM audit WHERE seq = 10"], 10, "it is missing; 10 rows were",
                     id="au-03 the last"),
        pytest.param(["DELETE FROM audit WHERE seq = 6",
                      *(MOVE.format(i - 1, i) for i in range(7, 11))], 6, CHANGED,
                     id="au-03 one, and the rest moved up"),
        pytest.param([MOVE.format(99, 3), MOVE.format(3, 8), MOVE.format(8, 99)], 3, CHANGED,
                     id="au-04 two rows change places"),
        pytest.param([*(MOVE.format(i + 1, i) for i in range(10, 4, -1)),
                      COPY.format(seq=5, chain="chain")], 5, CHANGED, id="au-05 in the middle"),
        pytest.param([COPY.format(seq=11, chain="{forged}")], 11, CHANGED, id="au-05 at the end"),
        pytest.param([COPY.format(seq=0, chain="chain")], None, "", id="au-05 before the first"),
        pytest.param(["DELETE FROM audit WHERE seq > 7"], 8, "it is missing; 10 rows were written",
                     id="au-06 the end, not the head"),
        pytest.param(["DELETE FROM audit_head"], 11, "the head of the chain, which says where",
                     id="the head"),
    ],
)  # fmt: skip
def test_the_first_row_that_was_touched_is_named(
    filled: AuditStore, engine: Engine, statements: list[str], first_bad: int | None, why: str
) -> None:
    name = engine.dialect.name
    words = {"forged": FORGED_HASH[name], "blob": BLOB[name]}
    change(engine, *(statement.format(**words) for statement in statements))
    report = verify(filled)
    assert report.first_bad == first_bad
    assert report.why.startswith(why)
    assert report.rows == (10 if first_bad is None else first_bad - 1)
    if first_bad is not None:
        with pytest.raises(StorageError, match=f"row {first_bad}: .*; keep this database as evid"):
            require_sound(filled)


def forge(store: AuditStore, record: AuditRecord, after: Receipt) -> str:
    """Return the SQL literal of the right hash of a forged copy of row 1 after some row."""
    first = next(iter(store.rows()))
    values = ("forged", *first[2:-1])
    chain = link(after.chain, after.seq + 1, header_of(values), record.history, record.decision)
    quote = "x'{}'" if store.engine.dialect.name == "sqlite" else "'\\x{}'"
    return quote.format(chain.hex())


def test_au_05_a_well_forged_row_at_the_end_is_not_the_service_s(
    filled: AuditStore, engine: Engine
) -> None:
    end = filled.head()
    assert end is not None
    chain = forge(filled, next(filled.iterate()), end)
    change(engine, COPY.format(seq=11, chain=chain))
    report = verify(filled)
    assert (report.rows, report.first_bad) == (10, 11)
    assert "10 rows are sound, row 11 is not: the service did not write it" in str(report)
    assert report.why == "the service did not write it; its last row is number 10"


def test_au_07_what_a_chain_cannot_find_a_head_kept_elsewhere_does(
    filled: AuditStore, engine: Engine
) -> None:
    """Somebody who may write everything cuts the end off and moves the head back."""
    kept = filled.head()
    change(
        engine,
        "DELETE FROM audit WHERE seq > 7",
        "UPDATE audit_head SET seq = 7, chain = (SELECT chain FROM audit WHERE seq = 7)",
    )
    report = verify(filled)
    assert report.sound, "in principle nothing in the database can show it"
    assert kept is not None
    assert report.last < kept.seq, "what was kept elsewhere shows it"


def test_checking_can_go_on_from_a_row_that_is_known_to_be_sound(filled: AuditStore) -> None:
    sixth = Receipt(*[(row.seq, row.chain) for row in filled.rows()][5])
    assert verify(filled, after=sixth).rows == 4
    wrong = verify(filled, after=Receipt(6, GENESIS))
    assert (wrong.rows, wrong.first_bad) == (0, 7)


def test_the_service_may_write_while_the_chain_is_checked(
    filled: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = filled.head

    def head_and_one_more() -> Receipt | None:
        found = head()
        filled.append(a_record()).result(30)
        return found

    monkeypatch.setattr(filled, "head", head_and_one_more)
    report = verify(filled)
    assert report.sound
    assert report.rows >= 11


def test_a_database_that_cannot_be_read_is_not_sound(filled: AuditStore, engine: Engine) -> None:
    change(engine, "ALTER TABLE audit RENAME TO elsewhere")
    report = verify(filled)
    assert report.first_bad == 1
    assert "cannot be read" in report.why


# --- the end alone ----------------------------------------------------------------------------


@pytest.fixture
def last_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_adapters.storage.verify.END", 4)


@pytest.mark.usefixtures("last_four")
def test_before_a_start_only_the_last_rows_are_read(filled: AuditStore) -> None:
    end = filled.head()
    assert end is not None
    assert require_sound_end(filled) == VerifyReport(4, None, "", 10, end.chain.hex())


def test_a_short_audit_is_read_whole_before_a_start(filled: AuditStore) -> None:
    assert END > 10
    assert require_sound_end(filled) == verify(filled)


def test_an_empty_audit_is_a_good_start(store: AuditStore) -> None:
    assert require_sound_end(store).rows == 0


@pytest.mark.usefixtures("last_four")
@pytest.mark.parametrize("rows", [4, 5, 6])
def test_the_end_is_found_however_many_rows_there_are(store: AuditStore, rows: int) -> None:
    for _ in range(rows):
        store.append(a_record()).result(30)
    report = require_sound_end(store)
    assert (report.rows, report.last) == (4, rows)


@pytest.mark.usefixtures("last_four")
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        pytest.param("UPDATE audit SET outcome = 'x' WHERE seq = 10", "row 10: its hash does not",
                     id="the last row"),
        pytest.param("UPDATE audit SET outcome = 'x' WHERE seq = 7", "row 7: its hash does not",
                     id="the first of the rows that are read"),
        pytest.param("UPDATE audit SET chain = {forged} WHERE seq = 6", "row 7: its hash does not",
                     id="the hash that they rest on"),
        pytest.param("DELETE FROM audit WHERE seq = 8", "row 8: it is missing; the next row there",
                     id="one is gone"),
        pytest.param("DELETE FROM audit WHERE seq = 10", "row 10: it is missing; 10 rows were wri",
                     id="the last is gone"),
        pytest.param("DELETE FROM audit WHERE seq >= 6", "row 6: it is missing; 10 rows were wri",
                     id="all of them are gone"),
        pytest.param("DELETE FROM audit", "row 1: it is missing; 10 rows were written",
                     id="everything is gone"),
        pytest.param("DELETE FROM audit_head", "row 11: the head of the chain, which says where",
                     id="the head is gone"),
        pytest.param(COPY.format(seq=11, chain="{forged}"), "row 11: its hash does not fit",
                     id="one that was slipped in at the end"),
    ],
)  # fmt: skip
def test_a_damaged_end_is_no_start(
    filled: AuditStore, engine: Engine, statement: str, words: str
) -> None:
    change(engine, statement.format(forged=FORGED_HASH[engine.dialect.name]))
    with pytest.raises(StorageError, match="the audit is not as it was written") as refused:
        require_sound_end(filled)
    assert words in str(refused.value)
    assert "; keep this database as evidence and go on with a sound copy" in str(refused.value)


@pytest.mark.usefixtures("last_four")
def test_what_lies_further_back_is_for_verify(filled: AuditStore, engine: Engine) -> None:
    change(engine, "UPDATE audit SET outcome = 'x' WHERE seq = 5")
    assert require_sound_end(filled).sound
    assert verify(filled).first_bad == 5


def test_an_audit_that_cannot_be_read_is_no_start(filled: AuditStore, engine: Engine) -> None:
    change(engine, "ALTER TABLE audit RENAME TO elsewhere")
    with pytest.raises(StorageError, match="cannot be read"):
        require_sound_end(filled)


# --- every decision again ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle() -> RuleBundle:
    return a_bundle()


Find = Callable[[str], RuleBundle | None]


@pytest.fixture
def find(bundle: RuleBundle) -> Find:
    return {bundle.digest: bundle}.get


def put(store: AuditStore, *records: AuditRecord) -> None:
    for record in records:
        store.append(record).result(30)


def test_rl_29_every_decision_comes_out_again(
    store: AuditStore, bundle: RuleBundle, find: Find
) -> None:
    put(
        store,
        *(a_decided_record(bundle, age=a, sbp=p) for a in (17, 18, 70) for p in (129, 130, 200)),
        a_decided_record(bundle, age=50),
        a_decided_record(bundle),
        a_record(outcome="error", history=b"", decision=b"", digest="", semantics=0),
    )
    report = reevaluate(store, find)
    assert report.complete
    assert (report.rows, report.identical, report.errors) == (12, 11, 1)
    outcomes = {record.outcome for record in store.iterate()}
    assert {"recommendation", "no_change", "abstention", "not_applicable"} <= outcomes


def difference(store: AuditStore, find: Find, record: AuditRecord) -> tuple[str, ...]:
    put(store, record)
    report = reevaluate(store, find)
    assert not report.complete
    assert report.identical == report.rows - 1
    (found,) = report.differences
    assert found == Difference(record.id, report.rows, found.fields)
    return found.fields


def with_decision(record: AuditRecord, **changes: object) -> AuditRecord:
    plain = {**json.loads(record.decision), **changes}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return replace(record, decision=text.encode())


@pytest.mark.parametrize("others", [0, 3])
def test_a_seeded_difference_is_named(
    store: AuditStore, bundle: RuleBundle, find: Find, others: int
) -> None:
    put(store, *(a_decided_record(bundle, age=60, sbp=120) for _ in range(others)))
    record = a_decided_record(bundle, age=60, sbp=150)
    changed = with_decision(record, action="monitor", outcome="no_change")
    assert difference(store, find, changed) == ("action", "outcome")


def test_a_history_that_was_changed_gives_another_decision(
    store: AuditStore, bundle: RuleBundle, find: Find
) -> None:
    high, low = a_decided_record(bundle, age=60, sbp=150), a_decided_record(bundle, age=60, sbp=120)
    fields = difference(store, find, replace(high, history=low.history))
    assert {"action", "outcome", "state", "outcome (of the row)", "action (of the row)"} <= {
        *fields
    }


@pytest.mark.parametrize(
    "changed",
    [{"outcome": "no_change"}, {"stage": None}, {"action": "monitor"}, {"as_of": 1},
     {"version": "2"}],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_a_row_that_says_something_else_than_its_decision_is_named(
    store: AuditStore, bundle: RuleBundle, find: Find, changed: dict[str, object]
) -> None:
    record = a_decided_record(bundle, age=60, sbp=150)
    found = difference(store, find, replace(record, **changed))  # type: ignore[arg-type]
    assert found == (f"{next(iter(changed))} (of the row)",)


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        pytest.param({"history": b""}, ("history (unreadable: JSONDecodeError)",), id="none"),
        pytest.param({"history": b"{}"}, ("history (unreadable: KeyError)",), id="empty"),
        pytest.param({"history": b"[]"}, ("history (unreadable: TypeError)",), id="a list"),
        pytest.param({"decision": b"{"}, ("decision (unreadable: JSONDecodeError)",), id="broken"),
        pytest.param({"decision": b"7"}, ("decision (unreadable: TypeError)",), id="a number"),
        pytest.param({"decision": b'"x"'}, ("decision (unreadable: ValueError)",), id="a text"),
    ],
)
def test_what_cannot_be_read_is_a_difference(
    store: AuditStore,
    bundle: RuleBundle,
    find: Find,
    changed: dict[str, bytes],
    fields: tuple[str, ...],
) -> None:
    record = replace(a_decided_record(bundle, age=60, sbp=150), **changed)  # type: ignore[arg-type]
    assert difference(store, find, record) == fields


def test_a_decision_that_is_only_written_otherwise_is_a_difference(
    store: AuditStore, bundle: RuleBundle, find: Find
) -> None:
    record = a_decided_record(bundle, age=60, sbp=150)
    spaced = replace(record, decision=record.decision.replace(b",", b", ", 1))
    assert difference(store, find, spaced) == ("decision (written otherwise)",)


def test_a_row_that_was_spoilt_does_not_end_the_check(
    store: AuditStore, engine: Engine, bundle: RuleBundle, find: Find
) -> None:
    spoilt = a_decided_record(bundle, age=60, sbp=150)
    put(store, spoilt, a_decided_record(bundle, age=60, sbp=150))
    change(engine, "UPDATE audit SET cards = '[' WHERE seq = 1")
    report = reevaluate(store, find)
    assert report.differences == (Difference(spoilt.id, 1, ("row (unreadable)",)),)
    assert report.identical == 1
    assert f"  row 1, {spoilt.id}: row (unreadable)" in str(report)


def test_reports_are_plain_data(filled: AuditStore, find: Find) -> None:
    put(filled, a_record(outcome="error", history=b"", decision=b""))
    again = reevaluate(filled, find)
    assert str(again).endswith("1 calls ended in an error and hold no decision")
    json.dumps([asdict(verify(filled)), asdict(again)])


def test_bundles_that_are_gone_and_other_semantics_are_counted_apart(
    store: AuditStore, bundle: RuleBundle, find: Find
) -> None:
    other = a_bundle(RULES.replace(b"1.0.0", b"2.0.0"))
    put(
        store,
        a_decided_record(bundle, age=60, sbp=150),
        a_decided_record(other, age=60, sbp=150),
        a_decided_record(other, age=60, sbp=120),
        replace(a_decided_record(bundle, age=60), semantics=SEMANTICS_VERSION + 1),
    )
    report = reevaluate(store, find)
    assert (report.identical, report.differences) == (1, ())
    assert report.unavailable == {other.digest: 2}
    assert report.other_semantics == 1
    assert not report.complete
    assert str(report).splitlines() == [
        "decisions: 1 of 4 came out again, bit for bit",
        f"  2 by bundle {other.digest}, not found",
        "  1 by a release with other semantics",
    ]


def test_an_entry_is_what_the_row_holds(filled: AuditStore) -> None:
    for row, record in zip(filled.rows(), filled.iterate(), strict=True):
        assert to_entry(record).header == header_of(row[1:-1])
