"""fit_study learns, values, measures the assumptions and exports; each step says what it does."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cds_engine.assume.balance import Difference, balance
from cds_engine.assume.consistency import Mapped, mapped
from cds_engine.assume.ledger import Entry, ledger
from cds_engine.assume.positivity import ActionOverlap, overlap, poor
from cds_engine.estimate.bootstrap import Bootstrap, bootstrap
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.comparison import ValueTable, value_table
from cds_engine.estimate.distil import Distilled, distil
from cds_engine.estimate.export.bundle import Exported, Form, to_bundle
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.learned import linear_form
from cds_engine.estimate.export.served import served_rules
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.estimate.q_learning import DisagreementWarning
from cds_engine.estimate.rule import Observed, Rules
from cds_engine.estimate.sensitivity import SensitivityModel, sensitivity_model
from cds_engine.estimate.study import StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.fit.evidence import Source, evidence_of
from cds_engine.fit.fixed import fixed_rules
from cds_engine.fit.learners import LINEAR, learner_for, reference_of
from cds_engine.fit.marks import marked
from cds_engine.fit.readme import readme_of

Progress = Callable[[str, int, int], None]
"""Told the name of the step that begins, its place from 1, and how many there are."""

STEPS = ("read the table", "learn", "resample", "value", "assumptions", "export and compare")
LEARNED, SERVED, CARE = "the learned regime", "as it is served", "usual care"


@dataclass(frozen=True)
class Fit:
    """A study that was fitted.

    Attributes:
        study: what was asked for.
        trajectories: the data.
        learner: fitted.
        forms: the rule of each learned stage, as it is exported, unrounded.
        resampled: the coefficients in resamples; None for trees.
        values: of the learned regime (out of fold), as it is served, every fixed regime and usual
            care.
        overlaps, shares: how well the data cover each action, and the propensities.
        differences: balance before and after weighting.
        rows: how rows map to actions.
        sensitivity: of the regime as it is served against usual care; None where nobody followed.
        flips_at: the Gamma at which that conclusion flips; None where there is no sensitivity.
        ledger: the three assumptions.
        exported: the rule bundle.
        notes: what was done to the table, and what a reader must know.
    """

    study: StudyDocument
    trajectories: Trajectories
    learner: Any
    forms: tuple[Form, ...]
    resampled: Bootstrap | None
    values: ValueTable
    overlaps: tuple[ActionOverlap, ...]
    shares: tuple[Floats, ...]
    differences: tuple[Difference, ...]
    rows: tuple[Mapped, ...]
    sensitivity: SensitivityModel | None
    flips_at: float | None
    ledger: tuple[Entry, ...]
    exported: Exported
    notes: tuple[str, ...]


def fit_study(
    study: StudyDocument,
    frame: pd.DataFrame,
    source: Source,
    *,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Learn a regime from a study's table and export it.

    Args:
        study: what to do; every number that changes digits stands in it.
        frame: the table.
        source: where the table came from, for the evidence.
        n_jobs: processes for what is refitted one by one; any number gives the same result.
        progress: told of every step.

    Raises:
        TrajectoriesError: with every fault of the table.
        EstimationError: if the data cannot carry what is asked, or the export differs.
    """
    tell = _teller(progress)
    bare = skeleton(study)
    tell("read the table")
    trajectories, notes = study_trajectories(study, frame, bare)
    tell("learn")
    learner, said = _learned(study, trajectories)
    tell("resample")
    resampled = _resampled(study, trajectories, learner, n_jobs)
    forms = _forms(study, trajectories, learner, resampled)
    rules = served_rules(study, trajectories, forms, bare)
    tell("value")
    values = _values(study, trajectories, rules)
    tell("assumptions")
    how = study.method.propensity
    overlaps, shares = overlap(trajectories, how)
    differences, rows = balance(trajectories, shares), mapped(trajectories)
    followed = values.value(SERVED).followers > 0
    model = _sensitivity(study, trajectories, rules) if followed else None
    flips_at = None if model is None else model.flips_at()
    entries = ledger(trajectories, rows, overlaps, differences,
                     adjusted_for=study.adjusted_for, flips_at=flips_at)  # fmt: skip
    tell("export and compare")
    whole = (*notes, *said, *values.notes, *poor(overlaps))
    method = _method(study, resampled)
    evidence = evidence_of(study, trajectories, values, entries, source, method, whole)
    exported = to_bundle(
        study, trajectories, forms, evidence, method, lambda bundle: readme_of(bundle, evidence)
    )
    return Fit(
        study, trajectories, learner, forms, resampled, values, overlaps, shares, differences,
        rows, model, flips_at, entries, exported, whole,
    )  # fmt: skip


