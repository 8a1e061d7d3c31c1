"""A standalone Spark cluster of this machine: a master, and workers, on loopback."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from builders.command_line import environment

STARTED_WITHIN = 60.0
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java that starts soon rather than runs fast."""


def settings(folder: Path, **given: str) -> dict[str, str]:
    """Return an environment in which Spark stays on loopback and takes little."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        "spark.executor.memory": "512m",
        "spark.driver.extraJavaOptions": QUICK,
        "spark.executor.extraJavaOptions": QUICK,
        **given,
    }
    text = "".join(f"{name} {value}\n" for name, value in lines.items())
    (folder / "spark-defaults.conf").write_text(text)
    return {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONF_DIR": str(folder),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": QUICK,
        "SPARK_DRIVER_MEMORY": "512m",
    }


@contextmanager
def a_master(folder: Path) -> Iterator[str]:
    """Start a master; yield its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "master.log"
    words = ("master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    with _started(folder, log, *words) as process:
        _await(process, log, "I have been elected leader")
        yield f"spark://127.0.0.1:{port}"


@contextmanager
def workers(folder: Path, master: str, count: int) -> Iterator[list[int]]:
    """Start workers of one core each; go on once all are registered; yield their process ids."""
    found = []
    with ExitStack() as stack:
        for number in range(count):
            work = str(folder / f"worker-{number}")
            words = ("worker.Worker", "--host", "127.0.0.1", "--webui-port", "0",
                     "--cores", "1", "--memory", "1g", "--work-dir", work, master)  # fmt: skip
            log = folder / f"worker-{number}.log"
            process = stack.enter_context(_started(folder, log, *words))
            _await(process, log, "Successfully registered with master")
            found.append(process.pid)
        yield found


def kill_executor(worker: int) -> int:
    """End the executor of a worker as a machine that fails does; return its process id."""
    deadline = time.monotonic() + STARTED_WITHIN
    while not (executors := _children(worker)):
        assert time.monotonic() < deadline, "the worker has no executor"
        time.sleep(0.1)
    os.kill(executors[0], signal.SIGKILL)
    return executors[0]


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name, in brackets, may hold anything
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        # one that has ended and that nobody has asked after is none
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@contextmanager
def _started(
    folder: Path, log: Path, name: str, *words: str
) -> Iterator["subprocess.Popen[bytes]"]:
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    script = Path(spec.origin).parent / "bin" / "spark-class"
    env = {**environment(), **settings(folder / "conf")}
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            [str(script), f"org.apache.spark.deploy.{name}", *words],
            env=env, stdout=stream, stderr=stream, cwd=os.fspath(folder),
        ) as process,
    ):  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()


def _await(process: "subprocess.Popen[bytes]", log: Path, words: str) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while words not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
