"""In a world the potential outcomes are known: the same patients can be treated by any regime.

A world tells how histories, actions and the outcome come about, as functions of noise. The noise
belongs to the patient. Whoever chooses the actions, usual care or a regime, meets the same noise,
so that a patient whom usual care treats as the regime would has the same outcome under both.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import CDSError
from cds_engine.simulate.noise import BLOCK, Floats, draw_noise
from cds_engine.simulate.stage import Aim, Stage, Visit

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Columns = Mapping[str, Array]
Rule = Callable[[Columns], Array]
"""d_k: the columns known at the stage, each (n,), to the labels of the actions, (n,). The columns
go by the names of the table and, for the stage's own variables, by those of the vocabulary. What is
returned for a patient who has no decision at the stage does not matter."""
Regime = Sequence[Rule] | Mapping[str, Rule]
"""One rule for each stage, in order or by the stage's name."""
Choose = Callable[[int, Columns, Bools], Array]
Document = dict[str, Any]


class SimulationError(CDSError):
    """A world was asked for something that it does not hold."""


class Optimal(NamedTuple):
    """The best regime of a world, its value, and the Monte Carlo error of that value."""

    regime: tuple[Rule, ...]
    value: float
    standard_error: float


class Value(NamedTuple):
    """The mean outcome, in the outcome's own unit and direction, and its Monte Carlo error."""

    value: float
    standard_error: float


