"""A study goes in; a rule bundle with its evidence comes out, the same bytes every time."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.studies import hypertension, study_of, world_of

from cds_engine.errors import EstimationError, TrajectoriesError
from cds_engine.estimate.study import StudyDocument
from cds_engine.fit.evidence import Source
from cds_engine.fit.fit import CARE, LEARNED, SERVED, STEPS, Fit, fit_study
from cds_engine.simulate import (
    HypertensionCohort,
    HypertensionParameters,
)

SOURCE = Source("a table", "sha256:00", "sha256:01")


def table_of(study: StudyDocument) -> pd.DataFrame:
    return world_of(study).draw(study.data.n, study.data.seed).frame()  # type: ignore[union-attr]


def dwols(n: int = 600, **method: Any) -> StudyDocument:
    wanted = {"learner": "dwols", "bootstrap": 100, **method}
    reasons = ["Clinicians decide on what is recorded."]
    return study_of(hypertension(n=n, method=wanted, adjusted_for=reasons))


@pytest.fixture(scope="module")
def fitted() -> Fit:
    study = dwols()
    return fit_study(study, table_of(study), SOURCE)


def test_the_same_study_gives_the_same_bytes_whatever_the_order_of_rows(fitted: Fit) -> None:
    study = dwols()
    shuffled = table_of(study).sample(frac=1, random_state=3)
    again = fit_study(study, shuffled, SOURCE, n_jobs=2)
    for name, written in fitted.exported.files.items():
        assert again.exported.files[name] == written, name


def test_the_learned_regime_stands_beside_every_fixed_one_and_usual_care(fitted: Fit) -> None:
    assert [row.value.label for row in fitted.values.rows] == [
        LEARNED, SERVED, "add_ace > add_ccb", "add_ace > keep", "keep > add_ccb", "keep > keep",
        CARE,
    ]  # fmt: skip
    assert all(row.crude is not None for row in fitted.values.rows[1:])


def test_a_value_on_the_patients_it_was_learned_from_says_so(fitted: Fit) -> None:
    assert any("in-sample" in note for note in fitted.values.value(SERVED).notes)
    assert not any("in-sample" in note for note in fitted.values.value(LEARNED).notes)


def test_a_value_that_rests_on_few_says_so_in_the_evidence(fitted: Fit) -> None:
    evidence = json.loads(fitted.exported.files["evidence.json"])
    told = {one["label"]: any("a replay refuses below 50" in note for note in one["notes"])
            for one in evidence["values"]}  # fmt: skip
    few = {one["label"]: one["effective_n"] < 50 for one in evidence["values"]}
    assert told == few
    assert set(few.values()) == {True, False}


def test_the_ledger_waits_for_a_named_person(fitted: Fit) -> None:
    evidence = json.loads(fitted.exported.files["evidence.json"])
    assert [one["assumption"] for one in evidence["assumptions"]] == [
        "consistency", "positivity", "sequential exchangeability"]  # fmt: skip
    assert {one["signed_by"] for one in evidence["assumptions"]} == {None}
    assert fitted.exported.bundle.document.evidence is not None


def test_the_evidence_says_which_data_which_study_and_which_code(fitted: Fit) -> None:
    evidence = json.loads(fitted.exported.files["evidence.json"])
    assert evidence["data"] == {"what": "a table", "digest": "sha256:00", "rows": 600}
    assert evidence["study_digest"] == "sha256:01"
    assert evidence["method"]["seed"] == 1
    assert evidence["code_version"]
    assert [one["disagreements"] for one in evidence["parity"]["stages"]] == [[], []]


def test_the_covariance_of_the_contrasts_is_written(fitted: Fit) -> None:
    estimates = fitted.exported.bundle.document.stages[0].estimates
    assert estimates is not None
    assert estimates.contrasts is not None
    triangle = [list(row) for row in estimates.contrasts.covariance]
    full = np.array([row + [0.0] * (len(triangle) - len(row)) for row in triangle])
    full = full + np.tril(full, -1).T
    assert np.linalg.eigvalsh(full).min() > -1e-6 * np.abs(full).max()


def test_what_nobody_must_know_to_serve_it_is_left_out_of_the_bundle(fitted: Fit) -> None:
    assert "diabetes" in fitted.trajectories.stages[0].columns
    assert "diabetes" not in fitted.exported.bundle.variables


def test_poor_positivity_is_said_before_any_number() -> None:
    study = dwols(n=1500)
    world = HypertensionCohort(HypertensionParameters(confounding=3))
    found = fit_study(study, world.draw(1500, 7).frame(), SOURCE)
    positivity = found.ledger[1]
    assert positivity.judgement == "doubtful"
    assert "had a chance below 5%" in positivity.evidence[0]
    assert any("had a chance below 5%" in note for note in found.notes)


def test_a_cohort_without_reasons_to_compare_is_doubtful_and_the_steps_are_told_in_order() -> None:
    told: list[tuple[str, int, int]] = []
    study = dwols(n=300).model_copy(update={"adjusted_for": ()})
    found = fit_study(study, table_of(study), SOURCE, progress=lambda *step: told.append(step))
    assert found.ledger[2].judgement == "doubtful"
    assert told == [(name, at, len(STEPS)) for at, name in enumerate(STEPS, start=1)]


def test_a_missing_outcome_is_refused_and_counted() -> None:
    study = dwols(n=300)
    table = table_of(study)
    table.loc[:4, "outcome"] = np.nan
    with pytest.raises(TrajectoriesError, match="missing in 5 of 300 rows"):
        fit_study(study, table, SOURCE)


def test_too_few_rows_are_refused_with_the_stage() -> None:
    study = dwols(n=12)
    with pytest.raises((EstimationError, TrajectoriesError), match=r"three_months|six_months"):
        fit_study(study, table_of(study), SOURCE)


@pytest.mark.parametrize(
    ("learner", "method"),
    [("q-learning", {}), ("a-learning", {}), ("policy-tree", {"min_leaf": 40})],
)
def test_every_learner_can_be_exported(learner: str, method: dict[str, Any]) -> None:
    study = dwols(n=400, learner=learner, **method)
    found = fit_study(study, table_of(study), SOURCE)
    assert all(one.disagreements == () for one in found.exported.certificate.stages)


@pytest.mark.slow
def test_the_true_value_lies_within_three_standard_errors() -> None:
    study = dwols(n=4000)
    found = fit_study(study, table_of(study), SOURCE)
    world = HypertensionCohort()
    for row in found.values.rows:
        if row.kind == "fixed":
            truth = world.exact(*row.value.label.split(" > "))
            assert abs(row.value.estimate - truth) < 3 * row.value.standard_error
    learned, best = found.values.value(LEARNED), world.optimal(n=100_000)
    assert abs(learned.estimate - best.value) < 3 * learned.standard_error
