"""Processes are killed, disks fill, servers go: no acknowledged record is lost, none is made up."""

import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders.audit import a_record, open_store
from builders.postgres import PostgresServer
from builders.workers import StartWorker, Worker, ask, hear

from cds_adapters.storage.audit import AuditError
from cds_adapters.storage.database import StorageError, open_database
from cds_adapters.storage.ledger import Ledger
from cds_adapters.storage.migrate import migrate
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.rows import to_entry
from cds_adapters.storage.verify import verify

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None
    or subprocess.run(["strace", "true"], capture_output=True, check=False).returncode != 0,
    reason="strace is not installed, or processes may not be traced here",
)


@contextmanager
def failing(worker: Worker, calls: str, error: str) -> Iterator[None]:
    """Let some system calls of a running process fail."""
    command = ["strace", "-f", "-p", str(worker.pid), "-o", "/dev/null"]
    command += ["-e", f"inject={calls}:error={error}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        try:
            yield
        finally:
            tracer.terminate()


def wait_until(met: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def acknowledged_until_killed(worker: Worker, seconds: float) -> set[str]:
    assert hear(worker) == "ready"
    time.sleep(seconds)
    worker.kill()
    assert worker.stdout is not None
    *whole, _cut_short = worker.stdout.read().split("\n")
    return set(whole)


def check_after_kills(url: str, start_worker: StartWorker, kills: int) -> None:
    acknowledged: set[str] = set()
    for kill in range(kills):
        acknowledged |= acknowledged_until_killed(start_worker("flood", url), 0.2 + kill % 7 / 20)
    with open_store(url) as store:
        stored = {record.id for record in store.iterate()}
        report = verify(store)
        assert store.append(a_record()).result(30).seq == report.rows + 1
    assert acknowledged
    assert acknowledged <= stored
    assert report.sound
    assert report.rows == len(stored)


def test_rl_01_what_was_acknowledged_survives_kill_9(url: str, start_worker: StartWorker) -> None:
    check_after_kills(url, start_worker, kills=3)


@pytest.mark.slow
def test_rl_01_what_was_acknowledged_survives_a_hundred_kills(
    url: str, start_worker: StartWorker
) -> None:
    check_after_kills(url, start_worker, kills=100)


@needs_strace
def test_rl_02_the_disk_has_it_before_anybody_is_told(
    sqlite_url: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,fdatasync,fsync,write"
    under = ["strace", "-f", "-y", "-e", calls, "-o", str(trace)]
    worker = start_worker("obey", sqlite_url, under=under)
    assert hear(worker) == "ready"
    assert ask(worker, "append").startswith("stored")
    worker.communicate()
    lines = trace.read_text().splitlines()
    told = next(i for i, line in enumerate(lines) if '"stored ' in line)
    written = max(i for i, line in enumerate(lines[:told]) if re.search(r"pwrite64.*-wal>", line))
    synced = [line for line in lines[written:told] if re.search("sync", line)]
    assert any("-wal>" in line for line in synced)
    assert any(re.search(r"= 0$", line) for line in synced)


def test_rl_03_a_full_disk_fails_each_record_and_heals_without_a_restart(
    sqlite_url: str, start_worker: StartWorker
) -> None:
    worker = start_worker("obey", sqlite_url)
    assert hear(worker) == "ready"
    stored = [ask(worker, "append") for _ in range(3)]
    ask(worker, "full")
    failed = [ask(worker, "append") for _ in range(3)]
    assert all("the audit could not be written: " in answer for answer in failed)
    assert ask(worker, "healthy") == "False"
    ask(worker, "room")
    wait_until(lambda: ask(worker, "healthy") == "True")
    stored += [ask(worker, "append") for _ in range(3)]
    assert sum(in_doubt(sqlite_url, worker, stored, failed)) == 0


def in_doubt(url: str, worker: Worker, stored: list[str], failed: list[str]) -> list[bool]:
    """Return which of the failed records are there; all others must be, in a sound chain."""
    worker.communicate()
    with open_store(url) as store:
        there = [record.id for record in store.iterate()]
        assert verify(store).sound
    acknowledged = [answer.split()[1] for answer in stored]
    given_up = [answer.split()[1] for answer in failed]
    assert [uuid for uuid in there if uuid not in given_up] == acknowledged
    return [uuid in there for uuid in given_up]


@needs_strace
@pytest.mark.parametrize(
    ("calls", "error", "words"),
    [
        pytest.param("pwrite64", "ENOSPC", "database or disk is full", id="rl_03 disk full"),
        pytest.param("pwrite64", "EIO", "disk I/O error", id="rl_06 a write fails"),
        pytest.param("fdatasync,fsync", "EIO", "disk I/O error", id="rl_06 fsync fails"),
    ],
)
def test_a_failing_disk_fails_each_record_and_nothing_is_assumed(
    sqlite_url: str, start_worker: StartWorker, calls: str, error: str, words: str
) -> None:
    """Where fsync failed, a record may be there after all: as one that nobody was told of."""
    worker = start_worker("obey", sqlite_url)
    assert hear(worker) == "ready"
    stored = [ask(worker, "append") for _ in range(3)]
    with failing(worker, calls, error):
        failed = [ask(worker, "append") for _ in range(3)]
        assert all(answer.startswith("failed") for answer in failed)
        assert failed[0].endswith(f" the audit could not be written: OperationalError: {words}")
        assert ask(worker, "healthy") == "False"
    wait_until(lambda: ask(worker, "healthy") == "True")
    stored += [ask(worker, "append") for _ in range(3)]
    assert sum(in_doubt(sqlite_url, worker, stored, failed)) <= (3 if "sync" in calls else 0)


def test_rl_06_after_a_failed_commit_the_log_is_emptied_before_more_is_written(
    sqlite_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "audit.sqlite-wal"
    engine = open_database(sqlite_url)
    migrate(engine)
    ledger = Ledger(engine)
    with engine.connect():  # whoever is the last to leave empties the log anyway
        ledger.append([to_entry(a_record()) for _ in range(20)])
        ledger.close()
        ledger._in_doubt = True
        before = log.stat().st_size
        ledger.append([to_entry(a_record())])
        assert 0 < log.stat().st_size < before
        ledger.close()
    engine.dispose()


def test_rl_06_a_log_that_cannot_be_emptied_yet_is_not_written_to(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_adapters.storage.database.PATIENCE", 0.1)
    engine = open_database(sqlite_url)
    migrate(engine)
    ledger = Ledger(engine)
    ledger._in_doubt = True
    reader = sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM audit")
    with pytest.raises(StorageError, match="log must be emptied first, and somebody is reading"):
        ledger.append([to_entry(a_record())])
    reader.close()
    assert [receipt.seq for receipt in ledger.append([to_entry(a_record())])] == [1]
    ledger.close()
    engine.dispose()


def test_rl_04_every_waiter_hears_that_the_server_is_gone_until_it_is_back(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with open_store(postgres_url) as store:
        store.append(a_record()).result(30)
        postgres_server.stop()
        try:
            for future in [store.append(a_record()) for _ in range(50)]:
                with pytest.raises(AuditError, match="the audit could not be written: Operat"):
                    future.result(30)
            assert not store.healthy()
            assert str(store.trouble()).startswith("the audit could not be written")
        finally:
            postgres_server.start()
        wait_until(store.healthy)
        assert store.append(a_record()).result(30).seq == 2
        assert verify(store).sound


def test_a_server_that_restarts_while_nothing_happens_costs_no_record(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    with open_store(postgres_url) as store:
        store.append(a_record()).result(30)
        postgres_server.stop()
        postgres_server.start()
        assert store.append(a_record()).result(30).seq == 2
        assert store.recent(1)


def test_rl_04_a_file_that_is_taken_away_is_noticed_and_may_come_back(
    sqlite_url: str, tmp_path: Path
) -> None:
    file, away = tmp_path / "audit.sqlite", tmp_path / "away"
    with open_store(sqlite_url) as store:
        first = a_record()
        store.append(first).result(30)
        file.rename(away)
        for _ in range(2):
            with pytest.raises(AuditError, match=r"was removed or replaced|was removed; put it"):
                store.append(a_record()).result(30)
        assert not store.healthy()
        assert not file.exists(), "no new, empty audit is begun in its place"
        away.rename(file)
        wait_until(store.healthy)
        assert store.append(a_record()).result(30).seq == 2
        assert store.get(first.id) == first
        assert verify(store).sound


def test_rl_04_a_lock_that_somebody_holds_fails_the_record_in_time(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_adapters.storage.database.PATIENCE", 0.2)
    with open_store(sqlite_url) as store:
        holder = sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(AuditError, match="database is locked"):
            store.append(a_record()).result(30)
        holder.execute("ROLLBACK")
        holder.close()
        assert store.append(a_record()).result(30).seq == 1


def filled(url: str, rows: int) -> list[str]:
    with open_store(url) as store:
        records = [a_record(history=b"marker %06d " % i * 100) for i in range(1, rows + 1)]
        for future in [store.append(record) for record in records]:
            future.result(30)
    return [record.id for record in records]


def test_rl_07_a_byte_that_changed_on_disk_is_found(sqlite_url: str, tmp_path: Path) -> None:
    filled(sqlite_url, 50)
    file = tmp_path / "audit.sqlite"
    content = file.read_bytes()
    assert content.count(b"marker 000031 marker") > 0
    file.write_bytes(content.replace(b"marker 000031 marker", b"marker 000031 mArker", 1))
    engine = open_database(sqlite_url)
    report = verify(AuditReader(engine))
    engine.dispose()
    assert (report.rows, report.first_bad) == (30, 31)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_rl_07_a_file_that_was_cut_off_is_found(
    sqlite_url: str, tmp_path: Path, part: float
) -> None:
    filled(sqlite_url, 200)
    file = tmp_path / "audit.sqlite"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * part)])
    try:
        engine = open_database(sqlite_url)
    except StorageError as error:
        assert "malformed" in str(error)  # noqa: PT017 - either way of finding it will do
        return
    report = verify(AuditReader(engine))
    engine.dispose()
    assert not report.sound
    assert report.first_bad is not None
    assert report.first_bad <= 200
    assert "malformed" in report.why


def test_rl_28_two_processes_write_one_chain(url: str, start_worker: StartWorker) -> None:
    pair = [start_worker("count", url, "400") for _ in range(2)]
    acknowledged = []
    for worker in pair:
        said, _ = worker.communicate(timeout=120)
        assert worker.returncode == 0
        ready, *ids = said.split()
        assert (ready, len(ids)) == ("ready", 400)
        acknowledged += ids
    with open_store(url) as store:
        numbers = [row.seq for row in store.rows()]
        stored = {record.id for record in store.iterate()}
        assert verify(store).sound
    assert numbers == [*range(1, 801)]
    assert stored == set(acknowledged)