class World(ABC):
    """A world with known truth.

    Args:
        parameters: the numbers of the structural equations; the world's own unless given.

    Attributes:
        name: by which ``WORLDS`` knows it.
        title: what it is, in words.
        aim: what is measured at the end.
        population: criterion that every patient fulfils.
        stages: the decision points in order of time.
        visits: when what is recorded; the last one holds the outcome.
        always: variables of conditions that every patient has.
        variables: the vocabulary, as ``variables`` of a rule bundle.
        actions: the catalogue, as ``actions`` of a rule bundle.
        codes: code -> display, for every code of the vocabulary and the catalogue.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    aim: ClassVar[Aim]
    population: ClassVar[str]
    stages: tuple[Stage, ...]
    visits: ClassVar[tuple[Visit, ...]]
    always: ClassVar[tuple[str, ...]] = ()
    variables: ClassVar[Mapping[str, Document]]
    actions: ClassVar[Mapping[str, Document]]
    codes: ClassVar[Mapping[str, str]]
    _normal: ClassVar[tuple[str, ...]]
    _uniform: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def _unfold(self, noise: Columns, choose: Choose) -> dict[str, Array]:
        """Return all columns of the table but ``id``, given who chooses the actions."""

    @abstractmethod
    def _odds(self, stage: int, h: Columns) -> Floats:
        """Return how usual care weighs the actions, shape (n, n_actions), before feasibility."""

    @abstractmethod
    def _feasible(self, stage: int, h: Columns) -> Bools:
        """Return which actions are feasible, shape (n, n_actions)."""

    @abstractmethod
    def _best(self) -> tuple[Rule, ...]:
        """Return the optimal regime."""

    @abstractmethod
    def exact(self, *actions: str) -> float:
        """Return E[Y^d] of ``fixed(*actions)`` in closed form; the docstring says how exactly."""

    def _decided(self, stage: int, h: Columns) -> Bools:
        """Return who has a decision at the stage, shape (n,)."""
        del stage
        return np.ones(_length(h), dtype=np.bool_)

    def draw(self, n: int, seed: int = 0, *, first: int = 0) -> "Draw":
        """Return patients ``first`` to ``first + n - 1`` under usual care (or the trial's lots)."""
        if n < 1 or first < 0:
            raise SimulationError(
                f"{n} patients from number {first} cannot be drawn; ask for one or more, from 0 on"
            )
        uniform = (*(f"choice_{s.name}" for s in self.stages), "calendar", "born", "sex",
                   *self._uniform)  # fmt: skip
        noise = draw_noise(self.name, seed, first, n, normal=self._normal, uniform=uniform)
        return Draw(self, n, seed, first, noise)

    def parts(self, n: int, seed: int = 0, *, size: int = BLOCK) -> Iterator["Draw"]:
        """Yield the patients of ``draw(n, seed)`` in parts, for numbers too large for memory."""
        for first in range(0, n, size):
            yield self.draw(min(size, n - first), seed, first=first)

    def value(self, regime: Regime, n: int = 200_000, seed: int = 1) -> Value:
        """Return E[Y^d] by Monte Carlo: the mean of ``n`` potential outcomes."""
        return _mean(self.draw(n, seed).potential(regime))

    def usual_care(self, n: int = 200_000, seed: int = 1) -> Value:
        """Return E[Y] when nobody follows a regime, by Monte Carlo."""
        return _mean(self.draw(n, seed).outcome)

    def optimal(self, n: int = 200_000, seed: int = 1) -> Optimal:
        """Return the regime with the best E[Y^d] of all that use the stages' variables."""
        regime = self._best()
        return Optimal(regime, *self.value(regime, n, seed))

    def fixed(self, *actions: str) -> tuple[Rule, ...]:
        """Return the regime that takes the same action for everybody for whom it is feasible.

        Args:
            *actions: one for each stage. Whoever cannot have it gets the stage's ``otherwise``.
        """
        self._check(actions)
        return tuple(self._fixed(k, action) for k, action in enumerate(actions))

    def _check(self, actions: Sequence[str]) -> None:
        """Refuse actions that are not one for each stage, of its own."""
        if len(actions) != len(self.stages):
            raise SimulationError(
                f"{len(actions)} actions were given for {len(self.stages)} stages; give one for "
                f"each of {', '.join(s.name for s in self.stages)}"
            )
        for stage, action in zip(self.stages, actions, strict=True):
            if action not in stage.actions:
                raise SimulationError(
                    f"stage {stage.name} has no action {action!r}; it has "
                    f"{', '.join(stage.actions)}"
                )

    def _fixed(self, k: int, action: str) -> Rule:
        stage = self.stages[k]
        place = stage.actions.index(action)

        def rule(h: Columns) -> Array:
            return picked((stage.otherwise or action, action), self._feasible(k, h)[:, place])

        return rule

    def stage_number(self, stage: str | int) -> int:
        """Return the place of a stage, given as its name or its place."""
        names = [one.name for one in self.stages]
        if stage in names:
            return names.index(str(stage))
        if isinstance(stage, int) and 0 <= stage < len(names):
            return stage
        raise SimulationError(f"there is no stage {stage!r}; there are {', '.join(names)}")

    def history(self, stage: str | int, columns: Columns) -> dict[str, Array]:
        """Return the columns with the stage's variables added under the vocabulary's names."""
        of = self.stages[self.stage_number(stage)].columns
        return {**columns, **{name: columns[column] for name, column in of.items()
                              if column in columns}}  # fmt: skip

    def feasible(self, stage: str | int, columns: Columns) -> Bools:
        """Return which actions each patient can have, (n, n_actions); none without a decision.

        Args:
            stage: name or place of the stage.
            columns: columns of the table, or the stage's variables by name.
        """
        k = self.stage_number(stage)
        h = self.history(k, columns)
        return self._feasible(k, h) & self._decided(k, h)[:, None]

    def propensity(self, stage: str | int, columns: Columns) -> Floats:
        """Return P(A_k = a | H_k), shape (n, n_actions), in the order of the stage's actions.

        Rows are zero where there is no decision. Arguments are those of ``feasible``.
        """
        k = self.stage_number(stage)
        h = self.history(k, columns)
        possible = self._feasible(k, h) & self._decided(k, h)[:, None]
        odds = np.where(possible, self._odds(k, h), 0.0)
        total = odds.sum(axis=1, keepdims=True)
        shares: Floats = np.divide(odds, total, out=np.zeros_like(odds), where=total > 0)
        return shares


@dataclass(frozen=True, eq=False)
class Draw:
    """Patients of a world, and what would become of them under any regime.

    Attributes:
        world: where they live.
        n: how many there are.
        seed: of their noise.
        first: number of the first.
        noise: what is theirs whoever treats them, by name; each of shape (n,).
    """

    world: World
    n: int
    seed: int
    first: int
    noise: Columns

    @cached_property
    def columns(self) -> Columns:
        """The table without ``id``: column -> shape (n,)."""
        return self.world._unfold(self.noise, self._usual)

    @property
    def outcome(self) -> Floats:
        """Y as it was, shape (n,), in the direction of ``aim.better``."""
        return self.columns["outcome"]

    @cached_property
    def ids(self) -> Array:
        """The ids of the patients, in the table and in their records; shape (n,)."""
        numbers = range(self.first, self.first + self.n)
        return np.array([f"{self.world.name}-{i}" for i in numbers], dtype=object)

    def frame(self) -> "pd.DataFrame":
        """Return the table: ``id``, variables, actions (None without a decision), ``outcome``."""
        from cds_engine.simulate.frame import to_frame  # noqa: PLC0415 - pandas only on demand

        return to_frame(self.ids, self.columns)

    def history(self, stage: str | int) -> dict[str, Array]:
        """Return all that was known at a stage, by the table's and the vocabulary's names."""
        k = self.world.stage_number(stage)
        return self.world.history(k, self._before(k, self.columns))

    def potential(self, regime: Regime) -> Floats:
        """Return Y^d of these very patients, shape (n,).

        Raises:
            SimulationError: if a rule gives an action that is not feasible, with stage and count.
        """
        return self.under(regime)["outcome"]

    def under(self, regime: Regime) -> Columns:
        """Return the whole table as it would be had all followed the regime."""
        rules = self._rules(regime)

        def choose(k: int, columns: Columns, possible: Bools) -> Array:
            stage = self.world.stages[k]
            known = {name: one for name, one in columns.items() if not name.startswith("_")}
            chosen = np.asarray(rules[k](self.world.history(k, known)))
            if chosen.shape != (self.n,):
                raise SimulationError(
                    f"the rule of stage {stage.name} returned shape {chosen.shape} for {self.n} "
                    "patients; return one action label for each"
                )
            ok = np.zeros(self.n, dtype=np.bool_)
            for place, action in enumerate(stage.actions):
                ok |= (chosen == action) & possible[:, place]
            decided = np.asarray(possible.any(axis=1))
            if wrong := int(np.count_nonzero(decided & ~ok)):
                raise SimulationError(
                    f"the rule of stage {stage.name} gives {wrong} of {int(decided.sum())} "
                    "patients no feasible action; choose among "
                    f"{', '.join(stage.actions)} by `World.feasible`"
                )
            labels = chosen.astype(object)
            labels[~decided] = None
            return labels

        return self.world._unfold(self.noise, choose)

    def _rules(self, regime: Regime) -> list[Rule]:
        names = [stage.name for stage in self.world.stages]
        if isinstance(regime, Mapping):
            if set(regime) != set(names):
                raise SimulationError(
                    f"the regime has rules for {', '.join(regime)}, but the stages are "
                    f"{', '.join(names)}; give one for each"
                )
            return [regime[name] for name in names]
        if len(regime) != len(names):
            raise SimulationError(
                f"the regime has {len(regime)} rules for {len(names)} stages; give one for each of "
                f"{', '.join(names)}"
            )
        return list(regime)

    def _usual(self, k: int, columns: Columns, possible: Bools) -> Array:
        stage = self.world.stages[k]
        shares = np.cumsum(self.world.propensity(k, columns), axis=1)
        decided = possible.any(axis=1)
        # divided by their own last sum, so that no uniform number falls beyond it
        shares = shares / np.where(decided, shares[:, -1], 1.0)[:, None]
        place = (self.noise[f"choice_{stage.name}"][:, None] >= shares).sum(axis=1)
        return picked((*stage.actions, None), np.where(decided, place, len(stage.actions)))

    def _before(self, k: int, columns: Columns) -> Columns:
        """Return the columns that are known before the decision of stage ``k``."""
        names = list(columns)
        return {name: columns[name] for name in names[: names.index(self.world.stages[k].action)]}


def decide(world: World, k: int, columns: dict[str, Array], choose: Choose) -> Array:
    """Add stage ``k``'s action to the columns, and return it."""
    stage = world.stages[k]
    columns[stage.action] = choose(k, columns, world.feasible(k, columns))
    return columns[stage.action]


def recorded(values: Floats, digits: int, low: float, high: float) -> Floats:
    """Return the numbers as they are recorded: within the plausible range, rounded to digits."""
    return np.asarray(np.round(np.clip(values, low, high), digits) + 0.0, dtype=np.float64)


def picked(labels: Sequence[str | None], place: Array) -> Array:
    """Return the labels at these places (a truth value is place 0 or 1), shape of ``place``."""
    found: Array = np.array(labels, dtype=object)[np.asarray(place, dtype=np.intp)]
    return found


def _length(h: Columns) -> int:
    return len(next(iter(h.values())))


def _mean(outcomes: Floats) -> Value:
    error = outcomes.std(ddof=1) / np.sqrt(len(outcomes)) if len(outcomes) > 1 else np.nan
    return Value(float(outcomes.mean()), float(error))
