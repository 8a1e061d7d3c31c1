"""The tables are made once, whoever starts first, and never by a release that is too old."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from cds_adapters.storage import migrate as module
from cds_adapters.storage.database import StorageError, open_database
from cds_adapters.storage.migrate import LATEST, migrate
from cds_adapters.storage.tables import metadata

MIGRATE = """
import sys
from cds_adapters.storage.database import open_database
from cds_adapters.storage.migrate import migrate
sys.stdin.readline()
migrate(open_database(sys.argv[1]))
print("alembic" in sys.modules)
"""


def test_the_changes_end_in_the_tables_that_the_code_speaks_of(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert {*metadata.tables} <= {*inspect(connection).get_table_names()}


def test_an_empty_chain_has_a_head(engine: Engine) -> None:
    with engine.connect() as connection:
        (head,) = connection.execute(text("SELECT id, seq, chain FROM audit_head")).all()
    assert tuple(head) == (1, 0, bytes(32))


def test_a_second_time_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE audit_head SET seq = 7"))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT seq FROM audit_head")).scalar() == 7


def test_the_revision_that_starts_without_alembic_is_the_last_one() -> None:
    scripts = ScriptDirectory(str(module.__file__).replace("migrate.py", "migrations"))
    assert scripts.get_current_head() == LATEST


def start(url: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", MIGRATE, url]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_processes_that_start_at_once_do_not_collide(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    processes = [start(url) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, "")
    late = start(url)
    assert late.communicate("go\n", timeout=60)[0] == "False\n", "Alembic was not needed"
    engine = open_database(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_head")).scalar() == 1
    engine.dispose()


def test_a_newer_release_s_database_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"at revision 9999, .* \(its own is 0001\); start the"):
        migrate(engine)


def test_tables_that_cannot_be_made_are_said_so(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE card (mine INTEGER)"))
    with pytest.raises(
        StorageError, match=r"cannot be brought up to date: .*card.* already exists"
    ):
        migrate(engine)
    with engine.connect() as connection:
        assert not inspect(connection).has_table("audit"), "a change is made whole or not at all"
    engine.dispose()


def test_the_audit_is_never_dropped() -> None:
    scripts = ScriptDirectory(str(module.__file__).replace("migrate.py", "migrations"))
    first = scripts.get_revision(LATEST)
    assert first is not None
    with pytest.raises(NotImplementedError, match="never dropped"):
        first.module.downgrade()
