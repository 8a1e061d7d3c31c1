"""The audit is checked twice: that no row was touched, and that each decision comes out again.

The chain of hashes finds a row that was changed, removed, moved or slipped in. It cannot find that
its end was cut off together with the head, nor that somebody who may write to the database
computed the whole chain anew: for that, keep the head (``AuditReader.head``) from time to time
where the database's own administrator cannot write, and compare.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_adapters.storage.database import StorageError
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.records import AuditRecord
from cds_adapters.storage.rows import GENESIS, Receipt, header_of, link, to_record
from cds_engine import SEMANTICS_VERSION
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.record import Plain, canonical, decide_again
from cds_engine.errors import CDSError

FindBundle = Callable[[str], RuleBundle | None]
"""Find a rule bundle by its digest."""

#: Columns of the audit that repeat what the stored decision says.
_REPEATED = ("regime", "version", "digest", "semantics", "as_of", "outcome", "stage", "action")
#: Rows at the end of the chain that are checked before a service starts.
END = 1_000
#: How a history that was not written by this program fails to be one.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, CDSError)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What checking the chain came to.

    Attributes:
        rows: how many rows were read and found sound.
        first_bad: number of the first row that is not as it was written; None if all are.
        why: what is wrong there.
        last, last_hash: number and hash (hexadecimal) of the last row that is sound; to be
            compared with those that were kept elsewhere.
    """

    rows: int
    first_bad: int | None
    why: str
    last: int
    last_hash: str

    @property
    def sound(self) -> bool:
        """Whether every row is as it was written."""
        return self.first_bad is None

    def __str__(self) -> str:
        end = f"row {self.last} has the hash {self.last_hash}"
        if self.sound:
            return f"chain: {self.rows} rows, all as they were written; {end}"
        return f"chain: {self.rows} rows are sound, row {self.first_bad} is not: {self.why}; {end}"


def verify(store: AuditReader, *, after: Receipt | None = None) -> VerifyReport:
    """Follow the chain through every row, a batch in memory at a time.

    The service may go on writing meanwhile.

    Args:
        store: the audit.
        after: a row that is known to be sound; only what follows it is read.
    """
    last = start = after or Receipt(0, GENESIS)
    try:
        head = store.head()
        for row in store.rows(after=start.seq):
            if head is not None and row.seq > head.seq:
                head = store.head()  # the service has written since
            why = _fault(row, last, head)
            if why:
                break
            last = Receipt(row[0], bytes(row[-1]))
        else:
            why = _fault_at_end(head, last)
    except StorageError as error:
        why = str(error)
    bad = last.seq + 1 if why else None
    return VerifyReport(last.seq - start.seq, bad, why, last.seq, last.chain.hex())


def require_sound(store: AuditReader) -> VerifyReport:
    """Check the chain and refuse to go on where it is broken.

    Raises:
        StorageError: naming the first bad row.
    """
    return _sound(verify(store))


def require_sound_end(store: AuditReader) -> VerifyReport:
    """Check the last rows of the chain, and raise if one of them is not as it was written.

    A service does this before it starts, so that nothing is written behind a damaged end. The
    whole chain is for ``verify``, which takes as long as the audit is.
    """
    head = store.head()
    first = 0 if head is None else max(0, head.seq - END)
    before = next(iter(store.rows(first - 1, batch=1)), None) if first else None
    report = verify(store, after=Receipt(before.seq, before.chain) if before else None)
    return _sound(report)


def _sound(report: VerifyReport) -> VerifyReport:
    if not report.sound:
        raise StorageError(
            f"the audit is not as it was written: row {report.first_bad}: {report.why}; keep this "
            "database as evidence and go on with a sound copy or a new one"
        )
    return report


def _fault(row: Sequence[Any], last: Receipt, head: Receipt | None) -> str:
    """Say what is wrong with the row that follows the last sound one; empty if nothing is."""
    seq, values, stored = row[0], row[1:-1], row[-1]
    if seq != last.seq + 1:
        return f"it is missing; the next row there is has the number {seq}"
    try:
        expected = link(last.chain, seq, header_of(values), values[-2], values[-1])
    except (TypeError, ValueError) as error:
        return f"it holds what was never written ({type(error).__name__})"
    if expected != stored:
        return "its hash does not fit its content and the row before it"
    if head is not None and seq > head.seq:
        return f"the service did not write it; its last row is number {head.seq}"
    if head is not None and seq == head.seq and stored != head.chain:
        return "its hash is not the one that was noted when it was written"
    return ""


