"""What a study's parts are called in a report."""

from dataclasses import dataclass

from cds_engine.estimate.study import StudyDocument
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.units import unit_words


@dataclass(frozen=True, slots=True)
class Words:
    """The outcome of a study in words.

    Attributes:
        outcome: with its unit.
        unit: of the outcome, in brackets with a space before it; empty where it has none.
        better: ``higher`` or ``lower``.
    """

    outcome: str
    unit: str
    better: str

    @classmethod
    def of(cls, study: StudyDocument) -> "Words":
        """Return the words of a study."""
        unit = f" ({unit_words(study.aim.unit)})" if study.aim.unit else ""
        return cls(study.outcome.label + unit, unit, study.aim.better)

    @property
    def benefit(self) -> str:
        """What a benefit is: more of the outcome where higher is better, else less of it."""
        way = "more" if self.better == "higher" else "less"
        return f"Benefit: {way} of the outcome{self.unit}"


def axis_of(name: str, kind: Kind) -> str:
    """Return what a variable is called on an axis."""
    unit = f" ({unit_words(kind.unit)})" if kind.unit else ""
    return f"{kind.label or name}{unit}"
