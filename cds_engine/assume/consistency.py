"""Consistency: what was done is one of the actions, and the outcome is what it leads to."""

from dataclasses import dataclass

import numpy as np

from cds_engine.estimate.trajectories import Trajectories


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """How the rows of one stage map to the catalogue of actions.

    Attributes:
        stage: the stage.
        one: rows with a decision that map to exactly one action.
        none: rows that should have a decision and map to none.
        several: rows that map to more than one.
    """

    stage: str
    one: int
    none: int = 0
    several: int = 0

    @property
    def share(self) -> float:
        """Share of the rows that map to exactly one action."""
        whole = self.one + self.none + self.several
        return self.one / whole if whole else float("nan")


def mapped(
    trajectories: Trajectories, set_aside: "dict[str, tuple[int, int]] | None" = None
) -> tuple[Mapped, ...]:
    """Return how the rows of each stage map to actions.

    Args:
        trajectories: which refuse rows that map to no action or hold an unknown one.
        set_aside: stage -> rows with no action and rows with several that were left out before
            the table was made, such as by a replay; nobody unless given.
    """
    aside = set_aside or {}
    return tuple(
        Mapped(
            stage=h.spec.stage, one=int(np.count_nonzero(h.decided)),
            none=aside.get(h.spec.stage, (0, 0))[0], several=aside.get(h.spec.stage, (0, 0))[1],
        )
        for h in trajectories.stages
    )  # fmt: skip
