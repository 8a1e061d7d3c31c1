"""The served decision is the fitted decision, for training patients and through their records."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from builders.shipped import RULES, shipped

from cds_adapters.fhir.decode import decode_bundle
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.samples import to_json, to_transaction_bundle
from cds_adapters.fhir.worlds import world_patients
from cds_adapters.studies import load_study
from cds_engine.decide.regime import Regime
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.learned import linear_form
from cds_engine.estimate.export.served import served_rules
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.estimate.rule import NO_DECISION, USUAL
from cds_engine.estimate.study import StudyDocument, WorldData
from cds_engine.fit.learners import LINEAR, learner_for, reference_of
from cds_engine.simulate import WORLDS
from cds_engine.vocabulary.time import instant

STUDIES = sorted(path.parent.parent.name for path in RULES.glob("*/*/study.yaml"))
pytestmark = pytest.mark.filterwarnings("ignore:the pseudo-outcomes")


def fitted_advice(study: StudyDocument, folder: Path) -> dict[str, list[str | None]]:
    """Return for each training patient what the fitted regime advises at each stage.

    None stands for silence, ``-`` for no decision.
    """
    _, frame, _ = load_study(folder)
    bare = skeleton(study)
    trajectories, _ = study_trajectories(study, frame, bare)
    learner = learner_for(study).fit(trajectories)
    forms: list[Any] = (
        [linear_form(one, reference_of(study, one.spec.actions)) for one in learner.stages_]
        if study.method.learner in LINEAR
        else list(learner.trees_)
    )
    rules = served_rules(study, trajectories, forms, bare)
    columns = []
    for rule, h in zip(rules, trajectories.stages, strict=True):
        names: dict[int, str | None] = {NO_DECISION: "-", USUAL: None}
        names |= dict(enumerate(h.spec.actions))
        columns.append([names[int(place)] for place in rule(h)])
    assert {one for column in columns for one in column} > {None}
    rows = map(list, zip(*columns, strict=True))
    return dict(zip(map(str, trajectories.ids), rows, strict=True))


def served_advice(study: StudyDocument, count: int) -> Iterator[tuple[str, list[str | None]]]:
    """Yield the same as the rule bundle says it, from FHIR JSON at the instants of the visits."""
    assert isinstance(study.data, WorldData)
    draw = WORLDS[study.data.world]().draw(count, study.data.seed)
    regime = Regime(shipped(study.study, study.version))
    for patient in world_patients(draw):
        body = decode_bundle(to_json(to_transaction_bundle(patient)).encode())
        record = record_of(body, patient.id)
        yield patient.id, [_said(regime, record, visit) for visit in patient.visits]


def _said(regime: Regime, record: Any, visit: str) -> str | None:
    _, decision = regime.decide(record, instant(datetime.fromisoformat(visit)))
    learned = {"start", "after_coaching", "after_classes", "eight_weeks", "three_months",
               "six_months", "second_line"}  # fmt: skip
    return decision.action if decision.stage in learned else "-"


def agree(name: str, count: int | None) -> int:
    folder = RULES / name / "1.0.0"
    study, _, _ = load_study(folder)
    assert isinstance(study.data, WorldData)
    fitted = fitted_advice(study, folder)
    served = dict(served_advice(study, count or study.data.n))
    assert [name for name in served if fitted[name] != served[name]] == []
    return sum(one not in {None, "-"} for row in served.values() for one in row)


@pytest.mark.parametrize("name", STUDIES)
def test_some_training_patients_get_through_their_records_what_was_fitted(name: str) -> None:
    assert agree(name, 60) > 50


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_training_patient_gets_through_the_records_what_was_fitted(name: str) -> None:
    assert agree(name, None) > 1000
