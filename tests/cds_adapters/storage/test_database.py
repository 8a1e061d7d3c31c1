"""A database is opened durably or not at all, and the message never holds a secret."""

import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from builders.postgres import PostgresServer
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError, OperationalError

from cds_adapters.storage.database import StorageError, cause, open_database


def scalar(engine: Engine, query: str) -> object:
    with engine.connect() as connection:
        return connection.execute(text(query)).scalar()


def test_rl_02_sqlite_waits_for_the_disk_at_every_commit(sqlite_url: str) -> None:
    engine = open_database(sqlite_url)
    assert scalar(engine, "PRAGMA journal_mode") == "wal"
    assert scalar(engine, "PRAGMA synchronous") == 2
    assert scalar(engine, "PRAGMA foreign_keys") == 1
    engine.dispose()


def test_only_the_owner_can_read_the_file(sqlite_url: str, tmp_path: Path) -> None:
    open_database(sqlite_url).dispose()
    assert stat.S_IMODE((tmp_path / "audit.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize("setting", ["on", "off"])
def test_rl_02_postgresql_waits_for_the_disk_at_every_commit(
    postgres_server: PostgresServer, setting: str
) -> None:
    url = postgres_server.own_database()
    engine = open_database(url)
    name = engine.url.database
    with engine.begin() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}'))
    engine.dispose()
    again = open_database(url)
    assert scalar(again, "SHOW synchronous_commit") == "on"
    again.dispose()


@pytest.fixture
def careless_server(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.own_database()

    def set_fsync(value: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET fsync = {value}".encode())
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute("SHOW fsync").fetchone() != (value,):
                connection.execute("SELECT pg_sleep(0.02)")

    set_fsync("off")
    yield url
    set_fsync("on")


def test_rl_06_a_server_that_does_not_wait_for_its_disk_is_refused(careless_server: str) -> None:
    with pytest.raises(StorageError, match=r"runs with fsync = off.*; set fsync = on"):
        open_database(careless_server)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("nonsense", "is no database URL; write sqlite:///FILE or", id="no url"),
        pytest.param("mysql://u:secret@h/d", "names 'mysql', which is not supported", id="mysql"),
        pytest.param(
            "postgresql+psycopg2://u:secret@h/d", "names 'postgresql.psycopg2'", id="other driver"
        ),
        pytest.param("sqlite://", "in memory, which keeps no audit", id="memory"),
        pytest.param("sqlite:///:memory:", "in memory, which keeps no audit", id="named memory"),
        pytest.param("sqlite:////no/such/folder/a.db", "no folder /no/such/folder", id="folder"),
        pytest.param("sqlite:////proc/audit.sqlite", "cannot be written", id="unwritable"),
        pytest.param(
            "postgresql://u:secret@127.0.0.1:1/d?password=secret",
            "postgresql://127.0.0.1:1/d cannot be opened: OperationalError",
            id="nobody there",
        ),
    ],
)
def test_what_cannot_be_opened_is_said_without_secrets(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_rl_07_a_file_that_is_no_database_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "audit.sqlite").write_bytes(b"not a database, by any means" * 100)
    with pytest.raises(StorageError, match="cannot be opened: DatabaseError: file is not a data"):
        open_database(sqlite_url)


def test_a_reader_does_not_make_a_new_file(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no database file .*; name the one that"):
        open_database(sqlite_url, create=False)
    assert [*tmp_path.iterdir()] == []
    open_database(sqlite_url).dispose()
    open_database(sqlite_url, create=False).dispose()


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"install cds-engine\[postgresql\], or keep the audit"):
        open_database("postgresql://somebody@127.0.0.1/audit")


def test_a_file_that_is_locked_for_long_is_waited_for(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_adapters.storage.database.PATIENCE", 0.2)
    other = sqlite3.connect(tmp_path / "audit.sqlite", isolation_level=None)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="database is locked"):
        open_database(sqlite_url)
    other.execute("COMMIT")
    open_database(sqlite_url).dispose()
    other.close()


def test_a_value_that_the_driver_repeats_is_not_passed_on() -> None:
    told = DataError("INSERT", {}, psycopg.DataError('invalid number: "sbp 152"'))
    assert cause(told) == "DataError"
    down = OperationalError("BEGIN", {}, sqlite3.OperationalError("disk I/O error"))
    assert cause(down) == "OperationalError: disk I/O error"
