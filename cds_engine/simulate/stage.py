"""A world says who decides what, on which variables, and when what is measured and ordered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One decision point of a world.

    Attributes:
        name: as in the table's columns and in a rule bundle.
        title: what a clinician calls it.
        week: when the decision is made, in weeks from the start of the record.
        variables: the names of H_k in the world's vocabulary.
        columns: variable -> column of the table that holds its value at this stage.
        actions: the treatment options, in the order of ``World.propensity``.
        feasible: action -> criterion over ``variables``; one not named is always feasible.
        decides: criterion over ``variables`` that says which patients of the world have a decision
            here; None for all of them.
        when: criterion over the whole vocabulary by which a rule bundle recognises the stage in a
            record, without ``decides``.
        otherwise: action that a fixed regime takes where the one it names is not feasible.
        randomised: action -> relative probability by design; None in a cohort.
    """

    name: str
    title: str
    week: int
    variables: tuple[str, ...]
    columns: Mapping[str, str]
    actions: tuple[str, ...]
    feasible: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    decides: str | None = None
    when: str = "true"
    otherwise: str = ""
    randomised: Mapping[str, float] | None = None

    @property
    def action(self) -> str:
        """The table's column with the action taken; None there without a decision."""
        return f"action_{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit of every patient, as the records tell it.

    Attributes:
        week: weeks from the first visit.
        readings: variable -> column of the table with the value that is measured at this visit.
        stage: name of the stage whose decision is made at this visit; empty without one.
        procedures: variables of procedures that are done at this visit for everybody.
    """

    week: int
    readings: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    stage: str = ""
    procedures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the world measures at its end, as ``aim`` of a rule bundle.

    Attributes:
        outcome: variable whose value at the last visit is the table's column ``outcome``.
        at: how long after the start, an ISO duration.
        unit: UCUM unit.
        better: ``higher`` or ``lower``.
    """

    outcome: str
    at: str
    unit: str
    better: str
