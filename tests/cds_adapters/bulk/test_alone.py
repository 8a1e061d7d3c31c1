"""Two runs do not mix in one folder, and a full disk is no accident of the program."""

import subprocess
import sys
from pathlib import Path

import pytest
from builders.command_line import environment
from builders.replays import decisions, export, run

from cds_adapters.bulk.alone import alone_in
from cds_adapters.bulk.sources import BulkError


def test_a_second_run_in_one_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    data, out = export(tmp_path / "data"), tmp_path / "out"
    met: list[str] = []

    def second(step: str, _done: int, _total: int) -> None:
        if step == "deciding" and not met:
            with pytest.raises(
                BulkError, match=r"another run is at work in .*; wait until it"
            ) as e:
                run(data, out)
            met.append(str(e.value))

    run(data, out, second)
    assert met
    run(data, tmp_path / "alone")
    assert decisions(out) == decisions(tmp_path / "alone")


_HOLDS = """
import sys, time
from pathlib import Path
from cds_adapters.bulk.alone import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_whoever_was_killed_holds_nothing(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", _HOLDS, str(tmp_path)], text=True,
                             stdout=subprocess.PIPE, env=environment())  # fmt: skip
    assert other.stdout is not None
    with other, other.stdout:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BulkError, match="another run"), alone_in(tmp_path):
            pass
        other.kill()
    with alone_in(tmp_path):
        pass


_SMALL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from cds_adapters.cli import main
sys.argv[0] = "cds-engine"
main()
"""


@pytest.mark.parametrize(("size", "jobs"), [(12_000, 1), (12_000, 2)])
def test_a_disk_that_takes_no_more_is_told_of_and_the_work_is_taken_up(
    tmp_path: Path, size: int, jobs: int
) -> None:
    data, out = export(tmp_path / "data", 28), tmp_path / "out"
    command = ["cohort", str(data), "--bundle", "hypertension-stepped-care", "--out", str(out),
               "--instant", "end", "--jobs", str(jobs)]  # fmt: skip
    found = subprocess.run([sys.executable, "-c", _SMALL, str(size), *command], check=False,
                           capture_output=True, text=True, env=environment())  # fmt: skip
    assert found.returncode == 3, found.stderr
    assert "takes no more (File too large); make room and give the same command" in found.stderr
    assert "Traceback" not in found.stderr
    assert not (out / "manifest.json").exists()
    run(data, tmp_path / "roomy")
    again = subprocess.run([sys.executable, "-m", "cds_adapters.cli", *command], check=False,
                           capture_output=True, text=True, env=environment())  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert decisions(out) == decisions(tmp_path / "roomy")
