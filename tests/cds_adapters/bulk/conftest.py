"""Where the public FHIR sample is, if it is there at all; and Spark only where it is asked for."""

import os
from pathlib import Path

import pytest
from builders.shipped import SAMPLE


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of the public FHIR sample; tests that ask for it are skipped without it."""
    folder = Path(os.environ.get("CDS_SAMPLE_DATA", SAMPLE.parent))
    if not folder.is_dir():
        pytest.skip("no FHIR sample data; set CDS_SAMPLE_DATA to its folder")
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests of Spark out, unless -m speaks of them: Spark lives in a place of its own."""
    if "spark" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("spark")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
