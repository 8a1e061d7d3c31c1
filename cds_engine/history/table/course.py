"""The course of all decision points at once: the latest action, since when, and how many."""

from functools import cached_property

import numpy as np

from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.table.answer import Answer
from cds_engine.history.table.columns import Bools, Longs
from cds_engine.history.table.conditions import since
from cds_engine.history.table.cover import First, Firsts
from cds_engine.history.table.shard import Shard
from cds_engine.vocabulary.value import NONE
from cds_engine.vocabulary.variable import Variable


class Course:
    """When each action of a catalogue was first seen, as known at each decision point.

    Args:
        shard: events and decision points.
        seen_as: action -> the codes by which it is recognised, for every action of the catalogue.
    """

    def __init__(self, shard: Shard, seen_as: dict[str, tuple[str, ...]]) -> None:
        self.shard = shard
        self.seen_as = seen_as
        self.labels = tuple(sorted({NONE, *seen_as}))

    def first(self, action: str) -> tuple[First, Bools]:
        """Return when an action was first seen, and where the scalar history must be asked."""
        return self.shard.memory.once(("first", action), lambda: self._first(action))

    def _first(self, action: str) -> tuple[First, Bools]:
        shard = self.shard
        found = shard.occurred(COURSE_KINDS, self.seen_as[action])
        untidy = found.untidy()
        unknown = found.has_status("unknown")
        untidy.ask(found.person[unknown], found.known[unknown])
        firsts = Firsts(
            shard.clock,
            found.person,
            found.known,
            (found.start, found.end),
            found.vague,
            found.daily,
        )
        return firsts.at(shard.rows), untidy.doubt(shard.rows)

    @cached_property
    def _firsts(self) -> dict[str, First]:
        return {action: self.first(action)[0] for action in self.seen_as if self.seen_as[action]}

    @cached_property
    def doubt(self) -> Bools:
        """Where the scalar history must be asked about the course as a whole."""
        doubt = np.zeros(len(self.shard.rows), dtype=np.bool_)
        for action in self._firsts:
            doubt |= self.first(action)[1]
        return doubt

    def finding(self, variable: Variable) -> Answer:
        """Return a course variable, as ``history.course.from_course`` does for one row."""
        match variable.aggregate:
            case "count":
                answer = Answer(self._number.astype(np.float64))
            case "latest_action":
                answer = self._latest_action()
            case _:
                answer = since(variable.unit or "wk", self._latest, self.shard.rows.as_of)
                answer.lack(self._number == 0, "absent")
                answer.lack(self._several, "conflicting")
        answer.doubt |= self.doubt
        return answer

    def _latest_action(self) -> Answer:
        places = np.full(len(self.shard.rows), self.labels.index(NONE), dtype=np.int64)
        for action, first in self._firsts.items():
            places[self._is_latest(first)] = self.labels.index(action)
        size = np.min_scalar_type(len(self.labels))
        answer = Answer(places.astype(size), categories=self.labels)
        answer.lack(self._several, "conflicting")
        return answer

    @cached_property
    def _number(self) -> Longs:
        """How many actions have begun."""
        number = np.zeros(len(self.shard.rows), dtype=np.int64)
        for first in self._firsts.values():
            number += first.some
        return number

    @cached_property
    def _start(self) -> Longs:
        """When the latest action began at the earliest; no matter what where there is none."""
        low = np.iinfo(np.int64).min
        start = np.full(len(self.shard.rows), low, dtype=np.int64)
        for first in self._firsts.values():
            np.maximum(start, np.where(first.some, first.start, low), out=start)
        return start

    def _is_latest(self, first: First) -> Bools:
        """Say where an action may be the latest."""
        latest: Bools = first.some & (first.end >= self._start)
        return latest

    @cached_property
    def _several(self) -> Bools:
        """Where the latest cannot be told, several having begun at one time."""
        number = np.zeros(len(self.shard.rows), dtype=np.int64)
        for first in self._firsts.values():
            number += self._is_latest(first)
        return number > 1

    @cached_property
    def _latest(self) -> First:
        """When the latest action began."""
        rows = len(self.shard.rows)
        some, vague, daily = (np.zeros(rows, dtype=np.bool_) for _ in range(3))
        start, end = (np.zeros(rows, dtype=np.int64) for _ in range(2))
        for first in self._firsts.values():
            latest = self._is_latest(first)
            some |= latest
            vague |= latest & first.vague
            daily |= latest & first.daily
            start, end = np.where(latest, first.start, start), np.where(latest, first.end, end)
        return First(some, start, end, vague, daily)
