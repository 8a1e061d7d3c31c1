"""The outcome is measured nearest to the horizon after the decision, or it is said why not."""

from dataclasses import replace

import pytest
from builders.records import (
    HYPERTENSION,
    a_bundle,
    a_document,
    a_person,
    a_prescription,
    a_reading,
    a_record,
    a_small_bundle,
    at,
    but,
    time,
    ucum,
)

from cds_engine.history.event import Event, Gap, Person
from cds_engine.replay.outcome import Measured, OutcomeFinder
from cds_engine.replay.points import settled
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration
from cds_engine.vocabulary.value import Span

AS_OF = at("2025-01-10T09:00")
HORIZON = "2025-10-10T09:00"


def outcome(
    *events: Event, person: Person | None = None, bundle: object = None, **given: object
) -> Measured:
    record = a_record(*events, person=person)
    finder = OutcomeFinder(bundle or a_bundle(), ReplaySettings(**given))  # type: ignore[arg-type]
    return finder.find(record, finder.readings(record, settled(record)), AS_OF, AS_OF)


def test_is_the_variable_by_its_own_definition_at_the_reading_nearest_to_the_horizon() -> None:
    found = outcome(
        a_reading(sbp=150, at="2025-09-20T09:00"),
        a_reading(sbp=140, at="2025-10-12T09:00"),
        a_reading(sbp=130, at="2025-10-30T09:00"),
    )
    # sbp is the mean of thirty days
    assert found == Measured(145.0, "known", at("2025-10-12T09:00"))


@pytest.mark.parametrize(
    ("when", "state"),
    [
        ("2025-09-10T09:00", "known"), ("2025-09-10T08:59", "absent"),
        ("2025-11-09T09:00", "known"), ("2025-11-09T09:01", "absent"),
    ],
)  # fmt: skip
def test_a_measurement_counts_within_the_tolerance(when: str, state: str) -> None:
    assert outcome(a_reading(sbp=150, at=when)).state == state


def test_nothing_from_before_the_decision_is_part_of_it() -> None:
    found = outcome(
        a_reading(sbp=190, at="2025-01-09T09:00"),
        a_reading(sbp=150, at="2025-01-20T09:00"),
        horizon=parse_duration("P10D"),
    )
    assert found.value == 150.0


@pytest.mark.parametrize("outcome_of", ["sbp", "uncontrolled"])
def test_a_reading_from_before_the_decision_is_no_outcome_though_it_is_near_the_horizon(
    outcome_of: str,
) -> None:
    bundle = a_bundle(aim={"outcome": outcome_of, "at": "P10D", "better": "lower"})
    reading = a_reading(sbp=190, at="2025-01-09T09:00")
    assert outcome(reading, bundle=bundle) == Measured(None, "absent")
    farther = a_reading(sbp=120, at="2025-02-15T09:00")
    assert outcome(reading, farther, bundle=bundle).at == at("2025-02-15T09:00")


def test_is_looked_up_in_what_the_record_came_to_hold() -> None:
    late = a_reading(sbp=150, at=HORIZON, recorded="2026-02-01T00:00")
    mended = but(late, value=160.0, version=(2, ""), status="corrected")
    assert outcome(late).value == 150.0
    assert outcome(late, mended).value == 160.0


@pytest.mark.parametrize(
    ("events", "given", "state"),
    [
        pytest.param((), {}, "absent", id="never measured"),
        pytest.param((), {"data_until": at("2025-11-09T08:59")}, "pending", id="not yet"),
        pytest.param((), {"data_until": at("2025-11-09T09:00")}, "absent", id="its time has come"),
        pytest.param(
            (), {"person": a_person(died="2025-05-01T00:00")}, "deceased", id="died before it"
        ),
        pytest.param(
            (a_reading(sbp=150, at=HORIZON, unit=ucum("kPa")),), {}, "unit", id="unusable unit"
        ),
        pytest.param(
            (a_reading(Span(high=90.0, high_open=True), at=HORIZON),), {}, "range", id="a range"
        ),
        pytest.param(
            (a_reading(sbp=150, at=HORIZON, status="entered-in-error"),), {}, "absent",
            id="taken back",
        ),
        pytest.param(
            (), {"bundle": a_bundle(aim={"outcome": "sbp", "better": "lower"})}, "no-horizon",
            id="the aim names no time",
        ),
        pytest.param(
            (), {"bundle": a_bundle(aim={"outcome": "death", "at": "P1Y", "better": "lower"})},
            "no-variable", id="the aim names no variable",
        ),
    ],
)  # fmt: skip
def test_is_never_zero_where_it_is_not_known(
    events: tuple[Event, ...], given: dict[str, object], state: str
) -> None:
    found = outcome(*events, **given)  # type: ignore[arg-type]
    assert (found.value, found.state, found.at) == (None, state, None)


