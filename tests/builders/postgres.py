"""A real PostgreSQL server on a socket of its own, started for the tests and gone after them."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

UNPRIVILEGED = ("postgres", "nobody")


def postgres_binaries() -> Path | None:
    """Return the newest folder that holds both ``initdb`` and ``postgres``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: _number(p.parent.name))
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    good = [path for path in found if (path / "initdb").exists() and (path / "postgres").exists()]
    return good[-1] if good else None


def _number(name: str) -> int:
    return int(name) if name.isdigit() else -1


def _account() -> pwd.struct_passwd | None:
    """Return who shall run the server; None where we are no root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)


class PostgresServer:
    """One cluster in a temporary folder; commits are as durable as a real server's."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.log = folder / "server.log"
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        how = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        self._run("initdb", *how, "-D", str(folder / "data"))

    def start(self) -> None:
        """Start the server and wait until it answers."""
        arguments = [str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        arguments += ["-k", str(self.folder), "-c", "listen_addresses="]
        # After a stop like ours every file would be opened and synced one by one.
        arguments += ["-c", "recovery_init_sync_method=syncfs"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, **self._who())
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server as a power switch would: nothing is flushed, nobody is asked."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-m", "immediate", "-w", "-D", str(self.folder / "data"))
            self._process.wait(30)
            self._process = None

    def new_database(self) -> str:
        """Return the URL of an empty place for tables: a schema of its own, made in a moment."""
        name = f"test_{uuid4().hex}"
        self._execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        search = quote(f"-csearch_path={name}")
        return f"postgresql://postgres@/postgres?host={self.folder}&options={search}"

    def own_database(self) -> str:
        """Return the URL of a database whose settings a test may change; a thousand files each."""
        name = f"test_{uuid4().hex}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _conninfo(self, database: str) -> str:
        return f"host={self.folder} user=postgres dbname={database} connect_timeout=5"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, **self._who())
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout.decode()}{done.stderr.decode()}")

    def _who(self) -> Any:
        if self._account is None:
            return {"cwd": self.folder}
        who = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return {"cwd": self.folder, **who}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server; skipped only where no PostgreSQL is installed."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed: neither initdb on PATH nor in /usr/lib")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        server = PostgresServer(binaries, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
