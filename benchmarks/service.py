"""The served call against its peers: throughput, latency and CPU at 1, 8 and 32 connections.

Run as ``python -m benchmarks.service``. One worker each, in turns, in one run; the load comes from
this process. The peer healthchain is measured if ``.venv-healthchain`` is there.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.body import patient_view
from benchmarks.load import Load, post

ROOT = Path(__file__).resolve().parents[1]
REGIME = "hypertension-stepped-care"
CONNECTIONS = (1, 8, 32)
SECONDS = 2.0
ROUNDS = 5


@dataclass(frozen=True)
class Server:
    """A server under load: where it listens, which path is called, and its process."""

    port: int
    path: str
    pid: int


@dataclass(frozen=True)
class Measured:
    """The median of several runs, and the processor time that one call took of the worker.

    Attributes:
        cpu: microseconds of all threads, user and system, over all runs.
    """

    load: Load
    cpu: float


def main() -> None:
    """Measure and print the table."""
    with contextlib.ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory())
        database = f"sqlite:///{folder}/audit.sqlite"
        command = [sys.executable, "-m", "cds_adapters.cli", "serve", "--database", database]
        with serving(command, "/live"):
            pass  # makes the tables, as only the first start does
        port, ready, pid = running.enter_context(serving(command, "/live"))
        services = json.loads(_get(port, "/cds-services"))["services"]
        service = next(s for s in services if s["id"] == f"{REGIME}-patient-view")
        body = patient_view(service["prefetch"])
        servers = {"ours": Server(port, f"/cds-services/{service['id']}", pid)}
        for name, (peer, path) in _peers().items():
            at, _, its_pid = running.enter_context(serving(peer, "/", positional=True))
            servers[name] = Server(at, path, its_pid)
        found = measure(servers, body)
        memory = _memory(pid)
    _print(len(body), ready, memory, found)


def _peers() -> dict[str, tuple[list[str], str]]:
    """Return the peers that can be run here: how to start each, and which path to call."""
    module = ["-m", "benchmarks.peers"]
    peers = {"constant": ([sys.executable, *module, "constant"], "/cds-services/constant")}
    healthchain = ROOT / ".venv-healthchain/bin/python"
    if healthchain.exists():
        command = [str(healthchain), *module, "healthchain"]
        peers["healthchain"] = (command, "/cds/cds-services/constant")
    return peers


def measure(servers: Mapping[str, Server], body: bytes) -> dict[int, dict[str, Measured]]:
    """Return connections -> server -> what was measured; the servers take turns in each round.

    Turns make the ratios of throughput bear what else the machine does. The processor time of a
    call bears it better still.
    """
    for server in servers.values():
        post(server.port, server.path, body, 4, 1.0)  # warm up
    found: dict[int, dict[str, Measured]] = {}
    for connections in CONNECTIONS:
        runs: dict[str, list[tuple[Load, float]]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, server in servers.items():
                before = _cpu(server.pid)
                load = post(server.port, server.path, body, connections, SECONDS)
                runs[name].append((load, _cpu(server.pid) - before))
        found[connections] = {name: _median(some) for name, some in runs.items()}
    return found


def _median(runs: Sequence[tuple[Load, float]]) -> Measured:
    loads = [load for load, _ in runs]
    calls = sum(load.rate * SECONDS for load in loads)
    middle = Load(
        statistics.median(load.rate for load in loads),
        statistics.median(load.p50 for load in loads),
        statistics.median(load.p99 for load in loads),
        sum(load.failures for load in loads),
    )
    return Measured(middle, 1e6 * sum(cpu for _, cpu in runs) / calls)


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


def _cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has used, in all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(
    size: int, ready: float, memory: float, found: Mapping[int, Mapping[str, Measured]]
) -> None:
    print(
        f"patient-view with a body of {size / 1000:.0f} KB; load average {os.getloadavg()[0]:.1f}"
    )
    print(f"ready after {ready:.2f} s (limit 2 s); resident {memory:.0f} MB (limit 200 MB)")
    print("| connections | server | calls/s | p50 ms | p99 ms | failures | CPU us/call |")
    print("|---|---|---|---|---|---|---|")
    for connections, servers in found.items():
        for name, measured in servers.items():
            load = measured.load
            print(
                f"| {connections} | {name} | {load.rate:.0f} | {load.p50:.2f} | {load.p99:.2f} | "
                f"{load.failures} | {measured.cpu:.0f} |"
            )
    print("\n| connections | peer | our share of its throughput | by CPU time per call | limit |")
    print("|---|---|---|---|---|")
    limits = {"constant": "50 %", "healthchain": "200 %"}
    for connections, servers in found.items():
        ours = servers["ours"]
        for name, limit in limits.items():
            peer = servers.get(name)
            rate = f"{ours.load.rate / peer.load.rate:.0%}" if peer else "not measured"
            cpu = f"{peer.cpu / ours.cpu:.0%}" if peer else "not measured"
            print(f"| {connections} | {name} | {rate} | {cpu} | {limit} |")
    print("limit: p99 under 50 ms at 32 connections")


if __name__ == "__main__":
    main()
