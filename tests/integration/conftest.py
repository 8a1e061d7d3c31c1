"""Where the public FHIR sample is, for those who have it."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "fhir-r4"


@pytest.fixture
def sample_data() -> Path:
    """The folder of the public FHIR sample; tests that ask for it are skipped without it."""
    folder = Path(os.environ.get("CDS_SAMPLE_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip("no FHIR sample data; set CDS_SAMPLE_DATA to its folder")
    return folder
