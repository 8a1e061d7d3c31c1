"""A whole replay beside the time that orjson alone needs to parse the same files.

Run as ``python -m benchmarks.replay [PATIENTS ...]``; without numbers 20 000 patients with about
2 million Observations, and 10 decision points each. The export is made by ``cds-engine simulate``
in a folder that goes away. Replay and orjson take turns, each in processes of its own, so that
both share a noisy hour; what is compared is CPU time, and for two processes also the time on the
wall. The recheck of 1 % by the scalar evaluator is part of the replay.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Line, show

PATIENTS = 20_000
EXTRA = 96
"""Observations of each patient that no variable reads, beside the five that one does."""

LIMIT, MEMORY, SPEED_UP = 2.0, 2_000.0, 1.7
RULES = Path(__file__).resolve().parents[1] / "rules" / "hypertension-intensification" / "1.0.0"
RUNS = 3
MOST_RUNS = 20_000
"""Patients above which one run of each must do."""

_PARSE = """
import sys, orjson
for name in sys.argv[1:]:
    with open(name, "rb") as lines:
        for line in lines:
            orjson.loads(line)
"""

_REPLAY = """
import sys
from pathlib import Path
from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.run import replay
from cds_adapters.fhir.times import read_instant
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration

data, rules, out, jobs, engine = sys.argv[1:]
names = ("README.md", "bundle.yaml", "cases.yaml", "evidence.json")
files = tuple((n, (Path(rules) / n).read_bytes()) for n in names if (Path(rules) / n).exists())
settings = ReplaySettings(
    points="schedule",
    first=read_instant("2025-01-01T00:00:00Z"),
    last=read_instant("2025-10-01T00:00:00Z"),
    every=parse_duration("P1M"),
)
found = replay(ReplayRequest(
    data=data, bundles=(files,), out=Path(out), settings=settings, jobs=int(jobs), engine=engine,
))
print(found.rows)
"""


@dataclass(frozen=True)
class Cost:
    """What one run took: CPU seconds and seconds on the wall, and the most memory in MB.

    The memory is that of the largest of its processes.
    """

    cpu: float
    wall: float
    memory: float
    said: str = ""


def cost_of(script: str, *arguments: str) -> Cost:
    """Run a script in a process of its own."""
    before = os.times()
    start = time.perf_counter()
    found = subprocess.run(
        [sys.executable, "-c", _MEASURED, script, *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    wall = time.perf_counter() - start
    after = os.times()
    *said, memory = found.stdout.split()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Cost(cpu, wall, float(memory), " ".join(said))


_MEASURED = """
import resource, sys
script, sys.argv = sys.argv[1], sys.argv[1:]
exec(compile(script, "work", "exec"))
try:
    from joblib.externals.loky import get_reusable_executor
    get_reusable_executor().shutdown()  # only who has ended is counted among the children
except ImportError:
    pass
who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
print(max(resource.getrusage(one).ru_maxrss for one in who) / 1024)
"""


def make(folder: Path, patients: int) -> None:
    """Write an export."""
    subprocess.run(
        [
            sys.executable, "-m", "cds_adapters.cli", "simulate", "--world", "hypertension-cohort",
            "--count", str(patients), "--extra", str(EXTRA), "--out", str(folder),
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def median(costs: list[Cost]) -> Cost:
    """Return the run with the median CPU time."""
    middle = statistics.median_low([cost.cpu for cost in costs])
    return next(cost for cost in costs if cost.cpu == middle)


def measure(patients: int, engine: str = "columnar") -> list[Line]:
    """Measure one size of export."""
    with tempfile.TemporaryDirectory() as place:
        data, out = Path(place, "data"), Path(place, "out")
        make(data, patients)
        files = [str(file) for file in sorted(data.glob("*.ndjson"))]
        size = sum(Path(file).stat().st_size for file in files) / 1e6
        parsed: list[Cost] = []
        costs: dict[int, list[Cost]] = {1: [], 2: []}
        for _ in range(RUNS if patients <= MOST_RUNS else 1):
            parsed.append(cost_of(_PARSE, *files))
            for jobs, found in costs.items():
                found.append(cost_of(_REPLAY, str(data), str(RULES), str(out), str(jobs), engine))
    return _lines(patients, size, median(parsed), median(costs[1]), median(costs[2]))


def _lines(patients: int, size: float, parse: Cost, one: Cost, two: Cost) -> list[Line]:
    ratio, memory = one.cpu / parse.cpu, max(one.memory, two.memory)
    words = f"{patients:,} patients, {size:,.0f} MB, {one.said} rows"
    return [
        Line(
            f"{words}: CPU against orjson",
            f"{ratio:.1f} x ({one.cpu:.1f} s)",
            f"at most {LIMIT:.0f} x ({parse.cpu:.1f} s)",
            ratio <= LIMIT,
        ),
        Line("  the same a patient", f"{one.cpu / patients * 1e3:.2f} ms", ""),
        Line("  memory of a process", f"{memory:.0f} MB", f"{MEMORY:.0f} MB", memory <= MEMORY),
        Line(
            "  two processes against one, on the wall",
            f"{one.wall / two.wall:.2f} x ({one.wall:.0f} s, {two.wall:.0f} s)",
            f"{SPEED_UP} x",
            one.wall / two.wall >= SPEED_UP,
        ),
        Line("  their CPU time together", f"{two.cpu:.1f} s", f"one: {one.cpu:.1f} s"),
    ]


def main() -> None:
    """Measure and print."""
    sizes = [int(text) for text in sys.argv[1:]] or [PATIENTS]
    for patients in sizes:
        show("A whole replay", measure(patients))


if __name__ == "__main__":
    main()
