"""The tutorial runs, and prints what it says."""

import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "learn.md"


def test_the_tutorial_prints_what_it_says() -> None:
    found = doctest.testfile(
        str(PAGE), module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )  # fmt: skip
    assert found.attempted > 40
    assert found.failed == 0
