"""A small decision problem whose every number is known has one exact value, by Bellman's recursion.

It is the oracle that learners are tested against: with a saturated model and enough data they must
find the same rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.criteria.syntax import OneOf
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.rule import NO_DECISION
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.estimate.trajectories import Trajectories

TOLERANCE = 1e-9


@dataclass(frozen=True)
class ProblemStage:
    """One decision of a problem.

    Attributes:
        stage: its name; its state is the variable ``state_<stage>``.
        states: their labels.
        actions: the treatment options.
        reward: expected U_k(s, a), shape (n_states, n_actions); larger is better.
        transition: P(s' | s, a) to the states of the next stage, shape (n_states, n_actions,
            n_next); None at the last stage.
        feasible: shape (n_states, n_actions); everything unless given. A state in which nothing is
            feasible has no decision, and ends with its ``ending``.
        ending: what follows in expectation where there is no decision, shape (n_states,).
    """

    stage: str
    states: tuple[str, ...]
    actions: tuple[str, ...]
    reward: Floats
    transition: Floats | None = None
    feasible: Bools | None = None
    ending: Floats | None = None

    @property
    def allowed(self) -> Bools:
        """The feasible actions of every state, shape (n_states, n_actions)."""
        if self.feasible is None:
            return np.ones((len(self.states), len(self.actions)), dtype=np.bool_)
        return self.feasible

    @property
    def decides(self) -> Bools:
        """In which states there is a decision, shape (n_states,)."""
        return np.asarray(self.allowed.any(axis=1), dtype=np.bool_)

    @property
    def endings(self) -> Floats:
        """What follows where there is no decision, shape (n_states,)."""
        return np.zeros(len(self.states)) if self.ending is None else self.ending


@dataclass(frozen=True)
class StateRule:
    """A rule that advises by state alone.

    Attributes:
        variable: the name of the state.
        action_of: state -> action; None where there is no decision.
    """

    variable: str
    action_of: dict[str, str | None]

    def __call__(self, h: StageData) -> Ints:
        """Return the place of the advised action for each row."""
        places = np.full(h.rows, NO_DECISION, dtype=np.intp)
        for state, action in self.action_of.items():
            if action is not None:
                places[h.decided & (h.columns[self.variable] == state)] = h.spec.place(action)
        return places


@dataclass(frozen=True)
class Solution:
    """The exact answer to a problem.

    Attributes:
        value: E[Y^d] of the best regime.
        q: Q_k(s, a) of every stage, shape (n_states, n_actions); NaN for what is not feasible.
        v: V_k(s) of every stage, shape (n_states,).
        rules: the best regime; of equal actions the one declared first.
    """

    value: float
    q: tuple[Floats, ...]
    v: tuple[Floats, ...]
    rules: tuple[StateRule, ...]


@dataclass(frozen=True)
class DecisionProblem:
    """A discrete decision problem over a fixed number of stages, all of whose numbers are known.

    Attributes:
        stages: in order of time.
        start: P(s_1), shape (n_states of the first stage,).
    """

    stages: tuple[ProblemStage, ...]
    start: Floats

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit, and probabilities that do not sum to 1.

        Raises:
            EstimationError: with the stage.
        """
        if not self.stages:
            raise EstimationError("a decision problem needs at least one stage")
        for one, after in zip(self.stages, (*self.stages[1:], None), strict=True):
            _check_stage(one, after)
        if self.start.shape != (len(self.stages[0].states),) or _no_distribution(self.start):
            raise EstimationError(
                "start must hold one probability for each state of the first stage, summing to 1"
            )

    def solve(self) -> Solution:
        """Return the best regime with its value: Q_k = R_k + P_k V_{k+1}, V_k = max_a Q_k.

        References:
            Bellman (1957), Dynamic Programming; Tsiatis et al. (2019), section 5.2.
        """
        return self._recursion(None)

    def value_of(self, rules: Sequence[StateRule]) -> float:
        """Return the exact value of a regime that advises by state.

        Raises:
            EstimationError: if it has no advice for a state that has a decision, or advises what
                is not feasible there.
        """
        if len(rules) != len(self.stages):
            raise EstimationError(
                f"the regime has {len(rules)} rules, the problem {len(self.stages)} stages"
            )
        return self._recursion(rules).value

    def _recursion(self, rules: Sequence[StateRule] | None) -> Solution:
        q: list[Floats] = []
        v: list[Floats] = []
        chosen: list[StateRule] = []
        for k in range(len(self.stages) - 1, -1, -1):
            one = self.stages[k]
            ahead = 0.0 if one.transition is None else one.transition @ v[0]
            here = np.where(one.allowed, one.reward + ahead, np.nan)
            decided = one.decides
            best = np.where(one.allowed, here, -np.inf).argmax(axis=1)
            if rules is not None:
                best = _places(one, rules[k])
            worth = here[np.arange(len(best)), best]
            q.insert(0, here)
            v.insert(0, np.where(decided, worth, one.endings))
            chosen.insert(0, _rule(one, best))
        return Solution(float(self.start @ v[0]), tuple(q), tuple(v), tuple(chosen))

    def specs(self) -> tuple[HistorySpec, ...]:
        """Return how the tables that ``draw`` makes are read; H_k is the state alone."""
        return tuple(
            HistorySpec(
                stage=one.stage,
                variables=(_state(one),),
                actions=one.actions,
                when=_where(one, one.decides),
                feasible={
                    action: text
                    for at, action in enumerate(one.actions)
                    if (text := _where(one, one.allowed[:, at])) is not None
                },
                reward=f"reward_{one.stage}",
            )
            for one in self.stages
        )

    def table(
        self, n: int, *, noise: float = 1.0, behaviour: Sequence[Floats] | None = None,
        random_state: int = 0,
    ) -> pd.DataFrame:  # fmt: skip
        """Return a drawn table with one row for each trajectory.

        Args:
            n: how many.
            noise: standard deviation of every stage's reward around its mean.
            behaviour: for each stage the relative probabilities of actions, shape (n_states,
                n_actions), shared out over the feasible ones; equal unless given.
            random_state: seed.
        """
        rng = np.random.default_rng(random_state)
        state = rng.choice(len(self.start), size=n, p=self.start)
        alive = np.ones(n, dtype=np.bool_)
        table: dict[str, object] = {"id": [f"p{at:07d}" for at in range(n)]}
        final = np.zeros(n)
        for k, one in enumerate(self.stages):
            odds = np.ones(one.reward.shape) if behaviour is None else behaviour[k]
            decided = alive & one.decides[state]
            action = _drawn(odds * one.allowed, state, decided, rng)
            reward = one.reward[state, action] + noise * rng.normal(size=n)
            final += np.where(alive & ~decided, one.endings[state], 0.0)
            table[_state(one)] = _labels(one.states, state, alive)
            table[f"action_{one.stage}"] = _labels(one.actions, action, decided)
            table[f"reward_{one.stage}"] = np.where(decided, reward, 0.0)
            if one.transition is not None:
                odds_next = one.transition[state, action]
                state = _categorical(odds_next, rng)
            alive = decided
        table["outcome"] = final
        return pd.DataFrame(table)

    def draw(
        self, n: int, *, noise: float = 1.0, behaviour: Sequence[Floats] | None = None,
        random_state: int = 0,
    ) -> Trajectories:  # fmt: skip
        """Return drawn trajectories; see ``table``."""
        frame = self.table(n, noise=noise, behaviour=behaviour, random_state=random_state)
        return Trajectories.from_wide(frame, self.specs(), outcome="outcome")


