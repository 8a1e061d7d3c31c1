"""The served call against its peers: throughput and latency at 1, 8 and 32 connections.

Run as ``python -m benchmarks.service``. One worker each, one after the other, in one run; the load
comes from this process. The peer healthchain is measured if ``.venv-healthchain`` is there.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.body import patient_view
from benchmarks.load import Load, post

ROOT = Path(__file__).resolve().parents[1]
REGIME = "hypertension-stepped-care"
CONNECTIONS = (1, 8, 32)
SECONDS = 3.0
ROUNDS = 3


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/audit.sqlite"
        command = [sys.executable, "-m", "cds_adapters.cli", "serve", "--database", database]
        with serving(command, "/live") as (port, ready, pid):
            discovery = _get(port, "/cds-services")
            service = next(
                s for s in json.loads(discovery)["services"] if s["id"] == f"{REGIME}-patient-view"
            )
            body = patient_view(service["prefetch"])
            ours = measure(port, f"/cds-services/{service['id']}", body)
            memory = _memory(pid)
        peers = {"constant": [sys.executable, "-m", "benchmarks.peers", "constant"]}
        healthchain = ROOT / ".venv-healthchain/bin/python"
        if healthchain.exists():
            peers["healthchain"] = [str(healthchain), "-m", "benchmarks.peers", "healthchain"]
        paths = {"constant": "/cds-services/constant", "healthchain": "/cds/cds-services/constant"}
        measured = {}
        for name, peer in peers.items():
            with serving(peer, "/", positional=True) as (port, _, _):
                measured[name] = measure(port, paths[name], body)
    _print(len(body), ready, memory, ours, measured)


def measure(port: int, path: str, body: bytes) -> dict[int, Load]:
    """Return the median run for each number of connections."""
    post(port, path, body, 4, 1.0)  # warm up
    found = {}
    for connections in CONNECTIONS:
        runs = [post(port, path, body, connections, SECONDS) for _ in range(ROUNDS)]
        runs.sort(key=lambda run: run.rate)
        found[connections] = Load(
            runs[ROUNDS // 2].rate,
            statistics.median(run.p50 for run in runs),
            statistics.median(run.p99 for run in runs),
            sum(run.failures for run in runs),
        )
    return found


@contextlib.contextmanager
def serving(
    command: Sequence[str], probe: str, *, positional: bool = False
) -> Iterator[tuple[int, float, int]]:
    """Start a server, wait until it answers; yield its port, seconds until ready, process id."""
    port = _free_port()
    start = time.perf_counter()
    arguments = [str(port)] if positional else ["--port", str(port)]
    process = subprocess.Popen(
        [*command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _answers(port, probe):
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            time.sleep(0.01)
        yield port, time.perf_counter() - start, process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(port: int, path: str) -> bool:
    try:
        _get(port, path)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        content: bytes = answer.read()
        return content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _memory(pid: int) -> float:
    """Return the resident size of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _print(
    size: int,
    ready: float,
    memory: float,
    ours: dict[int, Load],
    peers: dict[str, dict[int, Load]],
) -> None:
    print(
        f"patient-view with a body of {size / 1000:.0f} KB; load average {os.getloadavg()[0]:.1f}"
    )
    print(f"ready after {ready:.2f} s (limit 2 s); resident {memory:.0f} MB (limit 200 MB)")
    print(
        "| connections | ours/s | p50 ms | p99 ms | failures | constant/s | share | healthchain |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for connections, load in ours.items():
        bare = peers["constant"][connections].rate
        other = peers.get("healthchain", {}).get(connections)
        times = f"{load.rate / other.rate:.1f} x" if other else "not measured"
        print(
            f"| {connections} | {load.rate:.0f} | {load.p50:.2f} | {load.p99:.2f} | "
            f"{load.failures} | {bare:.0f} | {load.rate / bare:.0%} | {times} |"
        )
    print("limits: at least 50 % of constant, p99 under 50 ms at 32, at least 2 x healthchain")


if __name__ == "__main__":
    main()
