"""A fixed regime advises the same to everybody who has the choice, part by part of each stage."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from cds_engine.estimate.comparison import fixed_regimes
from cds_engine.estimate.rule import Always, Rules
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.study import StudyDocument
from cds_engine.estimate.trajectories import Trajectories


def fixed_rules(study: StudyDocument, trajectories: Trajectories) -> dict[str, Rules]:
    """Return every fixed regime of a study, by a label such as ``coaching > gym``.

    Where a stage has parts with options of their own, a regime names one option of the part that
    its earlier actions lead to, so that a SMART's fixed regimes are its embedded ones.
    """
    if not any(stage.split for stage in study.learned):
        return fixed_regimes(trajectories)
    found: dict[str, Rules] = {}
    plans = product(*(stage.choose for stage in study.learned))
    for plan in plans:
        if _leads(trajectories.stages, plan):
            stages = zip(plan, trajectories.stages, strict=True)
            found[" > ".join(plan)] = tuple(_first(action, h) for action, h in stages)
    return found


def _leads(stages: Sequence[StageData], plan: Sequence[str]) -> bool:
    """Say whether somebody took the earlier actions of a plan and could have each that follows."""
    here = np.ones(stages[0].rows, dtype=np.bool_)
    for h, action in zip(stages, plan, strict=True):
        place = h.spec.place(action)
        if not (here & h.feasible[:, place]).any():
            return False
        here &= ~h.decided | (h.action == place)
    return True


def _first(action: str, h: StageData) -> Always:
    """Return the rule that advises an action, and to who cannot have it the first option."""
    others = tuple(name for name in h.spec.actions if name != action)
    return Always(action, others)