def _state(one: ProblemStage) -> str:
    return f"state_{one.stage}"


def _where(one: ProblemStage, states: Bools) -> str | None:
    """Return the criterion of being in some of the states; None for all of a complete stage."""
    if states.all():
        # those who ended before have no state at all, and so no action
        return None
    return str(OneOf(_state(one), tuple(np.array(one.states, dtype=object)[states])))


def _rule(one: ProblemStage, best: Ints) -> StateRule:
    decided = one.decides
    return StateRule(
        _state(one),
        {state: one.actions[best[at]] if decided[at] else None
         for at, state in enumerate(one.states)},
    )  # fmt: skip


def _places(one: ProblemStage, rule: StateRule) -> Ints:
    places = np.zeros(len(one.states), dtype=np.intp)
    for at, state in enumerate(one.states):
        if not one.allowed[at].any():
            continue
        action = rule.action_of.get(state)
        if action not in one.actions or not one.allowed[at, one.actions.index(action)]:
            raise EstimationError(
                f"stage {one.stage}: the rule advises {action!r} in state {state!r}, which is not "
                "feasible there"
            )
        places[at] = one.actions.index(action)
    return places


def _labels(names: Sequence[str], places: Ints, there: Bools) -> NDArray[np.object_]:
    held = np.array(names, dtype=object)[places]
    held[~there] = None
    return held


def _drawn(odds: Floats, state: Ints, decided: Bools, rng: np.random.Generator) -> Ints:
    chances = odds[state]
    chances[~decided] = 1.0
    return _categorical(chances / chances.sum(axis=1, keepdims=True), rng)


def _categorical(chances: Floats, rng: np.random.Generator) -> Ints:
    bounds = np.cumsum(chances, axis=1)
    drawn = rng.random(len(chances))[:, None] * bounds[:, -1:]
    return np.asarray((drawn >= bounds[:, :-1]).sum(axis=1), dtype=np.intp)


def _no_distribution(chances: Floats) -> bool:
    return bool((chances < 0).any() or (np.abs(chances.sum(axis=-1) - 1.0) > TOLERANCE).any())


def _check_stage(one: ProblemStage, after: ProblemStage | None) -> None:
    shape = (len(one.states), len(one.actions))
    if one.reward.shape != shape or one.allowed.shape != shape:
        raise EstimationError(
            f"stage {one.stage}: reward and feasible must have one row for each of {shape[0]} "
            f"states and one column for each of {shape[1]} actions"
        )
    if one.endings.shape != shape[:1]:
        raise EstimationError(f"stage {one.stage}: ending must hold one number for each state")
    if (one.transition is None) != (after is None):
        raise EstimationError(
            f"stage {one.stage}: every stage but the last needs transitions, the last none"
        )
    if one.transition is not None and after is not None:
        if one.transition.shape != (*shape, len(after.states)):
            raise EstimationError(
                f"stage {one.stage}: transitions must have the shape {(*shape, len(after.states))}"
            )
        if _no_distribution(one.transition):
            raise EstimationError(f"stage {one.stage}: transitions must sum to 1")
