"""The tables are brought up to date when the service starts, by one process at a time."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from cds_adapters.storage.database import StorageError, cause, immediate, shown

LATEST = "0001"
_VERSIONS = text("SELECT version_num FROM alembic_version")
#: Any fixed number serves; it must only differ from other programs' in the same database.
_LOCK = text("SELECT pg_advisory_xact_lock(7030221101)")
_WAIT = text("SET LOCAL lock_timeout = '120s'")


def migrate(engine: Engine) -> None:
    """Make or change the tables until they are the ones that this release expects.

    Safe when several processes start at once: one does the work, the others wait and find it done.

    Raises:
        StorageError: if the database is of a newer release, or refuses.
    """
    try:
        with engine.connect() as connection:
            if revision(connection) == LATEST:
                return
        with immediate(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_WAIT)
                connection.execute(_LOCK)
            _upgrade(connection)
    except DBAPIError as error:
        raise StorageError(
            f"the tables of {shown(engine.url)} cannot be brought up to date: {cause(error)}; "
            "give the service's account the right to create tables, or restore a sound copy"
        ) from None


def revision(connection: Connection) -> str | None:
    """Return the revision that the database says it is at; None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(_VERSIONS).scalar()


def _upgrade(connection: Connection) -> None:
    # Imported here: a service whose tables are up to date, the usual one, starts without Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    present = revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise StorageError(
            f"the tables of {shown(connection.engine.url)} are at revision {present}, which this "
            f"release does not know (its own is {LATEST}); start the release that wrote them, or "
            "name another database"
        )
    command.upgrade(config, "head")
