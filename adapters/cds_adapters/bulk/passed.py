"""The vocabulary check of a whole export: what its records hold, and what was passed over unread.

Most of what nothing reads never gets into a record: it is counted while the files are scanned.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cds_adapters.bulk.gaps import shown_by
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.vocabulary import Survey, Treatments
from cds_adapters.bulk.wanted import ALL, KIND_OF_TYPE
from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import EventKind

_PLAN = "CarePlan"
"""What a plan is about is not judged by its codes; its events are of the kind of orders."""

_TYPE_OF_KIND: Mapping[str, str] = {
    kind: name for name, kind in KIND_OF_TYPE.items() if name != _PLAN
}
_REFERRED: tuple[EventKind, ...] = ("request", "statement", "dispense", "administration")
"""Kinds of events whose codes may stand in another resource.

So they are in the records, whatever they are about.
"""


def whole_survey(
    bundle: RuleBundle, scans: Sequence[Scanned], surveys: Iterable[Mapping[str, Any]]
) -> Survey:
    """Put together the surveys of all records and what was passed over before there were any.

    Args:
        bundle: whose actions they may show.
        scans: what each file came to.
        surveys: of the shards, as ``Survey.plain`` writes them.
    """
    told = Survey()
    for one in surveys:
        told.add(one)
    inside, told.unmapped = told.unmapped, Counter()
    referred, told.treatments = told.treatments, {}
    for scan in scans:
        _add_codes(told.unmapped, scan.unmapped)
    starts = tuple(f"{kind} " for kind in _REFERRED)
    _add_codes(told.unmapped, {code: n for code, n in inside.items() if code.startswith(starts)})
    for name in sorted({one for action in bundle.actions.values() for one in shown_by(action)}):
        if name != _PLAN and (found := _treatments(name, scans, referred)).resources:
            told.treatments[name] = found
    return told


def _add_codes(unmapped: Counter[str], more: Mapping[str, int]) -> None:
    """Add ``type code`` -> how often; what event files call by its kind is called by its type."""
    for name, n in more.items():
        kind, _, code = name.partition(" ")
        unmapped[f"{_TYPE_OF_KIND.get(kind, kind)} {code}"] += n


def _treatments(
    name: str, scans: Sequence[Scanned], referred: Mapping[str, Treatments]
) -> Treatments:
    """Return what was found of one type of resource, those of event files included."""
    kind = KIND_OF_TYPE[name]
    inside = referred.get(kind, Treatments()) if kind in _REFERRED else Treatments()
    found = Treatments(0, inside.unread, inside.elsewhere)
    for scan in scans:
        for one in (name, kind):
            found.resources += scan.types[one]
            found.unread += scan.unread[one]
            found.elsewhere += scan.elsewhere[one]
    return found


def never_met(job: Job, scans: Iterable[Scanned], met: Iterable[str]) -> Iterator[str]:
    """Yield the local codes of the site that stand for what is read, and that nothing has.

    Args:
        job: what was asked for.
        scans: what each file came to.
        met: the local codes that were met in the records.
    """
    if not any(job.export.of(kind) for kind in ("ndjson", "bundle")):
        return
    read = job.wanted().codes.values()
    found = {code for scan in scans for code in scan.mapped} | set(met)
    for local, standard in job.site().codes.items():
        counts = any(codes is not ALL and not codes.isdisjoint(standard) for codes in read)
        if counts and local not in found:
            yield local
