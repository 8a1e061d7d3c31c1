"""The command line, called as a person calls it: in this process, or as a process of its own."""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from cds_adapters.cli import main


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """Every line of the output as JSON; one document per line is the promise of --json."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        """The only JSON document of the output."""
        [found] = self.documents
        return found


@contextlib.contextmanager
def logging_kept() -> Iterator[None]:
    """Leave the loggers of this process as they were, for ``serve`` sets those of its own."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in (None, *root.manager.loggerDict)}
    handlers = root.handlers[:]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def run(*arguments: object) -> Said:
    """Run ``cds-engine`` with these arguments and return what it said."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["cds-engine", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        logging_kept(),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
        else:
            code = 0
    assert isinstance(code, int)
    return Said(code, out.getvalue(), err.getvalue())


def environment() -> dict[str, str]:
    """Return an environment in which another process finds the same packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def command(*arguments: object) -> list[str]:
    """Return the command line of a process that treats warnings as errors, as the tests do."""
    python = [sys.executable, "-W", "error", "-m", "cds_adapters.cli"]
    return [*python, *map(str, arguments)]


def run_process(*arguments: object, cwd: Path | None = None) -> Said:
    """Run ``cds-engine`` as a process of its own."""
    done = subprocess.run(
        command(*arguments), env=environment(), cwd=cwd, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(
    *arguments: object, stderr: IO[str] | int = subprocess.PIPE
) -> Iterator["subprocess.Popen[str]"]:
    """Start ``cds-engine`` as a process that goes on, and stop it at the end.

    One that logs more than a pipe holds must be given a file: nobody reads the pipe meanwhile.
    """
    with subprocess.Popen(
        command(*arguments), env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=stderr,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
