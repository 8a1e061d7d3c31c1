"""What lies outside a variable's declared domain is missing with a reason, never compared."""

from collections.abc import Mapping
from math import inf, nextafter

import pytest
from builders.bundles import a_document, a_stage, bundle_of

from cds_engine.decide.decision import Decision
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event, Person, Record, Time
from cds_engine.vocabulary.time import DAY
from cds_engine.vocabulary.units import UCUM, StatedUnit

NOW = 1_767_225_600_000_000
PRESSURE = {
    "from": "observation", "codes": ["loinc|8480-6"], "unit": "mm[Hg]", "digits": 1,
    "plausible": [60, 280],
}  # fmt: skip
MOOD = {"from": "observation", "codes": ["loinc|8480-6"], "answers": {"loinc|LA1": "low"}}


def decided(variable: Mapping[str, object], value: float | str, when: str) -> Decision:
    """Decide a patient with one observation, by a rule that reads it."""
    rule = [{"when": when, "then": "a0"}, {"otherwise": "keep"}]
    document = a_document(variables={"x": variable}, stages=[a_stage(rule)])
    document["actions"] = {"a0": {"label": "a0"}, "keep": {"label": "keep"}}
    time = Time(NOW - DAY, NOW - DAY)
    unit = StatedUnit("mm[Hg]", UCUM) if isinstance(value, float) else None
    event = Event("observation", ("loinc|8480-6",), time, NOW - DAY, "Observation/1",
                  status="final", value=value, unit=unit)  # fmt: skip
    record = Record(Person("one"), (event,))
    return Regime(bundle_of(document)).decide(record, NOW)[1]


@pytest.mark.parametrize("bound", [60.0, 280.0])
def test_fv_09_a_bound_belongs_to_the_domain_however_it_was_computed(bound: float) -> None:
    for value in (bound, nextafter(bound, inf), nextafter(bound, -inf)):
        decision = decided(PRESSURE, value, f"x == {bound}")
        assert decision.action == "a0", "an ulp is lost when the value is rounded to its digits"


@pytest.mark.parametrize("value", [59.9, 280.1, -60.0, 1e300])
def test_fv_09_the_next_value_outside_is_out_of_range_and_missing(value: float) -> None:
    decision = decided(PRESSURE, value, "x >= 140")
    assert decision.outcome == "abstention"
    assert [(reason.code, reason.variables) for reason in decision.reasons] == [
        ("out-of-range", ("x",))
    ]
    assert decision.state["x"] is None


def test_fv_09_an_answer_outside_the_list_is_no_value() -> None:
    assert decided(MOOD, "loinc|LA1", "x is low").action == "a0"
    decision = decided(MOOD, "loinc|LA2", "x is low")
    assert [reason.code for reason in decision.reasons] == ["unresolved"]
    assert decision.state["x"] is None
