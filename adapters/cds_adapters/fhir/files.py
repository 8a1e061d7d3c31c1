"""Records come from files: Bulk Data folders, Bundles, or single NDJSON files, packed or not.

The resources of one patient are spread over a Bulk Data export, so everything that can be used is
first gathered by patient, in memory (as JSON, without the types that no decision rests on). For a
large export name the patient, or split it.

A line that cannot be read is set aside in the record of the patient it names. If it names none,
it may be anybody's: then every record has it set aside, and a gap.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from cds_adapters.fhir.errors import FHIRError, UnknownPatientError
from cds_adapters.fhir.piles import Piece, Piles
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_adapters.fhir.streams import read_body, read_lines
from cds_engine.history.event import Record

_NDJSON = (".ndjson", ".ndjson.gz")
_JSON = (".json", ".json.gz")


def read_records(
    path: Path, site: SiteMap = PLAIN, patient: str | None = None
) -> Iterator[tuple[str, Record]]:
    """Yield every patient's id and record, in the order in which the files name the patients.

    Args:
        path: a folder of NDJSON files or of Bundles, or one such file; ``.gz`` too.
        site: what the site's own codes and dates mean.
        patient: the id of the only patient who is wanted.
    """
    piles = _gathered(path, patient)
    for patient_id in piles.patients():
        yield patient_id, piles.record(patient_id, site)


def patient_resources(path: Path, patient: str | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Yield every patient's id and resources as they stand, with the medications referred to."""
    piles = _gathered(path, patient)
    for patient_id in piles.patients():
        yield patient_id, [piece.data for piece in piles.pieces(patient_id)]


def _gathered(path: Path, patient: str | None) -> Piles:
    piles = Piles(only=patient)
    for file in _files(path):
        if file.name.endswith(_NDJSON):
            for number, line in read_lines(file):
                piles.add(Piece(line, f"{file.name}:{number}"), file.name)
        else:
            _add_bundle(piles, file)
    if patient is not None and not piles.patients():
        raise UnknownPatientError(f"{path}: holds nothing about patient {patient!r}; check the id")
    return piles


def _files(path: Path) -> list[Path]:
    if path.is_file() and path.name.endswith((*_NDJSON, *_JSON)):
        return [path]
    if not path.is_dir():
        found = "is no FHIR file" if path.exists() else "does not exist"
        raise FHIRError(
            f"{path} {found}; pass a folder of .ndjson files (a Bulk Data export), a folder of "
            "Bundle .json files, or one such file; each may be packed as .gz"
        )
    files = sorted(file for file in path.iterdir() if file.name.endswith((*_NDJSON, *_JSON)))
    if not files:
        raise FHIRError(f"{path} holds no .ndjson and no .json file, packed or not; pass another")
    return files


def _add_bundle(piles: Piles, file: Path) -> None:
    try:
        piles.add_body(read_body(file), file.name)
    except (FHIRError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise FHIRError(
            f"{file}: is no Bundle that can be read ({fault}); fetch it again"
        ) from None
