"""An audit record is what one call came to, and all that is needed to make its decision again."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CardReceipt:
    """The identifiers of a card that was sent, by which feedback finds its way back."""

    uuid: str
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One call of the service; holds no name, no raw FHIR, no token.

    Attributes:
        id: random UUID of the decision, shown on cards.
        at: wall-clock instant of the answer, microseconds since 1970 UTC.
        as_of: the instant the decision was made for.
        frozen: whether ``as_of`` was set from outside (demonstrations).
        source: where the call came from: ``cds-hooks``, ``page`` or ``demo``.
        hook, hook_instance, service: of the call; empty for others.
        digest: of the rule bundle; empty where the call failed before one spoke.
        outcome: one of the five outcomes, or ``error``.
        status: the HTTP status that was answered.
        history: canonical JSON of the history; empty for errors.
        decision: canonical JSON of the decision; empty for errors.
        error: for errors, the class of the error and its place; no patient value.
        duration: microseconds from request to answer.
    """

    id: str
    at: int
    as_of: int
    source: str
    outcome: str
    status: int
    regime: str = ""
    version: str = ""
    digest: str = ""
    semantics: int = 0
    engine: str = ""
    stage: str | None = None
    action: str | None = None
    frozen: bool = False
    hook: str = ""
    hook_instance: str = ""
    service: str = ""
    history: bytes = b""
    decision: bytes = b""
    cards: tuple[CardReceipt, ...] = ()
    reasons: tuple[str, ...] = ()
    error: str = ""
    duration: int = 0


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a clinician did with a card, as one feedback item says.

    Attributes:
        service: the service id the feedback was posted to.
        card: uuid of the card.
        outcome: ``accepted`` or ``overridden``.
        at: when, microseconds since 1970 UTC.
        accepted: uuids of the accepted suggestions.
        reason: ``system|code`` of the override reason, if one was picked.
        reason_display: how the reason reads.
        comment: free text of the user; may hold personal data, shown to the authorised only.
    """

    service: str
    card: str
    outcome: str
    at: int
    accepted: tuple[str, ...] = ()
    reason: str = ""
    reason_display: str = ""
    comment: str = ""
    received: int = 0
    decision_id: str | None = field(default=None)
