"""Whoever is told that a record is stored can rely on it; whoever cannot is told so."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import pytest
from builders.audit import a_record, open_store
from sqlalchemy import Engine, select

from cds_adapters.storage.audit import AuditError, AuditStore
from cds_adapters.storage.database import open_database
from cds_adapters.storage.ledger import Ledger
from cds_adapters.storage.migrate import migrate
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.records import AuditRecord, CardReceipt
from cds_adapters.storage.rows import GENESIS, Entry, Receipt
from cds_adapters.storage.tables import audit
from cds_adapters.storage.verify import verify


@contextmanager
def another_connection(url: str) -> Iterator[AuditReader]:
    engine = open_database(url)
    try:
        yield AuditReader(engine)
    finally:
        engine.dispose()


def spy_on_commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    append = Ledger.append

    def counted(ledger: Ledger, entries: Sequence[Entry]) -> list[Receipt]:
        sizes.append(len(entries))
        return append(ledger, entries)

    monkeypatch.setattr(Ledger, "append", counted)
    return sizes


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold every commit until the event is set."""
    go = threading.Event()
    append = Ledger.append

    def held(ledger: Ledger, entries: Sequence[Entry]) -> list[Receipt]:
        assert go.wait(30)
        return append(ledger, entries)

    monkeypatch.setattr(Ledger, "append", held)
    yield go
    go.set()


def test_what_is_acknowledged_is_seen_by_everybody(store: AuditStore, url: str) -> None:
    with another_connection(url) as other:
        for _ in range(20):
            record = a_record()
            store.append(record).result(30)
            assert other.get(record.id) == record


def test_nobody_is_told_before_the_commit(
    store: AuditStore, slow_disk: threading.Event, url: str
) -> None:
    record = a_record()
    future = store.append(record)
    with pytest.raises(TimeoutError):
        future.result(0.2)
    with another_connection(url) as other:
        assert other.get(record.id) is None
        slow_disk.set()
        assert future.result(30).seq == 1
        assert other.get(record.id) == record


