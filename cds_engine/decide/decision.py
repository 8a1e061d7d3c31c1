"""A decision is one of five outcomes, with the reasons and the whole path that led to it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from cds_engine.bundle.document import Outcome
from cds_engine.criteria.syntax import Criterion, Trace, Verdict

ReasonCode = Literal[
    "missing",                  # an input is absent
    "stale",                    # an input is too old
    "out-of-range",             # an input is not believable
    "unit-unknown",             # an input has no usable unit
    "conflicting-data",         # an input contradicts itself
    "incomplete",               # the search for an input was cut short or failed
    "unresolved",               # an input is recorded in a way that leaves it open
    "out-of-population",        # the regime is not for this patient
    "no-stage",                 # no stage of the regime fits this history
    "several-stages",           # more than one does
    "positivity-unsupported",   # the data could not compare actions for such a patient
    "safeguard",                # what the rule would advise must not be advised here
    "rule-abstains",            # the rule itself gives no advice here
    "expired-bundle",           # the version is past its date
    "not-yet-effective",        # the version is not in force yet
    "deceased",                 # the patient had died
]  # fmt: skip

Role = Literal["population", "stage", "safeguard", "support", "branch"]


class Step(NamedTuple):
    """One criterion on the path.

    Attributes:
        role: what the criterion was asked for.
        place: where it stands in the rule bundle.
        criterion: None for the last line of a list, which always holds.
        verdict: what it came to.
        first, last: the slice of the trace's leaves that were looked at for it.
    """

    role: Role
    place: str
    criterion: Criterion | None
    verdict: Verdict
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the outcome is what it is.

    Attributes:
        code: one of the fixed codes.
        text: in words, without patient values.
        variables: the inputs it is about.
        place: the safeguard or branch it is about, if one.
    """

    code: ReasonCode
    text: str
    variables: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """An action that a safeguard removed; ``certain`` is False where an input was missing."""

    action: str
    place: str
    because: str
    certain: bool


@dataclass(slots=True)
class Judgement:
    """What a rule bundle says of one state: values alone, before any words.

    Attributes:
        code: why there is no advice; None where there is.
        candidates: the actions that remain possible (abstention), or are equally good
            (equipoise), or the one advised.
        undecided: missing variables that the unknown criteria on the path read.
        place: the branch, score rule or safeguard that spoke.
    """

    outcome: Outcome
    code: ReasonCode | None = None
    stage: str | None = None
    action: str | None = None
    candidates: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    removed: tuple[Removed, ...] = ()
    unsupported: tuple[str, ...] = ()
    place: str = ""
    steps: tuple[Step, ...] = ()
    leaves: Trace | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision for one history, ready to be shown, stored and made again.

    Attributes:
        regime, version, digest: which rule bundle said so.
        as_of: the instant (microseconds since 1970, UTC).
        judgement: the path, and every candidate.
        reasons: why, in fixed codes and in words.
        state: the value of every variable, derived ones included; None where missing.
        notes: what the reader must know besides, such as a review that is overdue.
    """

    regime: str
    version: str
    digest: str
    as_of: int
    judgement: Judgement
    reasons: tuple[Reason, ...]
    state: dict[str, object]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """One of the five outcomes."""
        return self.judgement.outcome

    @property
    def stage(self) -> str | None:
        """The stage that applied, if one."""
        return self.judgement.stage

    @property
    def action(self) -> str | None:
        """The action advised, if one."""
        return self.judgement.action

    @property
    def candidates(self) -> tuple[str, ...]:
        """The actions that remain possible or are equally good."""
        return self.judgement.candidates
