"""One patient's record out of a folder of records, of whatever form it is."""

from collections import OrderedDict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from cds_adapters.fhir.errors import FHIRError, UnknownPatientError
from cds_adapters.fhir.files import read_records
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_engine.history.event import Record

NEEDED = ("fsspec", "pyarrow", "zstandard")
"""What reading other forms than NDJSON and Bundles, plain or gzipped, is done with."""

_KEPT = 8
"""How many records are kept, so that going back and forth in one reads it once."""

_ONLY_EXPORTS = (".zst", ".parquet", ".jsonl")


def records_in(
    path: Path, site: SiteMap = PLAIN, patient: str | None = None
) -> Iterator[tuple[str, Record]]:
    """Yield every patient's id and record out of a folder or file.

    Raises:
        CDSError: if it cannot be read, or knows nothing of the patient.
    """
    if not _is_export(path):
        return read_records(path, site, patient)
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise FHIRError(
            f"{path}: reading it needs {', '.join(lacking)}; pip install 'cds-engine[replay]'"
        )
    from cds_adapters.bulk.records import read_records as read_export  # noqa: PLC0415 - optional

    return read_export(str(path), site, patient)


def _is_export(path: Path) -> bool:
    """Say whether there is something that only a reader of whole exports reads."""
    if not path.is_dir():
        return path.is_file() and path.suffix in _ONLY_EXPORTS
    if any(file.suffix in _ONLY_EXPORTS for file in path.rglob("*")):
        return True
    return any(path.iterdir()) and not any(file.is_file() for file in path.iterdir())


class PatientFolder:
    """Finds patients by their id; reads the folder whenever somebody asks for another one."""

    def __init__(self, path: Path, site: SiteMap = PLAIN) -> None:
        self.path = path
        self._site = site
        self._kept: OrderedDict[str, Record] = OrderedDict()
        self._lock = Lock()
        if not path.exists():
            raise FHIRError(f"{path} does not exist; name the folder with the patients' records")

    def find(self, patient: str) -> Record | None:
        """Return a patient's record; None if there is none.

        Raises:
            CDSError: if the folder cannot be read.
        """
        with self._lock:
            record = self._kept.pop(patient, None) or self._read(patient)
            if record is not None:
                self._kept[patient] = record
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return record

    def _read(self, patient: str) -> Record | None:
        try:
            return dict(records_in(self.path, self._site, patient)).get(patient)
        except UnknownPatientError:
            return None