def test_the_future_waits_for_the_commit_itself(
    store: AuditStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hold the writer between the last statement and COMMIT: nothing is known, to anybody."""
    reached, go = threading.Event(), threading.Event()

    def hold(_info: Any) -> None:
        reached.set()
        assert go.wait(30)

    monkeypatch.setattr("cds_adapters.storage.ledger.check_file", hold)
    record = a_record()
    future = store.append(record)
    assert reached.wait(30)
    with another_connection(url) as other:
        assert not future.done()
        assert other.get(record.id) is None
        go.set()
        future.result(30)
        assert other.get(record.id) == record


def test_the_receipt_is_the_row_s_place_in_the_chain(store: AuditStore) -> None:
    records = [a_record() for _ in range(3)]
    receipts = [store.append(record).result(30) for record in records]
    assert [receipt.seq for receipt in receipts] == [1, 2, 3]
    assert [store.receipt(record.id) for record in records] == receipts
    assert store.head() == receipts[-1] != Receipt(3, GENESIS)


def test_a_thousand_at_once_share_few_commits(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = spy_on_commits(monkeypatch)

    async def all_at_once() -> list[Receipt]:
        return await asyncio.gather(*(store.append_async(a_record()) for _ in range(1000)))

    receipts = asyncio.run(all_at_once())
    assert sorted(receipt.seq for receipt in receipts) == [*range(1, 1001)]
    assert sum(commits) == 1000
    assert len(commits) < 50
    assert verify(store).sound


def test_the_calls_of_one_turn_of_a_loop_are_one_commit(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = spy_on_commits(monkeypatch)

    async def together() -> list[Receipt]:
        return await asyncio.gather(*(store.append_async(a_record()) for _ in range(10)))

    assert [receipt.seq for receipt in asyncio.run(together())] == [*range(1, 11)]
    assert commits == [10]


def test_threads_and_loops_share_commits(store: AuditStore) -> None:
    def a_loop() -> None:
        async def some() -> None:
            await asyncio.gather(*(store.append_async(a_record()) for _ in range(50)))

        asyncio.run(some())

    threads = [threading.Thread(target=a_loop) for _ in range(3)]
    for thread in threads:
        thread.start()
    futures = [store.append(a_record()) for _ in range(50)]
    for thread in threads:
        thread.join(60)
    assert len({future.result(30).seq for future in futures}) == 50
    assert verify(store).rows == 200


def test_a_loop_is_woken_once_for_a_whole_batch(
    store: AuditStore, slow_disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def many() -> int:
        loop = asyncio.get_running_loop()
        calls = 0
        wake = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            return wake(*args, **kwargs)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        waiting = [asyncio.create_task(store.append_async(a_record())) for _ in range(100)]
        await asyncio.sleep(0.05)
        slow_disk.set()
        await asyncio.gather(*waiting)
        return calls

    assert asyncio.run(many()) <= 3


def test_the_event_loop_goes_on_while_the_disk_works(
    store: AuditStore, slow_disk: threading.Event
) -> None:
    async def tick() -> int:
        waiting = asyncio.create_task(store.append_async(a_record()))
        ticks = 0
        while ticks < 20:
            await asyncio.sleep(0.005)
            ticks += 1
        assert not waiting.done()
        slow_disk.set()
        await waiting
        return ticks

    assert asyncio.run(tick()) == 20


def test_rl_04_a_slow_database_is_given_up_in_time(url: str, slow_disk: threading.Event) -> None:
    with open_store(url, patience=0.2) as store:
        assert store.healthy()
        began = time.monotonic()
        with pytest.raises(AuditError, match=r"took longer than 0\.2 seconds"):
            asyncio.run(store.append_async(a_record()))
        assert time.monotonic() - began < 5
        assert not store.healthy()
        assert "0.2 seconds" in str(store.trouble())
        slow_disk.set()
        assert store.append(a_record()).result(30).seq == 2
        assert store.healthy()
        assert verify(store).rows == 2, "the record that was given up is kept, unacknowledged"


def test_rl_04_readiness_notices_a_stuck_disk_although_nobody_waits(
    url: str, slow_disk: threading.Event
) -> None:
    with open_store(url, patience=0.1) as store:
        future = store.append(a_record())
        while store.healthy():
            time.sleep(0.01)
        assert store.trouble() == "the database has not answered for 0.1 seconds"
        slow_disk.set()
        future.result(30)


def test_rl_27_the_queue_is_bounded(url: str, slow_disk: threading.Event) -> None:
    with open_store(url, limit=5, patience=30.0) as store:
        first = store.append(a_record())
        while not first.running():
            time.sleep(0.001)
        waiting = [store.append(a_record()) for _ in range(5)]
        with pytest.raises(AuditError, match="5 records already wait for the database; try again"):
            store.append(a_record()).result(0)
        with pytest.raises(AuditError, match="already wait"):
            asyncio.run(store.append_async(a_record()))
        slow_disk.set()
        assert [future.result(30).seq for future in (first, *waiting)] == [1, 2, 3, 4, 5, 6]


def test_rl_27_a_waiter_that_leaves_early_takes_its_record_along(
    store: AuditStore, slow_disk: threading.Event
) -> None:
    first = store.append(a_record())
    while not first.running():
        time.sleep(0.001)
    left, stays = store.append(a_record()), store.append(a_record())
    assert left.cancel()

    async def leave() -> None:
        task = asyncio.create_task(store.append_async(a_record()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    slow_disk.set()
    assert stays.result(30).seq == 2
    with pytest.raises(CancelledError):
        left.result(0)
    assert verify(store).rows == 2


def test_a_refused_record_does_not_take_the_others_down(
    store: AuditStore, slow_disk: threading.Event
) -> None:
    known = a_record()
    first = store.append(known)
    while not first.running():
        time.sleep(0.001)
    good = [store.append(a_record()) for _ in range(3)]
    again = store.append(known)
    huge = store.append(a_record(duration=2**63))
    same_card = store.append(a_record(cards=known.cards))
    more = store.append(a_record())
    slow_disk.set()
    assert [future.result(30).seq for future in (first, *good, more)] == [1, 2, 3, 4, 5]
    for refused in (again, huge, same_card):
        with pytest.raises(AuditError, match=r"the database refuses the record: \w+$"):
            refused.result(30)
    assert store.healthy()
    assert verify(store).sound


def test_waiters_get_errors_of_their_own(store: AuditStore) -> None:
    record = a_record()
    store.append(record).result(30)
    futures = [store.append(record) for _ in range(2)]
    errors = [future.exception(30) for future in futures]
    assert errors[0] is not errors[1]


def test_closing_writes_what_waits(url: str, slow_disk: threading.Event) -> None:
    with open_store(url) as store:
        futures = [store.append(a_record()) for _ in range(600)]
        slow_disk.set()
    assert sorted(future.result(0).seq for future in futures) == [*range(1, 601)]
    with pytest.raises(AuditError, match="the audit is closed; the service is stopping"):
        store.append(a_record()).result(0)
    assert not store.healthy()


def test_closing_in_vain_is_said(url: str, slow_disk: threading.Event) -> None:
    engine = open_database(url)
    migrate(engine)
    store = AuditStore(engine)
    store.append(a_record())
    with pytest.raises(AuditError, match=r"could not be closed within 0\.1 seconds"):
        store.close(timeout=0.1)
    slow_disk.set()
    store.close()
    engine.dispose()


def test_a_loop_that_ended_does_not_stop_the_writer(
    store: AuditStore, slow_disk: threading.Event
) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(store.append_async(a_record()))
    loop.run_until_complete(asyncio.sleep(0.01))
    task.cancel()
    store.append(a_record())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    slow_disk.set()
    assert store.append(a_record()).result(30).seq >= 2


def test_rl_28_a_store_that_was_opened_before_a_fork_says_so(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            error = store.append(a_record()).exception(5)
            os.write(write, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read) as pipe:
            assert "not running in this process; open the audit after" in pipe.read()


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(a_record(outcome="error", status=500, history=b"", decision=b"", cards=()),
                     id="an error"),
        pytest.param(a_record(stage=None, action=None, reasons=("missing", "stale")), id="reasons"),
        pytest.param(a_record(cards=(CardReceipt("one"), CardReceipt("two", ("a", "b")))),
                     id="several cards"),
        pytest.param(a_record(frozen=True, service="ü\u202e'\";--"), id="odd text"),
        pytest.param(a_record(history=bytes(range(256)), decision=b"x" * 200_000), id="bytes"),
    ],
)  # fmt: skip
def test_a_record_is_read_as_it_was_written(store: AuditStore, record: AuditRecord) -> None:
    store.append(record).result(30)
    assert store.get(record.id) == record
    assert [*store.iterate()] == [record]
    assert verify(store).sound


def test_the_columns_hold_what_the_hash_was_made_from(store: AuditStore, engine: Engine) -> None:
    store.append(a_record(cards=(CardReceipt("c", ("s",)),), reasons=("missing",))).result(30)
    with engine.connect() as connection:
        row = connection.execute(select(audit.c.cards, audit.c.reasons)).one()
    assert tuple(row) == ('[["c",["s"]]]', '["missing"]')
