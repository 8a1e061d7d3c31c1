"""Where the public FHIR sample is, if it is there at all."""

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
