"""Spark is started, or what stands in its way is said at once and in words that help."""

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cds_adapters.bulk.sources import BulkError

ANSWERS_WITHIN = 10.0
"""Seconds in which a master must accept a connection."""

EXECUTORS_WITHIN = 120.0
"""Seconds in which a cluster must give a first executor."""

_MASTERS = re.compile(r"local(-cluster)?(\[[^]]+\])?|spark://.+|yarn|k8s://.+")
_LOCAL = re.compile(r"local(\[[^]]+\])?")
_SETTINGS = {
    "spark.app.name": "cds-engine replay",
    # it would be open to whoever reaches the port
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


class SparkError(BulkError):
    """Spark cannot be had, or did not carry the work to its end."""


def check_spark(master: str) -> None:
    """Raise SparkError unless Spark is installed here and its master answers.

    Args:
        master: ``local[N]``, ``spark://host:port``, ``yarn`` or ``k8s://...``.
    """
    if find_spec("pyspark") is None:
        raise SparkError(
            "this needs pyspark, which is not installed; install the extra: "
            "pip install 'cds-engine[spark]'"
        )
    if not _MASTERS.fullmatch(master):
        raise SparkError(
            f"{master!r} is no Spark master; say local[2], spark://host:7077, yarn or k8s://..."
        )
    _check_java()
    if master.startswith("spark://"):
        _check_answers(master)


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        where = f"JAVA_HOME ({home})" if home else "PATH"
        raise SparkError(
            f"Spark needs Java, and there is none in {where}; install Java 17 or newer, or set "
            "JAVA_HOME"
        )


def _check_answers(master: str) -> None:
    """Ask each of the masters, of which one must answer, for a connection."""
    faults: list[str] = []
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        if not host or not port.isdecimal():
            raise SparkError(f"{master} names no port in {place!r}; say spark://host:7077")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN):
                return
        except (OSError, OverflowError) as fault:
            faults.append(f"{place}: {fault}")
    raise SparkError(
        f"no Spark master answers within {ANSWERS_WITHIN:g} s ({'; '.join(faults)}); start it, or "
        "correct --master"
    )


@contextmanager
def spark_context(master: str) -> Iterator[Any]:
    """Start Spark and stop it at the end; what ends it early becomes a SparkError."""
    check_spark(master)
    from py4j.protocol import Py4JError  # noqa: PLC0415 - optional
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - optional
    from pyspark.errors import PySparkException  # noqa: PLC0415 - optional

    conf = SparkConf().setMaster(master).setAll(list(_SETTINGS.items()))
    try:
        context = SparkContext(conf=conf)
    except (Py4JError, PySparkException) as fault:
        raise SparkError(
            f"Spark could not be started with the master {master}: {_first_line(fault)}; it needs "
            "Java 17 or newer, and a master of its own version"
        ) from fault
    try:
        context.pythonExec = os.environ.get("PYSPARK_PYTHON", sys.executable)
        if not _LOCAL.fullmatch(master):
            _await_executor(context, master)
        yield context
    except (Py4JError, PySparkException) as fault:
        raise SparkError(
            f"Spark gave up: {_first_line(fault)}; the logs of its executors say more. Run again: "
            "shards that are done are not done again"
        ) from fault
    finally:
        context.stop()


def _await_executor(context: Any, master: str) -> None:
    deadline = time.monotonic() + EXECUTORS_WITHIN
    # the driver is one of them
    while context._jsc.sc().getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > deadline:
            raise SparkError(
                f"{master} gave no executor within {EXECUTORS_WITHIN:g} s; see on its page whether "
                "it has workers with free cores and memory"
            )
        time.sleep(0.1)


def _first_line(fault: Exception) -> str:
    """Return what Spark says without the traces below it, which may hold anything."""
    java = getattr(fault, "java_exception", None)
    words = str(java.getMessage() if java is not None else fault).strip()
    return (words.splitlines() or [type(fault).__name__])[0]
