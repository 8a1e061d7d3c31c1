"""What a version said at the decision points of trajectories: an action, nothing, or no value."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Ints
from cds_engine.estimate.rule import NO_DECISION, USUAL, Rules
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.replay.figures.points import DecisionPoints

ADVISED = ("recommendation", "no_change")
"""The outcomes in which one action is advised; else what is usual is done."""


Names = NDArray[np.object_]


@dataclass(frozen=True)
class Told:
    """The rule that advises what a replayed version said at the very decision points.

    Attributes:
        places: of the advised actions, in the order of the trajectories it is asked about.
    """

    places: Ints

    def __call__(self, h: StageData) -> Ints:
        """Return the places.

        Raises:
            EstimationError: if it is asked about other trajectories than it was made for.
        """
        if len(self.places) != h.rows:
            raise EstimationError(
                f"stage {h.spec.stage}: there is advice for {len(self.places)} decision points, "
                f"not for {h.rows}; ask about the trajectories that it was made for"
            )
        return self.places


@dataclass(frozen=True)
class Advice:
    """What one version said to every trajectory.

    Attributes:
        places: of each stage, as a stage rule returns them.
        usual: stage -> trajectories for which it names no one action there, so that what is usual
            is done; several equally good actions count here.
        untaken: advice that cannot be valued, as nobody took it or a safeguard rules it out, in
            words; it is not silence.
        open: decisions at which it found several actions equally good.
    """

    places: tuple[Ints, ...]
    usual: dict[str, int]
    untaken: tuple[str, ...] = ()
    open: int = 0

    def rules(self, order: Ints | None = None) -> Rules:
        """Return it as rules, for the trajectories in an order."""
        return tuple(Told(one if order is None else one[order]) for one in self.places)

    @property
    def silent(self) -> bool:
        """Whether it never advises one action, so that following it is usual care."""
        return not self.untaken and not any((one >= 0).any() for one in self.places)


@dataclass
class _Said:
    """What is gathered stage by stage."""

    places: list[Ints] = field(default_factory=list)
    usual: dict[str, int] = field(default_factory=dict)
    untaken: list[str] = field(default_factory=list)
    open: int = 0


def advice_of(points: DecisionPoints, found: Trajectories, rows: Ints, prefix: str) -> Advice:
    """Return what a version said.

    Args:
        points: the decision points.
        found: the trajectories.
        rows: the row of each trajectory at each stage, -1 for none, shape (stages, n).
        prefix: ``decision`` or ``against``, the version's columns.
    """
    said = _Said()
    for h, here in zip(found.stages, rows, strict=True):
        held = points.frame.iloc[here.clip(min=0)]
        outcome = held[f"{prefix}.outcome"]
        one = h.decided & outcome.isin(ADVISED).to_numpy(dtype=np.bool_)
        action = held[f"{prefix}.action"].to_numpy(dtype=object)
        place = _places(h, one, action)
        said.untaken += _untaken(points, h, one & (place == USUAL), action)
        said.usual[h.spec.stage] = int((place == USUAL).sum())
        said.open += int((h.decided & (outcome == "equipoise").to_numpy(dtype=np.bool_)).sum())
        said.places.append(place)
    return Advice(tuple(said.places), said.usual, tuple(said.untaken), said.open)


def _places(h: StageData, one: Bools, action: Names) -> Ints:
    place = np.full(h.rows, USUAL, dtype=np.intp)
    for at, name in enumerate(h.spec.actions):
        place[one & (action == name) & h.feasible[:, at]] = at
    place[~h.decided] = NO_DECISION
    return place


def _untaken(
    points: DecisionPoints, h: StageData, lost: Bools,
    action: Names,
) -> list[str]:  # fmt: skip
    """Return in words which advice has no place among what was taken and possible."""
    counts = Counter(str(name) for name in action[lost])
    ruled_out = ", for whom a safeguard of the replayed version rules it out"
    return [
        f"{points.label(name)} at {points.stage_title(h.spec.stage)} ({n} patients"
        f"{ruled_out if name in h.spec.actions else ''})"
        for name, n in sorted(counts.items())
    ]
