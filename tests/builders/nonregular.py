"""Two-stage trials whose stage-1 effect is known in closed form, regular and not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from builders.trials import stage_data, trajectories

from cds_engine.estimate.columns import Floats
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories


@dataclass(frozen=True)
class SignedTrial:
    """Y = -A1/2 + g5 A2 + g6 O2 A2 + g7 A1 A2 + N(0, 1), all variables -1 or 1, actions random.

    P(O2 = 1) = expit((O1 + A1) / 10). The contrast at stage 2 is 2 (g5 + g6 O2 + g7 A1).
    """

    name: str
    g5: float
    g6: float
    g7: float

    def draw(self, n: int, seed: int) -> Trajectories:
        """Return n patients."""
        rng = np.random.default_rng(seed)
        o1 = rng.choice([-1.0, 1.0], n)
        a1, a2 = rng.integers(0, 2, n), rng.integers(0, 2, n)
        s1, s2 = 2.0 * a1 - 1, 2.0 * a2 - 1
        o2 = np.where(rng.random(n) < _expit(0.1 * (o1 + s1)), 1.0, -1.0)
        y = -s1 / 2 + s2 * (self.g5 + self.g6 * o2 + self.g7 * s1) + rng.standard_normal(n)
        first = stage_data(_spec("one", ("o1",)), {"o1": o1}, a1)
        second = stage_data(_spec("two", ("o1", "a1", "o2")), {"o1": o1, "a1": s1, "o2": o2}, a2)
        return trajectories(first, second, outcome=y)

    def learner(self) -> QLearning:
        """Return right models of both stages."""
        return QLearning(
            main={"one": ("o1",), "two": ("o1", "a1", "o1:a1", "o2")},
            tailoring={"one": ("o1",), "two": ("o2", "a1")}, compare=False,
        )  # fmt: skip

    def truth(self) -> dict[str, float]:
        """Return the stage-1 effect of the second action and how it depends on O1."""
        plus, minus = (self._value(o1, 1) - self._value(o1, -1) for o1 in (1, -1))
        return {"b": (plus + minus) / 2, "b:o1": (plus - minus) / 2}

    def _value(self, o1: int, a1: int) -> float:
        share = float(_expit(0.1 * (o1 + a1)))
        best = [abs(self.g5 + self.g6 * o2 + self.g7 * a1) for o2 in (1, -1)]
        return -a1 / 2 + share * best[0] + (1 - share) * best[1]


@dataclass(frozen=True)
class SevereTrial:
    """Y = O1 + A1/2 + N(0, 1): nothing at stage 2 matters, neither A2 nor five covariates.

    Stage 2 is for non-responders, who are 3 % after the first option and all after the second, so
    that the best of what is only noise there flatters the second option alone.
    """

    name: str = "severe"

    def draw(self, n: int, seed: int) -> Trajectories:
        """Return n patients."""
        rng = np.random.default_rng(seed)
        o1, a1 = rng.standard_normal(n), rng.integers(0, 2, n)
        decided = (a1 == 1) | (rng.random(n) < 0.03)
        null: dict[str, Any] = {f"x{at}": rng.standard_normal(n) for at in range(5)}
        a2 = np.where(decided, rng.integers(0, 2, n), -1)
        y = o1 + a1 / 2 + rng.standard_normal(n)
        first = stage_data(_spec("one", ("o1",)), {"o1": o1}, a1)
        second = stage_data(
            _spec("two", ("o1", *null)), {"o1": o1, **null}, a2, decided=decided,
            feasible=np.repeat(decided[:, None], 2, axis=1),
        )  # fmt: skip
        return trajectories(first, second, outcome=y)

    def learner(self) -> QLearning:
        """Return models that hold the truth and five useless tailoring variables."""
        null = tuple(f"x{at}" for at in range(5))
        return QLearning(main={"one": ("o1",), "two": ("o1", *null)},
                         tailoring={"one": (), "two": null}, compare=False)  # fmt: skip

    def truth(self) -> dict[str, float]:
        """Return the stage-1 effect of the second option."""
        return {"b": 0.5}


REGULAR = SignedTrial("regular", 0.25, 0.5, 0.5)
HALF = SignedTrial("half-degenerate", 0.5, 0.0, 0.5)
SEVERE = SevereTrial()


def _spec(stage: str, variables: tuple[str, ...]) -> HistorySpec:
    return HistorySpec(stage=stage, variables=variables, actions=("a", "b"))


def _expit(values: Any) -> Floats:
    found: Floats = 1 / (1 + np.exp(-values))
    return found
