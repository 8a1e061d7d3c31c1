"""The codes that FHIR R4 requires, and what each says about using the resource.

A status does one of three things. *Kept*: the event carries the status, and the rule bundle's
allow-lists decide. *Void*: the record takes back what it once said; the event is made all the
same, so that it supersedes earlier versions, and the core uses nothing in such a status. *Unfit*:
the resource does not say that anything happened; it is set aside with words.
"""

from collections.abc import Iterable
from typing import NoReturn

from cds_adapters.fhir.errors import NotUsedError

ENTERED_IN_ERROR = "entered-in-error"
CANCELLED = "cancelled"
REFUTED = "refuted"

VOID = frozenset({ENTERED_IN_ERROR, CANCELLED, REFUTED})
"""Statuses in which an event only supersedes earlier versions of its source."""

REVISED = frozenset({"amended", "corrected"}) | VOID
"""Statuses that say that an earlier version told something else."""

Statuses = dict[str | None, str]
"""Status -> the event's status, or empty where the resource is unfit."""


def _statuses(kept: str, void: str = "", unfit: str = "") -> Statuses:
    table: Statuses = {code: code for code in kept.split()}
    table |= dict.fromkeys(void.split(), CANCELLED)
    table |= dict.fromkeys(unfit.split(), "")
    return table | {ENTERED_IN_ERROR: ENTERED_IN_ERROR}


OBSERVATION = _statuses("registered preliminary final amended corrected unknown", "cancelled")
PRESCRIPTION = _statuses("active on-hold completed stopped unknown", "cancelled", "draft")
STATEMENT = _statuses("active completed stopped on-hold unknown", unfit="intended not-taken")
DISPENSE = _statuses(
    "in-progress completed stopped unknown", "cancelled declined", "preparation on-hold"
)
ADMINISTRATION = _statuses("in-progress on-hold completed stopped unknown", unfit="not-done")
PROCEDURE = _statuses("in-progress on-hold stopped completed unknown", unfit="preparation not-done")
SERVICE_REQUEST = _statuses("active on-hold completed unknown", "revoked", "draft")
CARE_PLAN = _statuses("active on-hold completed unknown", "revoked", "draft")
ENCOUNTER = _statuses(
    "arrived triaged in-progress onleave finished", "cancelled", "planned unknown"
)

UNKNOWN = "unknown"
"""The status of what may have happened or not; its event is in doubt."""

ENDED = frozenset({"completed", "stopped", "finished"})
"""Statuses of prescriptions, plans and encounters that are over."""

ORDERS = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
PLANS = frozenset({"plan", "order"})
NO_ORDERS = frozenset({"proposal", "plan", "directive", "option"})
GENDERS = frozenset({"male", "female", "other", "unknown"})

CLINICAL = frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved"})
OVER = frozenset({"inactive", "remission", "resolved"})
VERIFICATION = frozenset(
    {"unconfirmed", "provisional", "differential", "confirmed", REFUTED, ENTERED_IN_ERROR}
)
DOUBTFUL = frozenset({"unconfirmed", "provisional", "differential"})
STATUS_SYSTEMS = frozenset(
    f"http://terminology.hl7.org/CodeSystem/{name}"
    for name in (
        "condition-clinical",
        "condition-ver-status",
        "allergyintolerance-clinical",
        "allergyintolerance-verification",
    )
)


def unfit(status: str | None, statuses: Statuses) -> NoReturn:
    """Raise the words why a resource in this status makes no event.

    An unknown code leaves a gap, because the resource may matter; an unfit one does not.
    """
    if status not in statuses:
        raise NotUsedError(not_one_of("status", status, statuses))
    raise NotUsedError(f"status {status!r} does not say that it happened", gap=False)


def not_one_of(name: str, code: str | None, codes: Iterable[str | None]) -> str:
    """Say that a required code is absent or wrong."""
    known = ", ".join(sorted(known for known in codes if known))
    if not code:
        return f"{name} is missing; FHIR requires one of {known}"
    return f"{name} {shown(code)} is not one of {known}"


def shown(code: str) -> str:
    """Quote a wrong code for a message, cut short; what should be a code may be anything."""
    return repr(code if len(code) <= 40 else f"{code[:40]}...")
