"""Personalising is compared with every fixed action, with usual care, and with crude numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from cds_engine.errors import EstimationError
from cds_engine.estimate.crude import crude_value, observed_value
from cds_engine.estimate.doubly_robust import Prepared, prepare
from cds_engine.estimate.missing_outcomes import Missing
from cds_engine.estimate.rule import Always, Rules
from cds_engine.estimate.simultaneous import simultaneous
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate
from cds_engine.estimate.weights import Propensities, advice, followed, follows_so_far

MOST_FIXED = 64


@dataclass(frozen=True)
class Compared:
    """One regime in a table of values.

    Attributes:
        kind: ``regime``, ``learned`` (valued out of fold), ``fixed`` or ``usual care``.
        value: the doubly robust value; the mean outcome of usual care.
        crude: mean outcome of those who happened to follow it, not adjusted; None if nobody did
            who has an outcome and a weight.
    """

    kind: str
    value: ValueEstimate
    crude: ValueEstimate | None


@dataclass(frozen=True)
class ValueTable:
    """Values of regimes, of every fixed one, and of usual care, on the same trajectories.

    Attributes:
        rows: the regimes that were asked for, then the fixed ones, then usual care.
        better: the direction in which the outcome was declared.
        notes: what a reader must know of the table: which fixed regimes were left out.
    """

    rows: tuple[Compared, ...]
    better: str
    notes: tuple[str, ...] = ()

    @property
    def usual(self) -> ValueEstimate:
        """The value of usual care."""
        return self.rows[-1].value

    @property
    def best_fixed(self) -> ValueEstimate:
        """The best of the fixed regimes; being chosen on the same data, it looks too good.

        Raises:
            EstimationError: if no fixed regime was valued.
        """
        fixed = [row.value for row in self.rows if row.kind == "fixed"]
        if not fixed:
            raise EstimationError("no fixed regime was valued; ask for them (`fixed`)")
        sign = 1 if self.better == "higher" else -1
        best = max(fixed, key=lambda one: sign * one.estimate)
        note = f"the best of {len(fixed)} fixed regimes on the same data, so that it looks too good"
        return replace(best, notes=(*best.notes, note))

    def value(self, label: str) -> ValueEstimate:
        """Return the value of one regime by its label.

        Raises:
            EstimationError: if there is none.
        """
        for row in self.rows:
            if row.value.label == label:
                return row.value
        labels = ", ".join(row.value.label for row in self.rows)
        raise EstimationError(f"there is no value of {label!r}; there are {labels}")

    def differences(self, label: str, *, at_once: bool = False) -> tuple[ValueEstimate, ...]:
        """Return a regime's value minus every other's, paired.

        Args:
            label: the regime.
            at_once: whether the intervals are to hold all together (max-t).
        """
        one = self.value(label)
        held = tuple(one.minus(row.value) for row in self.rows if row.value is not one)
        return simultaneous(held, level=one.level) if at_once else held

    def frame(self) -> pd.DataFrame:
        """Return one row a regime, with the crude mean and the paired differences beside it."""
        fixed = any(row.kind == "fixed" for row in self.rows)
        best = self.best_fixed if fixed else None
        return pd.DataFrame([self._line(row, best) for row in self.rows])

    def _line(self, row: Compared, best: ValueEstimate | None) -> dict[str, Any]:
        one = row.value
        line: dict[str, Any] = {
            "label": one.label, "kind": row.kind, "estimate": one.estimate,
            "standard_error": one.standard_error, "low": one.low, "high": one.high,
            "crude": float("nan") if row.crude is None else row.crude.estimate,
            "followers": one.followers, "effective_n": one.effective_n, "n": one.n,
        }  # fmt: skip
        references = {"usual": self.usual, **({} if best is None else {"best_fixed": best})}
        for name, other in references.items():
            gain = one.minus(other)
            line |= {f"minus_{name}": gain.estimate, f"minus_{name}_low": gain.low,
                     f"minus_{name}_high": gain.high}  # fmt: skip
        return {**line, "notes": "; ".join(one.notes)}


def value_table(  # noqa: PLR0913 - nuisance models as in dr_value
    trajectories: Trajectories,
    rules_by_label: Mapping[str, Any],
    *,
    fixed: Mapping[str, Rules] | None = None,
    usual: str = "usual care",
    propensity: Propensities = None,
    outcome: Any = None,
    n_folds: int = 5,
    truncate: float | None = None,
    missing: Missing = "refuse",
    observation: Any = None,
    random_state: int = 0,
    level: float = 0.95,
) -> ValueTable:
    """Return the doubly robust value of regimes beside those of fixed ones and of usual care.

    All share one set of folds and nuisance models, so that every difference is paired.

    Args:
        trajectories: the data.
        rules_by_label: label -> rules of a regime, or a learner, which is valued out of fold.
        fixed: label -> rules of the fixed regimes; those of ``fixed_regimes`` unless given. Of
            more than 64 the most followed are valued, and the table's notes say so.
        usual: what usual care is called.
        propensity: as in ``dr_value``, like all the rest.
        outcome: likewise.
        n_folds: likewise.
        truncate: likewise.
        missing: likewise.
        observation: likewise.
        random_state: likewise.
        level: likewise.

    Raises:
        EstimationError: if two regimes share a label, and as ``dr_value`` does.
    """
    fixed = fixed_regimes(trajectories) if fixed is None else most_followed(trajectories, fixed)
    labels = [*rules_by_label, *fixed, usual]
    if twice := [one for one in dict.fromkeys(labels) if labels.count(one) > 1]:
        raise EstimationError(f"two regimes are called {twice[0]!r}; give each its own label")
    prepared = prepare(
        trajectories, propensity=propensity, outcome=outcome, n_folds=n_folds, missing=missing,
        observation=observation, random_state=random_state,
    )  # fmt: skip
    rows = [
        _compared(trajectories, prepared, label, one, kind, truncate=truncate, level=level)
        for kind, regimes in (("regime", rules_by_label), ("fixed", fixed))
        for label, one in regimes.items()
    ]
    care = observed_value(
        trajectories, label=usual, missing=missing, observation=observation, level=level
    )
    crude = observed_value(trajectories.take(trajectories.observed), label=usual, level=level)
    rows.append(Compared("usual care", care, crude))
    return ValueTable(tuple(rows), trajectories.better, fixed.notes)


class FixedRegimes(dict[str, Rules]):
    """Fixed regimes by their label, and what a reader must know of the choice of them.

    Attributes:
        notes: which were left out, where there were too many to value each.
    """

    def __init__(self, regimes: Mapping[str, Rules], notes: tuple[str, ...] = ()) -> None:
        super().__init__(regimes)
        self.notes = notes


def fixed_regimes(trajectories: Trajectories) -> FixedRegimes:
    """Return every regime that advises the same to all, such as ``coaching > gym``.

    Where all stages have the same actions there is one regime for each action; else one for each
    sequence of actions. Where its action is not feasible it advises the first declared one that
    is; regimes that come to advise the same to everybody are kept once. Of more than 64 the 64
    that most followed are kept, most first, and the notes say so.
    """
    actions = [h.spec.actions for h in trajectories.stages]
    alike = all(set(one) == set(actions[0]) for one in actions)
    count = len(actions[0]) if alike else prod(map(len, actions))
    if alike or count <= MOST_FIXED:
        plans = ((one,) * len(actions) for one in actions[0]) if alike else product(*actions)
        return most_followed(trajectories, _distinct(trajectories, plans, alike=alike))
    kept = _distinct(trajectories, _by_followers(trajectories), most=MOST_FIXED)
    return FixedRegimes(kept, (_left_out(len(kept), count),))


def most_followed(trajectories: Trajectories, regimes: Mapping[str, Rules]) -> FixedRegimes:
    """Return regimes as they are or, of more than 64, the 64 that most followed, most first."""
    if len(regimes) <= MOST_FIXED:
        return FixedRegimes(regimes, getattr(regimes, "notes", ()))
    counted = trajectories.weights > 0
    count = {
        label: int(np.count_nonzero(counted & follows_so_far(
            trajectories, advice(trajectories, rules))[-1]))
        for label, rules in regimes.items()
    }  # fmt: skip
    kept = sorted(regimes, key=lambda label: -count[label])[:MOST_FIXED]
    return FixedRegimes({label: regimes[label] for label in kept},
                        (_left_out(MOST_FIXED, len(regimes)),))  # fmt: skip


def _left_out(kept: int, count: int) -> str:
    return (f"of {count} fixed regimes only the {kept} that most followed were valued; the best "
            "fixed one is the best of these")  # fmt: skip


def _always(one: str, names: Sequence[str]) -> Always:
    return Always(one, tuple(other for other in names if other != one))


def _distinct(
    trajectories: Trajectories, plans: Iterable[Sequence[str]], *, alike: bool = False,
    most: int | None = None,
) -> dict[str, Rules]:  # fmt: skip
    """Return the first regimes of different advice, by label."""
    held: dict[str, Rules] = {}
    seen: set[bytes] = set()
    for plan in plans:
        rules = tuple(_always(one, h.spec.actions)
                      for one, h in zip(plan, trajectories.stages, strict=True))  # fmt: skip
        advised = np.vstack(advice(trajectories, rules)).tobytes()
        if advised not in seen:
            seen.add(advised)
            held[plan[0] if alike else " > ".join(plan)] = rules
        if len(held) == most:
            break
    return held


def _by_followers(trajectories: Trajectories) -> Iterator[tuple[str, ...]]:
    """Yield sequences of actions that somebody followed, most followed first.

    Nobody follows a sequence who left it before: a beginning is followed by as many as any of its
    sequences at least, so that only the best beginning ever needs to be continued.
    """
    follows = [{one: followed(h, _always(one, h.spec.actions)(h)) for one in h.spec.actions}
               for h in trajectories.stages]  # fmt: skip
    order = [{one: at for at, one in enumerate(h.spec.actions)} for h in trajectories.stages]
    heap: list[tuple[int, tuple[int, ...], tuple[str, ...], Any]] = [
        (0, (), (), trajectories.weights > 0)
    ]
    while heap:
        _, at, begun, here = heappop(heap)
        if len(begun) == len(follows):
            yield begun
            continue
        for one, who in follows[len(begun)].items():
            both = here & who
            if count := int(np.count_nonzero(both)):
                place = (*at, order[len(begun)][one])
                heappush(heap, (-count, place, (*begun, one), both))


def _compared(
    trajectories: Trajectories, prepared: Prepared, label: str, one: Any, kind: str, *,
    truncate: float | None, level: float,
) -> Compared:  # fmt: skip
    if hasattr(one, "fit"):
        value = prepared.learned_value(one, label, truncate=truncate, level=level)
        return Compared("learned", value, None)
    value = prepared.value(one, label, truncate=truncate, level=level)
    who = follows_so_far(trajectories, advice(trajectories, one))[-1]
    known = bool((who & trajectories.observed & (trajectories.weights > 0)).any())
    crude = crude_value(trajectories, one, label=label, level=level) if known else None
    return Compared(kind, value, crude)
