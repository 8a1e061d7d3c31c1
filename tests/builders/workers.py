"""Worker processes: each is killed at the end if it still runs, and traced if asked for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

Worker = subprocess.Popen[str]
StartWorker = Callable[..., Worker]


@contextmanager
def workers(script: Path) -> Iterator[StartWorker]:
    """Hand out a function that starts a script with some arguments, perhaps under a tracer."""
    path = os.pathsep.join([str(script.parents[1]), *sys.path])

    def start(*arguments: str, under: Sequence[str] = ()) -> Worker:
        command = [*under, sys.executable, "-W", "error", str(script), *arguments]
        pipe = subprocess.PIPE
        environment = {**os.environ, "PYTHONPATH": path}
        worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        stack.enter_context(worker)
        stack.callback(worker.kill)
        return worker

    with ExitStack() as stack:
        yield start


def ask(worker: Worker, line: str) -> str:
    """Send a line to a worker and return what it answers."""
    assert worker.stdin is not None
    worker.stdin.write(f"{line}\n")
    worker.stdin.flush()
    return hear(worker)


def hear(worker: Worker) -> str:
    """Return the next line that a worker says."""
    assert worker.stdout is not None
    return worker.stdout.readline().rstrip("\n")
