"""A study names its learner; here it is made with the study's terms."""

from typing import Any

from sklearn.ensemble import HistGradientBoostingRegressor

from cds_engine.estimate.a_learning import ALearning
from cds_engine.estimate.dwols import DWOLS
from cds_engine.estimate.policy_tree import PolicyTree
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.study import StudyDocument

LINEAR = frozenset({"q-learning", "a-learning", "dwols"})
"""Learners whose rules are linear contrasts; the others' are trees."""


def learner_for(study: StudyDocument) -> Any:
    """Return the study's learner, not fitted yet."""
    main = {one.stage: one.main or tuple(one.history) for one in study.learned}
    tailoring = {one.stage: one.tailoring for one in study.learned}
    method = study.method
    propensity = method.propensity
    match method.learner:
        case "q-learning":
            return QLearning(main=main, tailoring=tailoring, pseudo_outcome=method.pseudo_outcome)
        case "a-learning":
            return ALearning(main=main, tailoring=tailoring, propensity=propensity)
        case "dwols":
            return DWOLS(main=main, tailoring=tailoring, propensity=propensity)
        case "boosting":
            model = HistGradientBoostingRegressor(random_state=study.seed)
            return QLearning(
                main=main, model=model, separate=True, pseudo_outcome=method.pseudo_outcome
            )
        case "policy-tree":
            return PolicyTree(
                depth=method.depth, features=tailoring, min_leaf=method.min_leaf,
                propensity=propensity, folds=method.folds, random_state=study.seed,
            )  # fmt: skip


def reference_of(study: StudyDocument, actions: tuple[str, ...]) -> str:
    """Return the action with which others are compared: one that changes nothing, else the last."""
    return next((a for a in actions if not study.actions[a].change), actions[-1])
