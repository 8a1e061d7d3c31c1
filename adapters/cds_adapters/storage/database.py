"""A database is opened so that what it has committed outlives a power failure."""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from cds_engine.errors import CDSError

PATIENCE = 5.0  # seconds that a connection waits for another one's lock

KINDS = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_POSTGRESQL = {"postgresql", "postgresql+psycopg"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}


class StorageError(CDSError):
    """A database that cannot be opened, read or written."""


def open_database(url: str, *, create: bool = True) -> Engine:
    """Open a database whose commits are durable, and prove that it answers.

    SQLite keeps a write-ahead log and waits for the disk at every commit. PostgreSQL is spoken to
    with psycopg 3 and refused where it would acknowledge a commit before it is on disk.

    Args:
        url: SQLAlchemy's URL of a SQLite file or of a PostgreSQL database.
        create: make a SQLite file that is not there yet; whoever only reads wants to be told.

    Raises:
        StorageError: saying what to do; never with the password.
    """
    place = _parse(url)
    engine = _sqlite(place, create) if place.drivername in _SQLITE else _postgresql(place)
    try:
        engine.connect().close()
    except DBAPIError as error:
        engine.dispose()
        raise StorageError(
            f"the database {shown(place)} cannot be opened: {cause(error)}; check the address, "
            "that it is running and that the service's account may use it"
        ) from None
    except StorageError:
        engine.dispose()
        raise
    return engine


def immediate(engine: Engine) -> Engine:
    """Return the same engine with transactions that are certain to write.

    In SQLite such a transaction takes the write lock at once: one that first reads and then
    writes could find that another process wrote in between.
    """
    return engine.execution_options(cds_begin="BEGIN IMMEDIATE")


def shown(url: URL) -> str:
    """Write a URL without its user, password and query, where secrets may stand."""
    if url.drivername in _SQLITE:
        return f"sqlite:///{url.database}"
    host = url.host or url.query.get("host", "localhost")
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database or ''}"


def cause(error: BaseException) -> str:
    """Say in one line why the database failed, without any value that it was given.

    A driver may repeat a refused value in its words, therefore those of data errors are not kept.
    """
    if isinstance(error, StorageError):
        return str(error)
    driver = getattr(error, "orig", None) or error
    kinds = {kind.__name__ for kind in type(driver).__mro__}
    name = type(driver).__name__
    if "DatabaseError" not in kinds or kinds & {"IntegrityError", "DataError"}:
        return name
    words = str(driver).strip().split("\n", maxsplit=1)[0]
    return f"{name}: {words}"


def _parse(url: str) -> URL:
    try:
        place = make_url(url)
    except ArgumentError:
        raise StorageError(f"the database setting is no database URL; write {KINDS}") from None
    if place.drivername not in _SQLITE | _POSTGRESQL:
        raise StorageError(
            f"the database setting names {place.drivername!r}, which is not supported; "
            f"write {KINDS}"
        )
    if place.drivername in _SQLITE and place.database in {None, "", ":memory:"}:
        raise StorageError(
            "the database setting names a database in memory, which keeps no audit; "
            "write sqlite:///FILE"
        )
    return place


def _sqlite(place: URL, create: bool) -> Engine:
    path = Path(str(place.database))
    if not create and not path.exists():
        raise StorageError(f"there is no database file {path}; name the one that `serve` writes")
    if not path.parent.is_dir():
        raise StorageError(
            f"the database file {path} cannot be made, for there is no folder {path.parent}; "
            "make the folder or name another file"
        )
    _make_private(path)
    options = {"isolation_level": None, "timeout": PATIENCE}
    engine = create_engine(place, hide_parameters=True, connect_args=options)
    event.listen(engine, "do_connect", _expect_file)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def _make_private(path: Path) -> None:
    """Make the file so that only its owner can read what is kept about patients."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StorageError(
            f"the database file {path} cannot be written: {error.strerror}; "
            "give the service's account the right, or name another file"
        ) from None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("cds_begin", "BEGIN"))


def _expect_file(_dialect: Any, _record: Any, where: Sequence[Any], _options: Any) -> None:
    """Refuse to let SQLite make a new, empty file where the one we opened has gone."""
    if not os.path.exists(where[0]):  # noqa: PTH110 - it is a text already
        raise StorageError(f"the database file {where[0]} was removed; put it back")


def _prepare_sqlite(connection: Any, record: Any) -> None:
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    _use_log(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    record.info["file"] = file, _identity(file)


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait for that lock by itself."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StorageError(
                f"the database file cannot keep a write-ahead log (it uses {mode!r}), as on a "
                "network share; put it on a local disk"
            )
        return


def _identity(file: str) -> tuple[int, int]:
    found = os.stat(file)  # noqa: PTH116 - asked at every commit, and a Path costs twice as much
    return found.st_dev, found.st_ino


def check_file(info: Mapping[str, Any]) -> None:
    """Refuse to go on with a SQLite file that was removed or replaced under the connection.

    The system would let us write to it until we close it, and then everything would be gone.
    """
    known = info.get("file")
    if known is None:
        return
    file, identity = known
    try:
        same = _identity(file) == identity
    except FileNotFoundError:
        same = False
    if not same:
        raise StorageError(f"the database file {file} was removed or replaced; put it back")


def _postgresql(place: URL) -> Engine:
    place = place.set(drivername="postgresql+psycopg")
    limits = {"connect_timeout": "3", "tcp_user_timeout": "5000"}
    chosen = {name: value for name, value in limits.items() if name not in place.query}
    try:
        engine = create_engine(place, hide_parameters=True, pool_pre_ping=True, connect_args=chosen)
    except (ImportError, NoSuchModuleError):
        raise StorageError(
            "PostgreSQL needs the driver psycopg, which is not installed; install "
            "cds-engine[postgresql], or keep the audit in sqlite:///FILE"
        ) from None
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    with _autocommit(connection), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        fsync, waits = cursor.fetchone()
        if fsync == "off":
            raise StorageError(
                "the PostgreSQL server runs with fsync = off, so that what it has committed may "
                "be lost when the power fails; set fsync = on"
            )
        if waits == "off":
            cursor.execute("SET synchronous_commit = on")
        # A process that stops half-way must not keep the others from writing.
        cursor.execute(f"SET lock_timeout = {PATIENCE * 1000:.0f}")
        cursor.execute("SET idle_in_transaction_session_timeout = 10000")


@contextmanager
def _autocommit(connection: Any) -> Iterator[None]:
    connection.autocommit = True
    try:
        yield
    finally:
        connection.autocommit = False
