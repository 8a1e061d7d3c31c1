"""An audit store in memory: what pages read, and no more."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cds_adapters.storage.records import AuditRecord, Feedback


@dataclass
class FakeAudit:
    """Holds records and feedback; raises what it is told to raise."""

    records: dict[str, AuditRecord] = field(default_factory=dict)
    feedback: list[Feedback] = field(default_factory=list)
    fault: Exception | None = None

    def put(self, record: AuditRecord) -> str:
        self.records[record.id] = record
        return record.id

    def get(self, decision_id: str) -> AuditRecord | None:
        self._fail()
        return self.records.get(decision_id)

    def recent(self, limit: int) -> Sequence[AuditRecord]:
        self._fail()
        return sorted(self.records.values(), key=lambda r: r.at, reverse=True)[:limit]

    def outcome_counts(self, regime: str, version: str) -> Mapping[str, int]:
        self._fail()
        found = (r for r in self.records.values() if (r.regime, r.version) == (regime, version))
        return Counter(r.outcome for r in found)

    def feedback_for(self, decision_id: str) -> Sequence[Feedback]:
        self._fail()
        return [item for item in self.feedback if item.decision_id == decision_id]

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault
