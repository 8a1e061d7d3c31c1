"""Every test of the audit runs on a SQLite file and on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import audit_worker
from builders.postgres import PostgresServer, postgres_server
from builders.workers import StartWorker, workers
from sqlalchemy import Engine

from cds_adapters.storage.audit import AuditStore
from cds_adapters.storage.database import open_database
from cds_adapters.storage.migrate import migrate

__all__ = ["postgres_server"]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'audit.sqlite'}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Iterator[AuditStore]:
    with AuditStore(engine, patience=30.0) as store:
        yield store


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """Start processes that write audit records."""
    with workers(Path(audit_worker.__file__)) as start:
        yield start
