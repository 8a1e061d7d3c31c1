"""Where the public FHIR sample is, if it is there at all."""

from pathlib import Path

import pytest
from builders.shipped import SAMPLE


@pytest.fixture(scope="session")
def sample_ndjson() -> Path:
    """The NDJSON folders of the public FHIR sample; tests that ask for it skip without it."""
    if not SAMPLE.is_dir():
        pytest.skip("no FHIR sample data beside the repository")
    return SAMPLE
