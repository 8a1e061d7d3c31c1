"""The fixed protocol gives everybody the same, unless a safeguard stands against it."""

import pytest
from builders.shipped import NOW, decisions, shipped
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide

REGIME = "hypertension-fixed-protocol"
NUMBERS = range(12)


def test_it_is_static() -> None:
    bundle = shipped(REGIME)
    [stage] = bundle.stages
    assert stage.when.names() == frozenset()
    [case] = [case for case in (bundle.cases.cases if bundle.cases else ()) if not case.given][:1]
    assert case.expect.action == "full_dose"


@pytest.mark.parametrize("story", ["htn-uncontrolled", "htn-controlled", "htn-no-pressure"])
@pytest.mark.parametrize("number", NUMBERS)
def test_the_pressure_makes_no_difference(story: str, number: int) -> None:
    patient, decided = decisions(REGIME, story, number)
    person = patient.resources[0]
    barred = person["gender"] == "female" and int(person["birthDate"][:4]) > 1969
    for decision in decided:
        assert decision.outcome == ("abstention" if barred else "recommendation")


@pytest.mark.parametrize("story", ["htn-pregnant", "htn-high-potassium"])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_safeguard_makes_it_abstain(story: str, number: int) -> None:
    _, decided = decisions(REGIME, story, number)
    assert [reason.code for reason in decided[-1].reasons] == ["safeguard"]


@pytest.mark.parametrize("number", NUMBERS)
def test_after_a_cough_it_abstains(number: int) -> None:
    _, decided = decisions(REGIME, "htn-ace-cough", number)
    assert [reason.code for reason in decided[2].reasons] == ["safeguard"]


@given(
    potassium=st.none() | st.integers(15, 90).map(lambda tenths: tenths / 10),
    egfr=st.none() | st.integers(1, 200),
    pregnant=st.sampled_from([None, True, False]),
    allergic=st.sampled_from([None, True, False]),
)
def test_the_drug_is_advised_exactly_where_nothing_bars_it(
    potassium: float | None, egfr: int | None, pregnant: bool | None, allergic: bool | None
) -> None:
    bundle = shipped(REGIME)
    person = {
        "age": 60, "sex": "male", "hypertension": True, "sterile": False, "angioedema": False,
        "potassium": potassium, "egfr": egfr, "pregnant": pregnant, "ace_intolerance": allergic,
    }  # fmt: skip
    decision = decide(bundle, given_history(bundle, person, NOW))
    barred = pregnant or allergic or (potassium or 0) > 5.0 or (egfr or 100) < 30
    unknown = {
        "pregnant": pregnant, "pregnancy_status": pregnant, "potassium": potassium,
        "egfr": egfr, "ace_intolerance": allergic,
    }  # fmt: skip
    lacking = [name for name, value in unknown.items() if value is None]
    if not barred and not lacking:
        assert decision.action == "full_dose"
        return
    assert (decision.outcome, decision.reasons[0].code) == ("abstention", "safeguard")
    named = [(reason.code, *reason.variables) for reason in decision.reasons[1:]]
    assert named == ([] if barred else [("missing", name) for name in lacking])
