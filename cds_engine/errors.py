"""Every error of the project is a CDSError and says what was found, why it stops us, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass


class CDSError(Exception):
    """The root: catch it to catch everything this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document: where it stands, what it is, and the cure.

    Attributes:
        place: path inside the document, for example ``stages[1].rule[0].when``.
        problem: what was found and why it stops us; may name the cure after a semicolon.
    """

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


class DocumentError(CDSError):
    """A document that cannot be used; carries all of its faults, not just the first."""

    def __init__(self, what: str, faults: Sequence[Fault]) -> None:
        self.what = what
        self.faults = tuple(faults)
        lines = "".join(f"\n  - {fault}" for fault in self.faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"{what} cannot be used; {count}:{lines}")


class RuleBundleError(DocumentError):
    """A rule bundle that is malformed, ill-typed or contradicts itself."""


class CriterionError(CDSError):
    """A criterion that cannot be parsed or does not fit the variables it names."""


class DurationError(CDSError):
    """A duration that is not written as this project reads durations."""


class TableError(CDSError):
    """Columns that do not fit the rule bundle they are to be decided with."""


class StudyError(DocumentError):
    """A study file that cannot be read or contradicts itself."""


class TrajectoriesError(DocumentError):
    """A trial or cohort table that does not have the layout it is said to have."""


class EstimationError(CDSError):
    """Data that cannot carry the estimate that was asked for."""
