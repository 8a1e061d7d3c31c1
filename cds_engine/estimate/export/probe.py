"""A probe asks what the estimator says of a patient whose values are given one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.scalar import complete
from cds_engine.estimate.columns import Bools, Columns, Floats, Ints, holds, plain
from cds_engine.estimate.rule import StageRule
from cds_engine.estimate.stage import StageData

State = Mapping[str, Any]
ABSTAIN: frozenset[str] = frozenset()
"""Stands for no advice: too few actions could be compared."""
ELSEWHERE = frozenset({"-"})
"""Stands for a patient who is not at this stage, and of whom the estimator says nothing."""
GRID = 65
"""How many values of a number are tried before a boundary between two of them is narrowed down."""


@dataclass(frozen=True)
class Probe:
    """One served stage as the estimator sees it.

    Attributes:
        bundle: for declared kinds and derived variables; its rules are not looked at.
        stage: the served stage's name.
        h: the data of the stage.
        rows: the patients of this served stage.
        actions: its options.
        tailoring: the variables that the advice depends on.
        rule: the estimator's rule.
        scores: the estimator's contrasts, where it has any; else None.
        support: action -> criterion outside which it is not compared.
        margin: contrasts this close are equally good.
        at: values of a patient at the stage besides those of the history.
    """

    bundle: RuleBundle
    stage: str
    h: StageData
    rows: Bools
    actions: Sequence[str]
    tailoring: Sequence[str]
    rule: StageRule
    at: State
    support: Mapping[str, str]
    scores: Any = None
    margin: float = 0.0

    def states(self, rows: Ints) -> list[dict[str, Any]]:
        """Return training rows as the values that a case would give."""
        base = [name for name in self.h.columns if name in self.bundle.base_variables]
        columns = {name: self.h.columns[name][rows].tolist() for name in base}
        return [
            {**self.at, **{name: columns[name][at] for name in base}} for at in range(len(rows))
        ]

    def data(self, states: Sequence[State]) -> StageData:
        """Return given values as a stage's data, derived variables worked out as serving does."""
        whole = [complete(self.bundle, state) for state in states]
        columns: Columns = {
            name: plain(np.array([state[name] for state in whole], dtype=object))
            for name in self.h.columns
        }
        feasible = np.ones((len(states), self.h.n_actions), dtype=np.bool_)
        for action, text in self.h.spec.feasible.items():
            mask = holds(text, columns, len(states), self.bundle.kinds)
            feasible[:, self.h.spec.place(action)] = mask
        return StageData(
            spec=self.h.spec, columns=columns, decided=np.ones(len(states), dtype=np.bool_),
            action=np.zeros(len(states), dtype=np.intp), feasible=feasible,
            reward=np.zeros(len(states)),
        )  # fmt: skip

    def answers(self, states: Sequence[State]) -> list[frozenset[str]]:
        """Return for each patient the actions that the estimator holds equally good.

        None of them stands for an abstention, ``ELSEWHERE`` for who is not at this stage.
        """
        if not states:
            return []
        when = next(one.when for one in self.bundle.stages if one.name == self.stage)
        population = self.bundle.population
        wholes = [complete(self.bundle, state) for state in states]
        here = [bool(when.evaluate(w, []) and population.evaluate(w, [])) for w in wholes]
        found = self._expected(self.data(states))
        return [one if inside else ELSEWHERE for one, inside in zip(found, here, strict=True)]

    def _expected(self, h: StageData) -> list[frozenset[str]]:
        places = [self.h.spec.place(action) for action in self.actions]
        feasible = h.feasible[:, places]
        inside = feasible.copy()
        for at, action in enumerate(self.actions):
            if action in self.support:
                inside[:, at] &= holds(self.support[action], h.columns, h.rows, self.bundle.kinds)
        compared = inside.sum(axis=1)
        silent = (compared == 0) | ((compared < 2) & (feasible.sum(axis=1) > compared))
        if self.scores is None:
            chosen = self.rule(h)
            names = [frozenset({self.h.spec.actions[place]}) for place in chosen]
        else:
            names = self._best(self.scores(h)[:, places], inside)
        return [ABSTAIN if quiet else name for quiet, name in zip(silent, names, strict=True)]

    def _best(self, scores: Floats, inside: Bools) -> list[frozenset[str]]:
        masked = np.where(inside, scores, -inf)
        near = masked >= masked.max(axis=1, keepdims=True) - self.margin
        return [frozenset(a for a, ok in zip(self.actions, row, strict=True) if ok)
                for row in near & inside]  # fmt: skip

    def typical(self) -> dict[str, Any]:
        """Return a patient in the middle: medians of numbers, the commonest of all else."""
        at = np.flatnonzero(self.rows)
        found = dict(self.states(at[:1])[0])
        for name, values in self.h.columns.items():
            if name not in self.bundle.base_variables:
                continue
            here = values[at]
            if here.dtype == np.float64:
                found[name] = float(np.quantile(here, 0.5, method="nearest"))
            else:
                labels, counts = np.unique(here.astype(str), return_counts=True)
                commonest = labels[counts.argmax()]
                found[name] = (
                    bool(commonest == "True") if here.dtype == np.bool_ else str(commonest)
                )
        return found

    def boundaries(self, state: State) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Return where the advice changes as one number moves and all else stays.

        Returns:
            The variable, and the two patients on either side of the boundary, whose values of it
            differ by one in the last decimal that is compared.
        """
        found = []
        for name in self._numbers():
            grid = self._grid(name)
            moved = [{**state, name: value} for value in grid]
            answers = self.answers(moved)
            changes = np.flatnonzero([one != other for one, other in pairwise(answers)])
            found += [
                (name, *self._narrowed(name, state, grid[at], grid[at + 1])) for at in changes
            ]
        return found

    def _numbers(self) -> list[str]:
        base = self.bundle.base_variables
        reads = {name for one in self.bundle.derived if one.name in self.tailoring
                 for name in one.reads}  # fmt: skip
        wanted = [*self.tailoring, *sorted(reads)]
        known = [n for n in dict.fromkeys(wanted) if n in base and n in self.h.columns]
        return [name for name in known if self.bundle.kinds[name].type == "number"]

    def _grid(self, name: str) -> list[float]:
        kind, values = self.bundle.kinds[name], self.h.columns[name][self.rows].astype(np.float64)
        reach = (values.max() - values.min()) / 4
        low = max(values.min() - reach, -inf if kind.low is None else kind.low)
        high = min(values.max() + reach, inf if kind.high is None else kind.high)
        return sorted({round(float(v), kind.digits) for v in np.linspace(low, high, GRID)})

    def _narrowed(
        self, name: str, state: State, low: float, high: float
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        digits = self.bundle.kinds[name].digits
        scale = 10**digits
        first, last = round(low * scale), round(high * scale)

        def patient(step: int) -> dict[str, Any]:
            return {**state, name: round(step / scale, digits)}

        [below] = self.answers([patient(first)])
        while last - first > 1:
            middle = (first + last) // 2
            if self.answers([patient(middle)]) == [below]:
                first = middle
            else:
                last = middle
        return patient(first), patient(last)
