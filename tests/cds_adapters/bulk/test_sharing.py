"""Work that is shared out is done once each, whoever does it, and a death is no silence."""

import os
import signal
import time
from typing import Any

import pytest
from joblib import Parallel, delayed

from cds_adapters.bulk.sharing import shared_out
from cds_adapters.bulk.sources import BulkError


def told(_: Any, number: int) -> tuple[int, int]:
    time.sleep(0.02)
    return number, os.getpid()


def refused(_: Any, number: int) -> int:
    if number == 3:
        raise BulkError("three cannot be read")
    return number


def killed(here: Any, number: int) -> int:
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return number


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_every_piece_is_done_once(jobs: int, count: int) -> None:
    done = list(shared_out(jobs, told, None, range(count)))  # type: ignore[arg-type]
    assert sorted(number for number, _ in done) == list(range(count))


def test_this_process_works_beside_the_other() -> None:
    done = list(shared_out(2, told, None, range(400)))  # type: ignore[arg-type]
    processes = {process for _, process in done}
    assert os.getpid() in processes
    assert len(processes) == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_told_as_what_it_is(jobs: int) -> None:
    with pytest.raises(BulkError, match="three cannot be read"):
        list(shared_out(jobs, refused, None, range(9)))  # type: ignore[arg-type]


def test_a_process_that_is_killed_ends_the_run_with_words() -> None:
    with pytest.raises(BulkError, match=r"ended from outside.*fewer --jobs"):
        list(shared_out(2, killed, os.getpid(), range(9)))  # type: ignore[arg-type]
    # and the next run is served again
    assert len(list(shared_out(2, told, None, range(9)))) == 9  # type: ignore[arg-type]


def test_joblib_works_after_it() -> None:
    list(shared_out(2, told, None, range(4)))  # type: ignore[arg-type]
    found = Parallel(n_jobs=2)(delayed(told)(None, number) for number in range(4))
    assert [number for number, _ in found] == [0, 1, 2, 3]