def _teller(progress: Progress | None) -> Callable[[str], None]:
    def tell(step: str) -> None:
        if progress is not None:
            progress(step, STEPS.index(step) + 1, len(STEPS))

    return tell


def _learned(study: StudyDocument, trajectories: Trajectories) -> tuple[Any, tuple[str, ...]]:
    """Return the fitted learner and what it warned of, which belongs in the evidence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DisagreementWarning)
        learner = learner_for(study).fit(trajectories.complete())
    return learner, tuple(str(one.message) for one in caught)


def _resampled(
    study: StudyDocument, trajectories: Trajectories, learner: Any, n_jobs: int | None
) -> Bootstrap | None:
    if study.method.learner not in LINEAR:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DisagreementWarning)  # warned of already
        return bootstrap(
            learner, trajectories, resamples=study.method.bootstrap, random_state=study.seed,
            n_jobs=n_jobs,
        )  # fmt: skip


def _distilled(study: StudyDocument, trajectories: Trajectories, learner: Any) -> Distilled:
    method = study.method
    features = {one.stage: one.tailoring for one in study.learned}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DisagreementWarning)  # warned of already
        return distil(
            learner, trajectories, most_loss=method.distil_loss or 0.0, depth=method.depth,
            features=features, min_leaf=method.min_leaf, propensity=method.propensity,
            folds=method.folds, random_state=study.seed, level=method.level,
        )  # fmt: skip


def _forms(
    study: StudyDocument, trajectories: Trajectories, learner: Any, resampled: Bootstrap | None
) -> tuple[Form, ...]:
    if study.method.learner == "policy-tree":
        return tuple(learner.trees_)
    if resampled is None:
        return tuple(_distilled(study, trajectories, learner).trees)
    return tuple(
        linear_form(model, reference_of(study, model.spec.actions), resampled.covariance(k))
        for k, model in enumerate(learner.stages_)
    )


def _values(study: StudyDocument, trajectories: Trajectories, rules: Rules) -> ValueTable:
    method = study.method
    with warnings.catch_warnings():
        # the learner warned already, of all the data; its folds have nothing to add
        warnings.simplefilter("ignore", DisagreementWarning)
        found = value_table(
            trajectories,
            {LEARNED: learner_for(study), SERVED: rules},
            fixed=fixed_rules(study, trajectories),
            usual=CARE,
            propensity=method.propensity,
            n_folds=method.folds,
            missing=study.outcome.missing,
            random_state=study.seed,
            level=method.level,
        )
    return marked(found, in_sample=[SERVED])


def _sensitivity(
    study: StudyDocument, trajectories: Trajectories, rules: Rules
) -> SensitivityModel:
    how = study.method.propensity
    usual = tuple(Observed() for _ in trajectories.stages)
    return sensitivity_model(
        trajectories, rules, usual, labels=(SERVED, CARE), propensity=how,
        missing=study.outcome.missing,
    )  # fmt: skip


def _method(study: StudyDocument, resampled: Bootstrap | None) -> str:
    if study.method.learner == "boosting":
        return (
            f"Q-learning with gradient boosting, distilled to a tree of depth {study.method.depth} "
            f"that loses at most {study.method.distil_loss:g} of the value; benefits of leaves are "
            "in-sample."
        )
    if resampled is None:
        return (
            f"A policy tree of depth {study.method.depth} on cross-fitted doubly robust scores; "
            "benefits of leaves are in-sample."
        )
    names = {"q-learning": "Q-learning", "dwols": "dWOLS", "a-learning": "A-learning"}
    return (
        f"{names[study.method.learner]}; intervals from {study.method.bootstrap} resamples in "
        "which every stage was refitted."
    )
