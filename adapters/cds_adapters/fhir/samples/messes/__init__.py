"""The messes of real records, each made on purpose, one at a time."""

from collections.abc import Mapping
from types import MappingProxyType

from cds_adapters.fhir.samples.messes.coded import CODED
from cds_adapters.fhir.samples.messes.copies import COPIED
from cds_adapters.fhir.samples.messes.mess import Mess, MessDoesNotApplyError
from cds_adapters.fhir.samples.messes.references import REFERENCES
from cds_adapters.fhir.samples.messes.shapes import SHAPES
from cds_adapters.fhir.samples.messes.status import STATUS
from cds_adapters.fhir.samples.messes.times import TIMES
from cds_adapters.fhir.samples.messes.units import UNITS
from cds_adapters.fhir.samples.messes.values import VALUES
from cds_adapters.fhir.samples.patient import SamplePatient

__all__ = ["MESSES", "Mess", "MessDoesNotApplyError", "make_mess"]

_ALL = (*UNITS, *VALUES, *TIMES, *COPIED, *STATUS, *CODED, *REFERENCES, *SHAPES)

MESSES: Mapping[str, Mess] = MappingProxyType({mess.name: mess for mess in _ALL})


def make_mess(patient: SamplePatient, name: str, seed: int = 0) -> SamplePatient:
    """Return a copy of the patient with one mess made; messes can be made one upon another.

    Raises:
        ValueError: There is no mess of that name.
        MessDoesNotApplyError: The record holds nothing in which this mess could be made.
    """
    if name not in MESSES:
        raise ValueError(f"no mess {name!r}; the messes are {', '.join(MESSES)}")
    return MESSES[name](patient, seed)