def test_a_search_that_was_not_complete_leaves_it_incomplete() -> None:
    record = a_record(a_reading(sbp=150, at=HORIZON), gaps={"kind:observation": "it was cut"})
    finder = OutcomeFinder(a_bundle(), ReplaySettings())
    found = finder.find(record, finder.readings(record, settled(record)), AS_OF, AS_OF)
    assert found == Measured(None, "incomplete")


UNCONTROLLED = a_bundle(aim={"outcome": "uncontrolled", "at": "P9M", "better": "lower"})


@pytest.mark.parametrize(
    ("when", "found"),
    [
        pytest.param("2025-10-01T09:00", Measured(True, "known", at("2025-10-01T09:00")),
                     id="a reading before the horizon"),
        pytest.param("2025-10-15T09:00", Measured(True, "known", at("2025-10-15T09:00")),
                     id="a reading after it, within the tolerance"),
        pytest.param("2025-11-10T09:00", Measured(None, "absent"), id="one beyond the tolerance"),
        pytest.param("2025-01-09T09:00", Measured(None, "absent"), id="one long before it"),
    ],
)  # fmt: skip
def test_a_derived_outcome_is_derived_from_what_is_measured_nearest_to_the_horizon(
    when: str, found: Measured
) -> None:
    lasting = a_document()["variables"]["sbp"] | {"within": "P2Y"}
    variables = a_document()["variables"] | {"sbp": lasting}
    bundle = a_bundle(aim=UNCONTROLLED.document.aim.model_dump(exclude_none=True),
                      variables=variables)  # fmt: skip
    assert outcome(a_reading(sbp=150, at=when), bundle=bundle) == found


@pytest.mark.parametrize(
    ("events", "given", "state"),
    [
        pytest.param((), {"data_until": at("2025-11-09T08:59")}, "pending", id="not yet"),
        pytest.param((), {"person": a_person(died="2025-05-01T00:00")}, "deceased", id="died"),
        pytest.param(
            (a_reading(sbp=150, at=HORIZON, unit=ucum("kPa")),), {}, "unit", id="unusable unit"
        ),
        pytest.param(
            (a_reading(Span(130.0, 150.0), at=HORIZON),), {}, "unresolved", id="a range astride"
        ),
    ],
)
def test_a_derived_outcome_that_is_not_known_says_what_is_the_matter_with_its_inputs(
    events: tuple[Event, ...], given: dict[str, object], state: str
) -> None:
    found = outcome(*events, bundle=UNCONTROLLED, **given)  # type: ignore[arg-type]
    assert found == Measured(None, state)


def test_that_an_input_was_never_measured_matters_more_than_that_another_cannot_be_used() -> None:
    pulse = a_document()["variables"]["sbp"] | {"codes": ["loinc|8867-4"]}
    bundle = a_bundle(
        aim={"outcome": "both", "at": "P9M", "better": "lower"},
        variables=a_document()["variables"]
        | {"pulse": pulse, "both": {"derive": "sbp >= 140 and pulse >= 100"}},
    )
    unusable = a_reading(sbp=150, at=HORIZON, unit=ucum("kPa"))
    person = a_person(died="2025-10-20T00:00")
    assert outcome(unusable, bundle=bundle) == Measured(None, "absent")
    assert outcome(unusable, bundle=bundle, person=person) == Measured(None, "deceased")


def test_an_input_that_is_missing_does_not_matter_where_the_others_settle_it() -> None:
    either = {"derive": "sbp >= 140 or hypertension"}
    bundle = a_bundle(
        aim={"outcome": "either", "at": "P9M", "better": "lower"},
        variables=a_document()["variables"] | {"either": either},
    )
    entry = a_diagnosis("2025-03-01T00:00")
    assert outcome(entry, bundle=bundle) == Measured(True, "known", at(HORIZON))
    assert outcome(a_reading(sbp=120, at=HORIZON), bundle=bundle).value is False
    assert outcome(bundle=bundle) == Measured(None, "absent")


def test_a_flag_is_taken_as_of_the_horizon_with_what_became_known_later() -> None:
    bundle = a_small_bundle(
        [{"otherwise": "a"}], aim={"outcome": "p", "at": "P9M", "better": "lower"}
    )
    event = but(a_prescription(), kind="condition", codes=("snomed|1",))
    assert outcome(event, bundle=bundle).value is True
    assert outcome(event, bundle=bundle, data_until=at("2025-10-01T00:00")).state == "pending"


def a_diagnosis(onset: str | None, recorded: str = "2025-03-01T00:00") -> Event:
    return Event(
        "condition", (HYPERTENSION,), None if onset is None else time(onset), at(recorded),
        "Condition/1", status="active",
    )  # fmt: skip


