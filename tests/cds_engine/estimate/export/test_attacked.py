"""What an attacker found: each case stays."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.studies import hypertension, study_of, world_of

from cds_engine.bundle.document import Scores
from cds_engine.decide.benefit import benefit_of
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.errors import CDSError, EstimationError, StudyError
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.forms import LinearForm, Term
from cds_engine.estimate.export.scores import derived_terms
from cds_engine.estimate.export.served import ServedRule
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.estimate.export.written import yaml_bytes
from cds_engine.estimate.rule import USUAL
from cds_engine.estimate.study import StudyDocument, read_study
from cds_engine.fit.evidence import Source
from cds_engine.fit.fit import Fit, fit_study

SOURCE = Source("a table", "sha256:00", "sha256:01")


def table_of(study: StudyDocument) -> pd.DataFrame:
    return world_of(study).draw(study.data.n, study.data.seed).frame()  # type: ignore[union-attr]


def a_study(n: int = 500, **method: Any) -> StudyDocument:
    return study_of(hypertension(n=n, method={"learner": "dwols", "bootstrap": 100, **method}))


@pytest.fixture(scope="module")
def fitted() -> Fit:
    study = a_study()
    return fit_study(study, table_of(study), SOURCE)


def test_a_served_interval_is_the_one_that_was_estimated(fitted: Fit) -> None:
    """Terms were not centred: four digits of the covariance put intervals off by 8 %, or at 0."""
    h, form = fitted.trajectories.stages[0], fitted.forms[0]
    assert isinstance(form, LinearForm)
    assert form.covariance is not None
    bundle, checked = fitted.exported.bundle, 0
    for row in range(0, 500, 9):
        given = {name: values[row].item() for name, values in h.columns.items()
                 if name in bundle.base_variables}  # fmt: skip
        at = {**fitted.study.learned[0].at, **given}
        found = benefit_of(bundle, decide(bundle, given_history(bundle, at, 1_750_000_000_000_000)))
        if found is None or found.low is None or found.high is None:
            continue
        one = h.take(np.array([row]))
        x = np.array([term.values(one.columns, 1)[0] for _, term in form.coefficients])
        half = 1.959963984540054 * float(np.sqrt(x @ form.covariance @ x))
        assert (found.high - found.low) / 2 == pytest.approx(half, rel=5e-3)
        checked += 1
    assert checked > 20


def test_the_value_as_served_counts_equipoise_as_silence() -> None:
    """The margin was left out: the value was of a regime that nobody is served."""
    study = a_study(margin=1000.0)
    found = fit_study(study, table_of(study), SOURCE)
    served = found.values.value("as it is served")
    assert served.estimate == pytest.approx(found.values.usual.estimate)


def test_a_rule_with_a_margin_says_nothing_within_it() -> None:
    study = a_study(n=60)
    trajectories, _ = study_trajectories(study, table_of(study), skeleton(study))
    h = trajectories.stages[1]
    form = LinearForm("keep", {("add_ccb", Term()): 0.5})
    nowhere: dict[str, str] = {}
    supports = (("", ("add_ccb", "keep"), nowhere),)
    assert set(ServedRule(form, supports, {}, 0.4)(h)) == {0}
    assert set(ServedRule(form, supports, {}, 0.5)(h)) == {USUAL}


def test_a_label_that_the_data_never_held_is_outside_the_support(fitted: Fit) -> None:
    """A level nobody had was advised as if it were the reference."""
    rule = fitted.exported.bundle.document.stages[1].rule
    assert isinstance(rule, Scores)
    assert all("step in [" in one.when for one in rule.support)


def test_known_probabilities_that_nobody_stated_are_refused() -> None:
    study = a_study(n=100, propensity="known")
    with pytest.raises(EstimationError, match="not known by design"):
        fit_study(study, table_of(study), SOURCE)


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ({"learner": "policy-tree", "margin": 1.0}, "`margin` has no meaning"),
        ({"learner": "dwols", "pseudo_outcome": "regret"}, "`pseudo_outcome` has no meaning"),
        ({"learner": "q-learning", "distil_loss": 1.0}, "`distil_loss` has no meaning"),
        ({"learner": "boosting"}, "state the loss that is accepted"),
    ],
)
def test_what_would_be_ignored_is_refused(method: dict[str, Any], problem: str) -> None:
    with pytest.raises(StudyError, match=problem):
        read_study("study.yaml", yaml_bytes(hypertension(method=method)))


def test_a_study_without_a_learned_stage_is_refused() -> None:
    stage = {"stage": "all", "when": "true", "choose": ["keep"], "rule": [{"otherwise": "keep"}]}
    with pytest.raises(StudyError, match="no stage is learned"):
        read_study("study.yaml", yaml_bytes(hypertension(stages=[stage])))


def test_missing_outcomes_are_weighted_and_counted() -> None:
    document = hypertension(n=600, method={"learner": "dwols", "bootstrap": 100})
    document["outcome"]["missing"] = "weight"
    study = study_of(document)
    table = table_of(study)
    lost = np.random.default_rng(1).random(600) < np.where(table["sbp_six_months"] > 150, 0.4, 0.1)
    table.loc[lost, "outcome"] = np.nan
    found = fit_study(study, table, SOURCE)
    assert any(f"missing in {int(lost.sum())} of 600 rows" in note for note in found.notes)
    assert len(found.trajectories) == 600 - int(lost.sum())


def test_labels_that_would_get_one_name_are_refused() -> None:
    form = LinearForm("a", {("b", Term("smoke", "a-b")): 1.0, ("b", Term("smoke", "a_b")): 2.0})
    with pytest.raises(EstimationError, match="two things would be called `smoke_is_a_b`"):
        derived_terms(form, {})


def test_boosting_is_distilled_and_its_loss_is_stated() -> None:
    method = {"learner": "boosting", "distil_loss": 50.0, "min_leaf": 40}
    study = study_of(hypertension(n=400, method=method))
    found = fit_study(study, table_of(study), SOURCE)
    assert "loses at most 50" in found.exported.bundle.document.stages[0].estimates.method  # type: ignore[union-attr]
    assert all(one.disagreements == () for one in found.exported.certificate.stages)


def test_boosting_that_loses_too_much_is_refused() -> None:
    method = {"learner": "boosting", "distil_loss": 0.0, "min_leaf": 40}
    study = study_of(hypertension(n=400, method=method))
    with pytest.raises(CDSError, match="loses up to"):
        fit_study(study, table_of(study), SOURCE)
