"""Histories of many decision points are taken at once, and equal the scalar ones in every row.

Whatever the columns cannot settle (dates without a day, several versions of a source, spans, what
cannot be told apart) is marked, and the scalar history of that person and instant decides it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cds_engine.errors import TableError
from cds_engine.history.extract import gap_keys_of
from cds_engine.history.table.answer import Answer, Findings
from cds_engine.history.table.clock import Clock, Index
from cds_engine.history.table.columns import NEVER, Bools, EventTable, Longs
from cds_engine.history.table.conditions import listed
from cds_engine.history.table.course import Course
from cds_engine.history.table.observations import observed
from cds_engine.history.table.person import age, deceased, sex
from cds_engine.history.table.rows import Memory, Rows
from cds_engine.history.table.series import Anchor
from cds_engine.history.table.shard import Shard
from cds_engine.history.table.treatments import treated
from cds_engine.history.value import History
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.variable import Variable

Referee = Callable[[int, Instant], History]
"""Returns the scalar history of a person (the row in ``Persons``) at an instant."""


@dataclass(frozen=True, slots=True)
class HistoryTable:
    """Histories as columns, a row for each decision point in the order in which they were asked.

    Attributes:
        columns: variable -> its findings; every variable that is not derived.
        deceased: True where the patient had died by then.
        refereed: rows for which the scalar history was asked about at least one variable.
    """

    columns: Mapping[str, Findings]
    deceased: Bools
    refereed: Bools

    def __len__(self) -> int:
        return len(self.deceased)


class TableTaker:
    """Takes histories of many decision points for one set of variables and actions.

    Args:
        variables: the variables that are read from records (derived ones are not).
        actions: the catalogue; the course is recognised by its ``seen_as`` codes.
    """

    def __init__(self, variables: Mapping[str, Variable], actions: Mapping[str, Action]) -> None:
        self.variables = dict(variables)
        self.seen_as = _seen_as(actions)

    def take(
        self, table: EventTable, person: Longs, as_of: Longs, referee: Referee
    ) -> HistoryTable:
        """Return what was known at every decision point.

        Args:
            table: events of all persons.
            person: whose decision point it is, as the row in ``table.persons``; shape (n,).
            as_of: the instants of the decisions; shape (n,), in any order.
            referee: asked where columns do not settle a row.

        Raises:
            TableError: if the columns do not fit together.
        """
        table.check()
        person, as_of = _checked(table, person, as_of)
        clock = _clock(table, as_of)
        order = _order(clock, person, as_of)
        if order is not None:
            person, as_of = person[order], as_of[order]
        shard = Shard(table, Rows(person, as_of, Memory()), clock)
        answers = self._answers(shard)
        refereed = _ask(answers, shard.rows, referee)
        died = deceased(table.persons, shard.rows)
        columns = {name: answer.findings(order) for name, answer in answers.items()}
        return HistoryTable(columns, _back(died, order), _back(refereed, order))

    def _answers(self, shard: Shard) -> dict[str, Answer]:
        course = Course(shard, self.seen_as)
        answers = {}
        for name, variable in self.variables.items():
            answer = self._answer(shard, variable, course)
            incomplete = self._incomplete(name, variable, shard)
            if incomplete is not None:
                answer.reasons[incomplete] = 0
                answer.lack(incomplete, "incomplete")
                answer.doubt &= ~incomplete
            answers[name] = answer
        return answers

    def _answer(self, shard: Shard, variable: Variable, course: Course) -> Answer:
        match variable.source:
            case "patient.age":
                return age(shard.table.persons, shard.rows, variable)
            case "patient.sex":
                return sex(shard.table.persons, shard.rows)
            case "course":
                return course.finding(variable)
            case "condition" | "allergy":
                return listed(shard, variable)
            case "observation" if variable.before is not None:
                return _before(shard, variable, variable.before, course)
            case "observation":
                return observed(shard, variable)
            case _:
                return treated(shard, variable)

    def _incomplete(self, name: str, variable: Variable, shard: Shard) -> Bools | None:
        """Say in which rows the search for a variable is known to have gaps; None if nowhere."""
        gaps = shard.table.persons.gaps
        if not gaps:
            return None
        seen_as = [code for codes in self.seen_as.values() for code in codes]
        keys = frozenset(gap_keys_of(name, variable, seen_as))
        since = np.full(len(shard.table.persons), NEVER, dtype=np.int64)
        for person, found in gaps.items():
            some = keys & found.keys()
            if some:
                since[person] = min([found[key] for key in some])
        incomplete: Bools = since[shard.rows.person] <= shard.rows.as_of
        return incomplete if incomplete.any() else None


def _seen_as(actions: Mapping[str, Action]) -> dict[str, tuple[str, ...]]:
    """Return action -> its codes; a code that two actions claim is the later one's."""
    owner = {code: name for name, action in actions.items() for code in action.seen_as}
    return {
        name: tuple(code for code, action in owner.items() if action == name) for name in actions
    }


def _before(shard: Shard, variable: Variable, action: str, course: Course) -> Answer:
    """Return an observation variable whose window ends where an action first began."""
    first, doubt = course.first(action)
    answer = observed(shard, variable, Anchor(first.start, first.end))
    begun = first.some & ~doubt
    answer.reasons[~first.some] = 0
    answer.lack(~first.some, "absent")
    answer.doubt = (answer.doubt & begun) | first.vague | doubt
    return answer


def _checked(table: EventTable, person: Longs, as_of: Longs) -> tuple[Longs, Longs]:
    """Return the decision points as 64-bit columns, or refuse them."""
    person, as_of = np.asarray(person), np.asarray(as_of)
    if person.shape != as_of.shape or person.ndim != 1:
        raise TableError(
            f"decision points need a person and an instant each, found shapes {person.shape} and "
            f"{as_of.shape}; give two columns of one length"
        )
    if len(person) and not 0 <= person.min() <= person.max() < len(table.persons):
        raise TableError(
            f"a decision point names a person who is none of the {len(table.persons)} in the "
            "table; number persons by their row in it"
        )
    return person.astype(np.int64, copy=False), as_of.astype(np.int64, copy=False)


def _clock(table: EventTable, as_of: Longs) -> Clock:
    """Return a clock for the times of all events and decisions."""
    times = [as_of]
    for columns in (table.observations, table.occurrences):
        times += [columns.start, columns.recorded]
    low = min((int(time.min()) for time in times if len(time)), default=0)
    high = max((int(time.max()) for time in times if len(time)), default=0)
    return Clock(len(table.persons), low, high)


def _order(clock: Clock, person: Longs, as_of: Longs) -> Index | None:
    """Return the order by person and instant; None if it is that already."""
    later = (person[1:] == person[:-1]) & (as_of[1:] >= as_of[:-1])
    if (later | (person[1:] > person[:-1])).all():
        return None
    return clock.order(person, as_of)


def _back(mask: Bools, order: Index | None) -> Bools:
    """Return a mask with the rows put back to where they came from."""
    if order is None:
        return mask
    back = np.empty_like(mask)
    back[order] = mask
    return back


def _ask(answers: Mapping[str, Answer], rows: Rows, referee: Referee) -> Bools:
    """Put the scalar history's findings wherever an answer is in doubt."""
    doubt = np.zeros(len(rows), dtype=np.bool_)
    for answer in answers.values():
        doubt |= answer.doubt
    for row in np.flatnonzero(doubt):
        history = referee(int(rows.person[row]), int(rows.as_of[row]))
        for name, answer in answers.items():
            if answer.doubt[row]:
                answer.put(int(row), history.findings[name])
    return doubt
