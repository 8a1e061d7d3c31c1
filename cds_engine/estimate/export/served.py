"""As served a rule says nothing outside its support; what is usual is done there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.estimate.columns import Bools, Floats, Ints, holds
from cds_engine.estimate.export.forms import LinearForm
from cds_engine.estimate.export.support import inside
from cds_engine.estimate.export.support import supports as supports_of
from cds_engine.estimate.rule import USUAL, Rules, StageRule
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.study import StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import Tree
from cds_engine.vocabulary.kind import Kind


@dataclass(frozen=True)
class ServedRule:
    """A stage rule that advises as the rule bundle does.

    Attributes:
        form: the contrasts.
        supports: for each part of the stage: its criterion, its actions, and action -> criterion
            outside which the action is not compared. One part with an empty criterion is all.
        kinds: how variables are declared.
        margin: contrasts this close are equally good, so that nothing is advised.
    """

    form: LinearForm
    supports: tuple[tuple[str, tuple[str, ...], Mapping[str, str]], ...]
    kinds: Mapping[str, Kind]
    margin: float = 0.0

    def __call__(self, h: StageData) -> Ints:
        """Return the best compared action.

        ``USUAL`` where fewer than two could be compared, or several are equally good.
        """
        within = self.inside(h)
        compared = within.sum(axis=1)
        silent = (compared == 0) | ((compared < 2) & (h.feasible.sum(axis=1) > compared))
        scores: Floats = np.where(within, self.form.scores(h), -np.inf)
        best = scores.max(axis=1, keepdims=True, initial=-np.inf)
        with np.errstate(invalid="ignore"):  # where nothing is compared, which is silent anyway
            several = (within & (scores >= best - self.margin)).sum(axis=1) > 1
        places = np.where(silent | several, USUAL, scores.argmax(axis=1))
        return np.where(h.decided, places, -1).astype(np.intp)

    def inside(self, h: StageData) -> Bools:
        """Return which actions are feasible and inside their support, shape (n, n_actions)."""
        within = np.zeros_like(h.feasible)
        for when, actions, support in self.supports:
            here = holds(when, h.columns, h.rows, self.kinds) if when else np.ones(h.rows, bool)
            for action in actions:
                place = h.spec.place(action)
                ok = here & h.feasible[:, place]
                if action in support:
                    ok = ok & holds(support[action], h.columns, h.rows, self.kinds)
                within[:, place] |= ok
        return within


@dataclass(frozen=True)
class SilentOutside:
    """A tree that says nothing outside what the data covered, as the written list does.

    Attributes:
        tree: the rule inside.
        when: the criterion that holds inside; empty for everybody.
        kinds: how variables are declared.
    """

    tree: Tree
    when: str
    kinds: Mapping[str, Kind]

    def __call__(self, h: StageData) -> Ints:
        """Return the tree's advice; ``USUAL`` outside."""
        advice = self.tree(h)
        if not self.when:
            return advice
        within = holds(self.when, h.columns, h.rows, self.kinds)
        return np.where(h.decided & ~within, USUAL, advice).astype(np.intp)


def served_rules(
    study: StudyDocument, trajectories: Trajectories, forms: Sequence[LinearForm | Tree],
    bare: RuleBundle,
) -> Rules:  # fmt: skip
    """Return the regime as it is served: what is usual is done where it abstains."""
    share = study.method.support
    found: list[StageRule] = []
    for stage, h, form in zip(study.learned, trajectories.stages, forms, strict=True):
        if isinstance(form, Tree):
            when = inside(h, h.decided, stage.tailoring, dict(bare.kinds), share)
            found.append(SilentOutside(form, when, bare.kinds))
            continue
        parts = [(part.when, part.choose) for part in stage.split] or [("", stage.choose)]
        supports = []
        for when, actions in parts:
            rows = holds(when, h.columns, h.rows, bare.kinds) if when else h.decided
            own = h.take(h.decided & rows)
            items = supports_of(own, actions, stage.tailoring, dict(bare.kinds), share)
            supports.append((when, tuple(actions), {i["actions"][0]: i["when"] for i in items}))
        found.append(ServedRule(form, tuple(supports), bare.kinds, study.method.margin))
    return tuple(found)
