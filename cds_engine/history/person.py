"""Age, sex and death, as of an instant."""

from math import inf

from cds_engine.history.elapsed import CREDIBLE, elapsed_units, is_vague
from cds_engine.history.event import BEGINNING, Person
from cds_engine.history.value import Finding, Known, Missing, Reading
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import SEXES, Variable


def age(variable: Variable, person: Person, as_of: Instant) -> Finding:
    """Return the completed units of age; a span where only month or year of birth is known."""
    source = "Patient"  # the reference without its id: a decision is stored without naming anyone
    if person.born is None:
        return Missing("absent", "no date of birth is on record")
    born = Reading(source, None, None)
    if person.born.start > as_of:
        return Missing("implausible", "the date of birth is after the decision", (born,))
    if person.born.end < CREDIBLE:
        return Missing("implausible", "the age is outside the plausible range", (born,))
    value = _plausible(variable, elapsed_units(variable.unit or "a", person.born, as_of))
    if value is None:
        return Missing("implausible", "the age is outside the plausible range", (born,))
    return Known(value, (born,))


def _plausible(variable: Variable, value: Scalar) -> Scalar | None:
    """Return the plausible part of an age, None if there is none."""
    least, most = variable.plausible or (0.0, inf)
    ends = (value.low, value.high) if isinstance(value, Span) else (float(value), float(value))
    low, high = max(ends[0], least), min(ends[1], most)
    if low > high:
        return None
    return low if low == high else Span(low, high)


def sex(person: Person) -> Finding:
    """Return the administrative sex as a label."""
    if person.sex is None:
        return Missing("absent", "no sex is on record")
    if person.sex not in SEXES:
        return Missing("unresolved", "the sex is recorded with an unknown code")
    return Known(person.sex, (Reading("Patient", None, None),))


def deceased(person: Person, as_of: Instant) -> bool:
    """Say whether the patient had died by ``as_of``, as far as the record tells."""
    since = dead_from(person)
    return since is not None and since <= as_of


def dead_from(person: Person) -> Instant | None:
    """Return the instant from which the patient is known to be dead; None if alive.

    A day is that from its start. A month or a year may hold much of a life yet: it is certain once
    it is over, or once the record knew of the death. Without any date it is from when the record
    knew of it, or else always: nothing is recommended for somebody who may be dead.
    """
    died, known = person.died, person.death_known
    if died is None:
        always = BEGINNING if known is None else known
        return always if person.deceased else None
    if not is_vague(died):
        return died.start
    return died.end if known is None else min(died.end, max(died.start, known))