def _fault_at_end(head: Receipt | None, last: Receipt) -> str:
    """Compare where the rows end with where the writer says that they do."""
    if head is None:
        return "the head of the chain, which says where it ends, is missing"
    if head.seq > last.seq:
        return f"it is missing; {head.seq} rows were written"
    return ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored decision that does not come out again.

    Attributes:
        id: of the decision.
        seq: number of its row.
        fields: what differs; never the values.
    """

    id: str
    seq: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReevaluationReport:
    """What making every stored decision again came to.

    Attributes:
        rows: records read.
        identical: decisions that came out again, bit for bit.
        differences: those that did not.
        errors: records of calls that ended in an error and hold no decision.
        unavailable: digest of a rule bundle that could not be found -> decisions by it.
        other_semantics: decisions by a release whose semantics were others; not comparable.
    """

    rows: int
    identical: int
    differences: tuple[Difference, ...]
    errors: int
    unavailable: Mapping[str, int]
    other_semantics: int

    @property
    def complete(self) -> bool:
        """Whether every stored decision was made again and came out the same."""
        return not (self.differences or self.unavailable or self.other_semantics)

    def __str__(self) -> str:
        decisions = self.rows - self.errors
        lines = [f"decisions: {self.identical} of {decisions} came out again, bit for bit"]
        lines += [f"  row {d.seq}, {d.id}: {', '.join(d.fields)}" for d in self.differences]
        lines += [f"  {n} by bundle {digest}, not found" for digest, n in self.unavailable.items()]
        if self.other_semantics:
            lines.append(f"  {self.other_semantics} by a release with other semantics")
        if self.errors:
            lines.append(f"  {self.errors} calls ended in an error and hold no decision")
        return "\n".join(lines)


def reevaluate(store: AuditReader, find_bundle: FindBundle) -> ReevaluationReport:
    """Make every stored decision again from its stored history and its rule bundle."""
    tally: Counter[str] = Counter()
    unavailable: Counter[str] = Counter()
    differences: list[Difference] = []
    for row in store.rows():
        tally["rows"] += 1
        try:
            record = to_record(row[1:-1])
        except StorageError:
            differences.append(Difference(str(row.id), row.seq, ("row (unreadable)",)))
            continue
        if not record.decision and record.outcome == "error":
            tally["errors"] += 1
            continue
        bundle = find_bundle(record.digest)
        if record.semantics != SEMANTICS_VERSION:
            tally["other_semantics"] += 1
        elif bundle is None:
            unavailable[record.digest] += 1
        elif fields := differing(record, bundle):
            differences.append(Difference(record.id, row.seq, fields))
        else:
            tally["identical"] += 1
    return ReevaluationReport(
        tally["rows"],
        tally["identical"],
        tuple(differences),
        tally["errors"],
        dict(sorted(unavailable.items())),
        tally["other_semantics"],
    )


def differing(record: AuditRecord, bundle: RuleBundle) -> tuple[str, ...]:
    """Name what differs between a stored decision and the same decision made again now.

    Empty where they are identical: the bytes of the decision, and what its row repeats of it.
    """
    try:
        _, again = decide_again(bundle, json.loads(record.history))
    except _UNREADABLE as error:
        return (f"history (unreadable: {type(error).__name__})",)
    fields = [] if canonical(again) == record.decision else _differing_fields(record, again)
    fields += [f"{name} (of the row)" for name in _REPEATED if getattr(record, name) != again[name]]
    return tuple(fields)


def _differing_fields(record: AuditRecord, again: Plain) -> list[str]:
    try:
        stored = dict(json.loads(record.decision))
        names = sorted({*stored, *again})
    except (TypeError, ValueError) as error:
        return [f"decision (unreadable: {type(error).__name__})"]
    fields = [name for name in names if stored.get(name) != again.get(name)]
    return fields or ["decision (written otherwise)"]
