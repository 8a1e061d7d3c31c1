"""What is fitted is what is served: the written rule bundle decides as the estimator does."""

from typing import Any

import numpy as np
import pytest
from builders.studies import hypertension, study_of, world_of

from cds_engine.bundle.model import ScoreRule
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.cases import given_history, run_cases
from cds_engine.decide.decide import decide
from cds_engine.errors import EstimationError, TrajectoriesError
from cds_engine.estimate.export.bundle import Exported, to_bundle
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.forms import LinearForm, Term, significant
from cds_engine.estimate.export.learned import linear_form
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.study import StudyDocument
from cds_engine.estimate.trajectories import Trajectories

pytestmark = pytest.mark.filterwarnings("ignore:the pseudo-outcomes")


def data_of(study: StudyDocument) -> tuple[Trajectories, tuple[str, ...]]:
    frame = world_of(study).draw(study.data.n, study.data.seed).frame()  # type: ignore[union-attr]
    return study_trajectories(study, frame, skeleton(study))


def fitted(study: StudyDocument, trajectories: Trajectories) -> list[LinearForm]:
    learner = QLearning(
        main={one.stage: tuple(one.history) for one in study.learned},
        tailoring={one.stage: one.tailoring for one in study.learned},
    ).fit(trajectories)
    return [linear_form(model, "keep") for model in learner.stages_]


def exported(**fields: Any) -> tuple[StudyDocument, Trajectories, list[LinearForm], Exported]:
    study = study_of(hypertension(**fields))
    trajectories, _ = data_of(study)
    forms = fitted(study, trajectories)
    return study, trajectories, forms, to_bundle(study, trajectories, forms, {}, "Q-learning")


@pytest.fixture(scope="module")
def whole() -> tuple[StudyDocument, Trajectories, list[LinearForm], Exported]:
    return exported()


def test_no_training_row_boundary_or_random_history_is_decided_otherwise(whole: Any) -> None:
    certificate = whole[3].certificate
    assert [one.stage for one in certificate.stages] == ["three_months", "six_months"]
    for one in certificate.stages:
        assert one.disagreements == ()
        assert one.training == 800
        assert one.boundary > 20
        assert one.random == 2000
        assert 0 < one.abstained < 400


def test_every_case_comes_out_as_the_estimator_says(whole: Any) -> None:
    bundle = whole[3].bundle
    results = run_cases(bundle, 0)
    assert len(results) >= 10
    assert [one.case.case for one in results if one.differences] == []
    assert {one.decision.outcome for one in results} >= {
        "recommendation", "no_change", "abstention"}  # fmt: skip


def test_scores_are_contrasts_with_the_action_that_changes_nothing(whole: Any) -> None:
    _, _, forms, out = whole
    rule = out.bundle.stages[0].rule
    assert isinstance(rule, ScoreRule)
    assert rule.forms["keep"].terms == ()
    written = out.bundle.document.stages[0].rule.scores["add_ace"]
    assert written.terms["sbp"] == significant(forms[0].coefficients["add_ace", Term("sbp")], 6)
    assert written.terms["sbp"] > 0  # the higher the pressure, the larger the reduction


def test_a_label_becomes_a_derived_variable(whole: Any) -> None:
    bundle = whole[3].bundle
    assert bundle.variables["step_is_none"].derive == "step is none"
    assert "step_is_none" in bundle.document.stages[1].rule.scores["add_ccb"].terms


def test_outside_the_support_the_bundle_abstains(whole: Any) -> None:
    bundle = whole[3].bundle
    given = {"age": 60, "diabetes": False, "potassium": 4.4, "weeks_in_care": 13,
             "hypertension": True, "step": "none"}  # fmt: skip
    decision = decide(bundle, given_history(bundle, {**given, "sbp": 230}, 0))
    assert (decision.outcome, decision.reasons[0].code) == ("abstention", "positivity-unsupported")


def test_the_same_study_gives_the_same_bytes(whole: Any) -> None:
    assert exported()[3].files == whole[3].files


def test_what_was_written_is_read_back_with_the_same_digest(whole: Any) -> None:
    out = whole[3]
    assert read_bundle(out.files).digest == out.bundle.digest
    assert out.certificate.digest == "sha256:" + out.bundle.manifest["bundle.yaml"]


def test_a_rule_that_was_tampered_with_is_found(whole: Any) -> None:
    study, trajectories, forms, _ = whole
    coarse = study.model_copy(update={"method": study.method.model_copy(update={"digits": 1})})
    with pytest.raises(EstimationError, match=r"differs from the fitted regime on \d+ histories"):
        to_bundle(coarse, trajectories, forms, {}, "Q-learning")


def test_who_is_at_no_stage_when_served_is_found() -> None:
    document = hypertension()
    document["stages"][0]["at"]["weeks_in_care"] = 30
    study = study_of(document)
    trajectories, _ = data_of(study)
    with pytest.raises(EstimationError, match="three_months: 800 of 800 patients whom it is"):
        to_bundle(study, trajectories, fitted(study, trajectories), {}, "Q-learning")


def test_numbers_are_rounded_as_serving_rounds_them_and_it_is_said() -> None:
    study = study_of(hypertension(n=60))
    frame = world_of(study).draw(60, 7).frame()
    frame["potassium_three_months"] += 0.04
    trajectories, notes = study_trajectories(study, frame, skeleton(study))
    [note] = notes
    assert note == (
        "potassium_three_months: 60 of 60 values were rounded to the 1 decimals that serving "
        "compares"
    )
    values = trajectories.stages[0].columns["potassium"]
    assert (np.round(values, 1) == values).all()


def test_a_safeguard_that_the_data_cannot_apply_is_said() -> None:
    guards = [{"never": ["add_ccb"], "when": "potassium < 3", "because": "An example."}]
    study = study_of(hypertension(n=60, safeguards=guards))
    _, notes = data_of(study)
    [note] = notes
    assert note == (
        "stage six_months: the safeguard `potassium < 3` could not be applied to the data, which "
        "hold no potassium; it holds where the regime is served"
    )


def test_a_safeguard_makes_an_action_infeasible_in_the_data_too() -> None:
    guards = [{"never": ["add_ace"], "when": "potassium > 4.4", "because": "An example."}]
    study = study_of(hypertension(n=200, safeguards=guards))
    with pytest.raises(TrajectoriesError, match="not feasible for them"):
        data_of(study)


def test_a_history_of_undeclared_variables_is_refused() -> None:
    document = hypertension(n=60)
    document["stages"][0]["history"]["weight"] = "sbp_three_months"
    with pytest.raises(EstimationError, match="names weight, which the study does not declare"):
        data_of(study_of(document))


def test_contrasts_among_some_actions_keep_their_covariance() -> None:
    keys = [("b", Term()), ("b", Term("x")), ("c", Term()), ("c", Term("x"))]
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    form = LinearForm("a", dict(zip(keys, [1.0, 2.0, 4.0, 8.0], strict=True)), root @ root.T)
    part = form.among(("b", "c"))
    assert part.reference == "b"
    assert part.coefficients == {("c", Term()): 3.0, ("c", Term("x")): 6.0}
    loads = np.array([[-1.0, 0, 1, 0], [0, -1.0, 0, 1]])
    assert part.covariance is not None
    np.testing.assert_allclose(part.covariance, loads @ root @ root.T @ loads.T)
