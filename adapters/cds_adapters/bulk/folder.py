"""One patient's record out of a folder of records, of whatever form it is."""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from cds_adapters.fhir.errors import FHIRError, UnknownPatientError
from cds_adapters.fhir.files import patient_resources, read_records
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


_Stamp = frozenset[tuple[str, int, int]]


def _stamp(path: Path) -> _Stamp:
    """Return what changes when a file of the folder does."""
    files = (file for file in (path, *path.rglob("*")) if file.is_file())
    told = ((str(file), file.stat()) for file in files)
    return frozenset((name, one.st_mtime_ns, one.st_size) for name, one in told)


def _names(path: Path) -> tuple[str, ...]:
    if any(find_spec(name) is None for name in NEEDED):
        return in_order(name for name, _ in patient_resources(path))
    from cds_adapters.bulk.patientids import patient_ids  # noqa: PLC0415 - optional

    return in_order(patient_ids(str(path)))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return names as a person orders them.

    >>> in_order(["p10", "p9", "a"])
    ('a', 'p9', 'p10')
    """

    def parts(name: str) -> list[tuple[bool, int, str]]:
        words = re.findall(r"[0-9]+|[^0-9]+", name)
        return [(not word.isdecimal(), int(word) if word.isdecimal() else 0, word)
                for word in words]  # fmt: skip

    return tuple(sorted(names, key=parts))


class PatientFolder:
    """Finds patients by their id; reads the folder whenever somebody asks for another one."""

    def __init__(self, path: Path, site: SiteMap = PLAIN) -> None:
        self.path = path
        self._site = site
        self._kept: OrderedDict[str, Record] = OrderedDict()
        self._named: tuple[_Stamp, tuple[str, ...]] | None = None
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

    def names(self) -> tuple[str, ...]:
        """Return the ids of all patients, in order; read once, until the folder changes.

        Raises:
            CDSError: if the folder cannot be read.
        """
        now = _stamp(self.path)
        with self._lock:
            if self._named is None or self._named[0] != now:
                self._named = (now, _names(self.path))
            return self._named[1]

    def _read(self, patient: str) -> Record | None:
        try:
            return dict(records_in(self.path, self._site, patient)).get(patient)
        except UnknownPatientError:
            return None