def of_condition(*events: Event, person: Person | None = None, **given: object) -> Measured:
    plain = a_document()["variables"]["hypertension"] | {"absent": False}
    bundle = a_bundle(
        aim={"outcome": "hypertension", "at": "P9M", "better": "lower"},
        variables=a_document()["variables"] | {"hypertension": plain},
    )
    return outcome(*events, person=person, bundle=bundle, **given)


@pytest.mark.parametrize(
    ("person", "events", "found"),
    [
        pytest.param(a_person(), (), Measured(False, "known", at(HORIZON)), id="alive"),
        pytest.param(a_person(died="2025-04-01T00:00"), (), Measured(None, "deceased"), id="dead"),
        pytest.param(
            a_person(died=HORIZON), (), Measured(None, "deceased"), id="dead at the horizon"
        ),
        pytest.param(
            a_person(died="2025-10-10T09:01"), (), Measured(False, "known", at(HORIZON)),
            id="dead after it, within the tolerance of a measurement",
        ),
        pytest.param(
            a_person(died="2025-04-01T00:00"), ("2025-03-01T00:00",),
            Measured(True, "known", at(HORIZON)), id="dead after it had happened",
        ),
        pytest.param(
            a_person(died="2025"), (), Measured(None, "unresolved"), id="perhaps dead by then"
        ),
        pytest.param(
            a_person(deceased=True), (), Measured(None, "unresolved"), id="dead since some day"
        ),
    ],
)  # fmt: skip
def test_what_is_not_on_record_tells_nothing_of_a_patient_who_did_not_live_to_the_horizon(
    person: Person, events: tuple[str, ...], found: Measured
) -> None:
    assert of_condition(*map(a_diagnosis, events), person=person) == found


def test_what_is_taken_at_the_horizon_itself_has_no_tolerance() -> None:
    variables = a_document()["variables"]
    unsaid = variables | {"hypertension": variables["hypertension"] | {"absent": "unknown"}}
    aim = {"outcome": "hypertension", "at": "P9M", "better": "lower"}
    bundle = a_bundle(aim=aim, variables=unsaid)
    person = a_person(died="2025-10-10T09:01")
    assert outcome(person=person, bundle=bundle) == Measured(None, "absent")
    assert outcome(data_until=at(HORIZON), bundle=bundle) == Measured(None, "absent")


@pytest.mark.parametrize(
    ("onset", "recorded", "found"),
    [
        pytest.param("2025-09-01", "2026-04-01T00:00", True, id="before the horizon, told late"),
        pytest.param("2025-10-11", "2026-04-01T00:00", False, id="after the horizon"),
        pytest.param(None, HORIZON, True, id="no onset, on record by the horizon"),
        pytest.param(None, "2025-10-10T09:01", None, id="no onset, told after the horizon"),
        pytest.param("2025", "2026-04-01T00:00", None, id="in the year of the horizon, told later"),
        pytest.param("2024", "2026-04-01T00:00", True, id="in the year before, told later"),
    ],
)
def test_what_has_no_day_and_was_told_after_the_horizon_may_have_come_after_it(
    onset: str | None, recorded: str, *, found: bool | None
) -> None:
    entry = a_diagnosis(onset, recorded)
    state = "unresolved" if found is None else "known"
    assert of_condition(entry) == Measured(found, state, None if found is None else at(HORIZON))


def test_what_has_no_day_does_not_matter_beside_what_has_one() -> None:
    unsure = but(a_diagnosis(None, "2026-04-01T00:00"), source="Condition/2")
    assert of_condition(unsure, a_diagnosis("2025-03-01T00:00")).value is True


@pytest.mark.parametrize(
    ("when", "state"),
    [
        ("2025-09-09", "absent"), ("2025-09-10", "known"), ("2025-11-09", "known"),
        ("2025-11-10", "absent"),
    ],
)  # fmt: skip
def test_a_date_counts_if_some_of_its_day_is_within_the_tolerance(when: str, state: str) -> None:
    # from 10 September, 9:00, to 9 November, 9:00
    assert outcome(a_reading(sbp=150, at=when)).state == state


def test_a_gap_counts_whenever_it_began() -> None:
    """A reading from the horizon may be on record years later, and so may one that is missing."""
    key = "kind:observation"
    record = a_record(a_reading(sbp=150, at=HORIZON), gaps={key: "it was cut"})
    late = replace(record, gap_times={key: (Gap(at("2027-01-01T00:00"), "it was cut"),)})
    finder = OutcomeFinder(a_bundle(), ReplaySettings())
    found = finder.find(late, finder.readings(late, settled(late)), AS_OF, AS_OF)
    assert found == Measured(None, "incomplete")


def test_a_horizon_beyond_the_calendar_is_its_end() -> None:
    record = a_record()
    finder = OutcomeFinder(a_bundle(), ReplaySettings())
    far = at("9999-12-31T00:00")
    assert finder.find(record, finder.readings(record, []), far, far) == Measured(None, "absent")
