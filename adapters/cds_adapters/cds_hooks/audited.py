"""What a call came to, as the record that is committed before anything is answered."""

from dataclasses import dataclass
from typing import Protocol

import cds_engine
from cds_adapters.storage.records import AuditRecord, CardReceipt
from cds_engine.decide.decision import Decision
from cds_engine.decide.record import canonical, decision_to_plain, history_to_plain
from cds_engine.history.value import History
from cds_engine.vocabulary.time import Instant

SOURCE = "cds-hooks"


class AuditLog(Protocol):
    """Where audit records are kept for good."""

    async def append_async(self, record: AuditRecord) -> object:
        """Return once the record is durable; raise if it cannot be."""
        ...

    def healthy(self) -> bool:
        """Say whether a record can be kept right now."""
        ...


@dataclass(slots=True)
class Call:
    """What is known of a call so far, so that one that fails can be recorded too.

    Attributes:
        started: monotonic nanoseconds.
        at: wall-clock instant.
        as_of: the instant decided for; ``at`` until it is known.
    """

    decision_id: str
    service: str
    regime: str
    version: str
    hook: str
    started: int
    at: Instant
    as_of: Instant
    frozen: bool = False
    hook_instance: str = ""


def decision_record(
    call: Call,
    history: History,
    decision: Decision,
    cards: tuple[CardReceipt, ...],
    duration: int,
) -> AuditRecord:
    """Return the record of a decision, with all that is needed to make it again."""
    return AuditRecord(
        id=call.decision_id,
        at=call.at,
        as_of=call.as_of,
        source=SOURCE,
        outcome=decision.outcome,
        status=200,
        regime=decision.regime,
        version=decision.version,
        digest=decision.digest,
        semantics=cds_engine.SEMANTICS_VERSION,
        engine=cds_engine.__version__,
        stage=decision.stage,
        action=decision.action,
        frozen=call.frozen,
        hook=call.hook,
        hook_instance=call.hook_instance,
        service=call.service,
        history=canonical(history_to_plain(history)),
        decision=canonical(decision_to_plain(decision)),
        cards=cards,
        reasons=tuple(reason.code for reason in decision.reasons),
        duration=duration,
    )


def error_record(call: Call, status: int, error: str, duration: int) -> AuditRecord:
    """Return the record of a call that got no answer from the regime."""
    return AuditRecord(
        id=call.decision_id,
        at=call.at,
        as_of=call.as_of,
        source=SOURCE,
        outcome="error",
        status=status,
        regime=call.regime,
        version=call.version,
        semantics=cds_engine.SEMANTICS_VERSION,
        engine=cds_engine.__version__,
        frozen=call.frozen,
        hook=call.hook,
        hook_instance=call.hook_instance,
        service=call.service,
        error=error,
        duration=duration,
    )
