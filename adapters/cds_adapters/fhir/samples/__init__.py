"""Made-up FHIR R4 patients: stories told cleanly, and messes made on purpose.

Nothing here is a real person's record, and nothing says whether a treatment works. The same
arguments give the same bytes everywhere.
"""

from cds_adapters.fhir.samples.cohort import sample_patients
from cds_adapters.fhir.samples.exports import (
    NUMBER_MARKER,
    to_json,
    to_ndjson,
    to_searchset,
    to_transaction_bundle,
)
from cds_adapters.fhir.samples.messes import MESSES, Mess, MessDoesNotApplyError, make_mess
from cds_adapters.fhir.samples.patient import SamplePatient
from cds_adapters.fhir.samples.stories import STORIES, Story, sample_patient

__all__ = [
    "MESSES",
    "NUMBER_MARKER",
    "STORIES",
    "Mess",
    "MessDoesNotApplyError",
    "SamplePatient",
    "Story",
    "make_mess",
    "sample_patient",
    "sample_patients",
    "to_json",
    "to_ndjson",
    "to_searchset",
    "to_transaction_bundle",
]
