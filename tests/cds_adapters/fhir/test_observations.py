"""An observation becomes one event per answer: a number, a span, a code, a truth value or none."""

import json
from datetime import timedelta, timezone
from typing import Any

import pytest

from cds_adapters.fhir.decode import decode_resource
from cds_adapters.fhir.events import resource_events
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.fhir.times import read_instant
from cds_engine.history.event import Event, SetAside
from cds_engine.vocabulary.time import DAY, HOUR, iso
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span

UCUM = "http://unitsofmeasure.org"
MMHG = {"unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
SBP = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
DBP = {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}
PANEL = {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}
NOON = "2024-05-01T12:00:00Z"


def an_observation(**fields: Any) -> dict[str, Any]:
    """A systolic blood pressure of 152 mm[Hg], unless the fields say otherwise; None removes."""
    usual = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": SBP,
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": NOON,
        "issued": "2024-05-01T12:05:00Z",
        "valueQuantity": {"value": 152, **MMHG},
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


def read(resource: dict[str, Any], site: SiteMap | None = None) -> list[Event] | SetAside:
    decoded = decode_resource(json.dumps(resource).encode(), "here")
    assert decoded.troubles == ()
    return resource_events(decoded.resources[0], site or SiteMap())  # type: ignore[arg-type]


def the_event(resource: dict[str, Any], site: SiteMap | None = None) -> Event:
    events = read(resource, site)
    assert isinstance(events, list)
    assert len(events) == 1
    return events[0]


def words_for(resource: dict[str, Any]) -> str:
    aside = read(resource)
    assert isinstance(aside, SetAside)
    assert aside.source == "Observation/o1"
    return aside.reason


def test_an_observation_becomes_an_event() -> None:
    event = the_event(an_observation())

    assert event.kind == "observation"
    assert event.codes == ("loinc|8480-6",)
    assert event.value == 152.0
    assert isinstance(event.value, float)
    assert event.unit == StatedUnit("mm[Hg]", UCUM, "mmHg")
    assert event.time is not None
    assert (iso(event.time.start), event.time.precision) == (NOON, "instant")
    assert iso(event.recorded) == "2024-05-01T12:05:00Z"
    assert (event.source, event.version, event.status) == ("Observation/o1", (0, ""), "final")
    assert (event.problem, event.until, event.ended, event.doubt) == ("", None, False, False)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        pytest.param({"value": -0.0}, 0.0, id="minus nought is nought"),
        pytest.param({"value": 5, "comparator": "<"}, Span(high=5.0, high_open=True), id="<"),
        pytest.param({"value": 5, "comparator": "<="}, Span(high=5.0), id="<="),
        pytest.param({"value": 5, "comparator": ">"}, Span(low=5.0, low_open=True), id=">"),
        pytest.param({"value": 5, "comparator": ">="}, Span(low=5.0), id=">="),
        pytest.param({"value": 999_999_999_999_999.0}, 999_999_999_999_999.0, id="just possible"),
    ],
)
def test_quantities(fields: dict[str, Any], value: float | Span) -> None:
    event = the_event(an_observation(valueQuantity={**fields, **MMHG}))

    assert event.value == value
    assert str(event.value) == str(value)
    assert event.unit == StatedUnit("mm[Hg]", UCUM, "mmHg")


def test_a_unit_is_kept_as_stated_even_if_there_is_none() -> None:
    bare = the_event(an_observation(valueQuantity={"value": 1}))
    text = the_event(an_observation(valueQuantity={"value": 1, "unit": "mm Hg"}))

    assert bare.unit == StatedUnit()
    assert text.unit == StatedUnit(text="mm Hg")


RANGE = "valueRange"
TOO_LARGE = "too large to be a measurement"


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"valueInteger": 3}, 3.0),
        ({"valueBoolean": False}, False),
        ({"valueBoolean": True}, True),
        ({RANGE: {"low": {"value": 1, **MMHG}, "high": {"value": 2, **MMHG}}}, Span(1.0, 2.0)),
        ({RANGE: {"low": {"value": 1, **MMHG}}}, Span(low=1.0)),
        ({RANGE: {"high": {"value": 2, **MMHG}}}, Span(high=2.0)),
        ({RANGE: {"high": {"value": 2, **MMHG}, "low": {**MMHG}}}, Span(high=2.0)),
        ({RANGE: {}}, None),
        ({"valueQuantity": {**MMHG}}, None),
        ({"valueQuantity": {"comparator": "<", **MMHG}}, None),
        ({"dataAbsentReason": {"text": "asked but unknown"}}, None),
        ({}, None),
        (
            {
                "valueCodeableConcept": {
                    "coding": [{"system": "http://snomed.info/sct", "code": "7"}]
                }
            },
            "snomed|7",
        ),
    ],
)
def test_other_values(fields: dict[str, Any], value: object) -> None:
    event = the_event(an_observation(**{"valueQuantity": None, **fields}))

    assert event.value == value
    assert type(event.value) is type(value)
    assert event.problem == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"valueString": "high"}, "text answers cannot be compared"),
        ({"valueCodeableConcept": {"text": "high"}}, "text answers cannot be compared"),
        ({"valueRatio": {"numerator": {"value": 1}}}, "ratios and series of samples"),
        ({"valueSampledData": {"origin": {"value": 1}}}, "ratios and series of samples"),
        ({"valueTime": "10:00:00"}, "times and periods as answers"),
        ({"valueDateTime": "2024-01-01"}, "times and periods as answers"),
        ({"valuePeriod": {"start": "2024-01-01"}}, "times and periods as answers"),
        ({"valueQuantity": {"value": 1e15, **MMHG}}, TOO_LARGE),
        ({"valueQuantity": {"value": -1e300, "comparator": "<", **MMHG}}, TOO_LARGE),
        ({"valueInteger": 10**15}, TOO_LARGE),
        ({RANGE: {"low": {"value": -1e15}}}, TOO_LARGE),
        ({"valueQuantity": {"value": 1, "comparator": "ad"}}, "comparator 'ad' is not one of <,"),
        ({RANGE: {"low": {"value": 1, "comparator": "<"}}}, "must not be bounds themselves"),
        ({RANGE: {"low": {"value": 2}, "high": {"value": 1}}}, "low end is above its high end"),
        (
            {RANGE: {"low": {"value": 1, "unit": "mg"}, "high": {"value": 2, "unit": "g"}}},
            "different units",
        ),
        ({"valueQuantity": {"value": 1}, "valueString": "1"}, "two values where FHIR allows one"),
        (
            {"valueQuantity": {"value": 1}, "dataAbsentReason": {"text": "error"}},
            "both a value and a reason why it is absent",
        ),
    ],
)
def test_what_cannot_be_compared_is_a_problem(fields: dict[str, Any], words: str) -> None:
    event = the_event(an_observation(**{"valueQuantity": None, **fields}))

    assert (event.value, event.unit) == (None, None)
    assert words in event.problem
    assert event.codes == ("loinc|8480-6",)


def test_a_coded_answer_holds_every_code_whatever_their_order() -> None:
    site = SiteMap(codes={"urn:lab|POS": ("snomed|10828004",)})
    local = {"system": "urn:lab", "code": "POS"}
    other = {"system": "urn:other", "code": "yes"}
    loinc = {"system": "http://loinc.org", "code": "LA6576-8"}

    def answer(*coding: dict[str, str]) -> object:
        fields = {"valueQuantity": None, "valueCodeableConcept": {"coding": list(coding)}}
        return the_event(an_observation(**fields), site).value

    assert answer(other) == "urn:other|yes"
    assert answer(other, loinc) == answer(loinc, other) == "loinc|LA6576-8\nurn:other|yes"
    assert answer(local, other) == "snomed|10828004\nurn:lab|POS\nurn:other|yes"
    assert answer({"code": "POS"}, loinc) == "loinc|LA6576-8"


@pytest.mark.parametrize(
    "status",
    ["registered", "preliminary", "final", "amended", "corrected", "unknown"],
)
def test_a_status_that_fhir_knows_is_kept_for_the_allow_lists(status: str) -> None:
    assert the_event(an_observation(status=status)).status == status


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_what_is_taken_back_is_one_event_without_a_value(status: str) -> None:
    panel = an_observation(
        status=status,
        code=PANEL,
        component=[{"code": SBP, "valueQuantity": {"value": 1}}, {"code": DBP}],
    )
    event = the_event(panel)

    assert (event.status, event.value) == (status, None)
    assert event.codes == ("loinc|85354-9", "loinc|8480-6", "loinc|8462-4")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": "bogus"}, "status 'bogus' is not one of amended, cancelled, corrected,"),
        ({"status": None}, "status is missing; FHIR requires one of amended,"),
        ({"status": "x" * 1000}, "status '" + "x" * 40 + "...' is not one of"),
        ({"modifierExtension": [{"url": "urn:not"}]}, "has a modifier extension"),
        ({"implicitRules": "urn:rules"}, "follows implicit rules"),
        ({"focus": [{"reference": "Patient/fetus"}]}, "about something else than the patient"),
        ({"effectiveDateTime": "2024-05-01T12:00:00"}, "clock time without an offset"),
        ({"issued": "2024-13-01"}, "does not exist"),
        ({"issued": ""}, "not written as YYYY"),
        ({"issued": None, "effectiveDateTime": None}, "no time says when it was"),
        ({"code": {"text": "blood pressure"}}, "no code in a code system"),
        ({"code": None}, "no code in a code system"),
        ({"code": {"coding": [{"code": "8480-6"}]}}, "no code in a code system"),
        ({"code": {"coding": [{"system": "urn:x", "code": "a\u0000b"}]}}, "no code in a code"),
    ],
)
def test_what_must_not_be_used_is_set_aside(fields: dict[str, Any], words: str) -> None:
    assert words in words_for(an_observation(**fields))


def test_a_panel_gives_an_event_per_component() -> None:
    panel = an_observation(
        code=PANEL,
        valueQuantity=None,
        component=[
            {"code": DBP, "valueQuantity": {"value": 90, **MMHG}},
            {"code": SBP, "valueQuantity": {"value": 150, "comparator": ">", **MMHG}},
            {"code": SBP, "dataAbsentReason": {"text": "not done"}},
            {"code": {"text": "pulse"}, "valueQuantity": {"value": 70}},
            {"code": SBP, "valueString": "high"},
            {"code": SBP, "valueInteger": 1, "modifierExtension": [{"url": "urn:not"}]},
        ],
    )
    events = read(panel)
    assert isinstance(events, list)

    assert [event.codes for event in events] == [("loinc|8462-4",)] + [("loinc|8480-6",)] * 3
    values = [event.value for event in events]
    assert values == [90.0, Span(low=150.0, low_open=True), None, None]
    assert events[2].problem == "text answers cannot be compared"
    assert "modifier extension" in events[3].problem
    assert {(e.time, e.recorded, e.source, e.status) for e in events} == {
        (events[0].time, read_instant("2024-05-01T12:05:00Z"), "Observation/o1", "final")
    }


def test_a_panel_with_a_value_of_its_own_has_an_event_for_that_too() -> None:
    fields = {"code": PANEL, "component": [{"code": DBP, "valueQuantity": {"value": 90, **MMHG}}]}
    events = read(an_observation(**fields))
    assert isinstance(events, list)

    assert [(e.codes, e.value) for e in events] == [
        (("loinc|85354-9",), 152.0),
        (("loinc|8462-4",), 90.0),
    ]


def test_a_panel_without_any_answer_is_no_reading() -> None:
    fields = {"code": PANEL, "valueQuantity": None, "component": [{"code": SBP}]}
    event = the_event(an_observation(**fields))

    assert (event.codes, event.value, event.problem) == (("loinc|85354-9",), None, "")


@pytest.mark.parametrize(
    ("fields", "counts", "recorded"),
    [
        ({"effectiveInstant": NOON}, NOON, NOON),
        ({"effectiveTiming": {"event": [NOON]}}, NOON, NOON),
        ({"effectiveDateTime": NOON}, NOON, NOON),
        (
            {"effectivePeriod": {"start": NOON, "end": "2024-05-02T12:00:00Z"}},
            "2024-05-02T12:00:00Z",
            NOON,
        ),
        (
            {
                "effectivePeriod": {"start": NOON, "end": "2024-05-02T12:00:00Z"},
                "meta": {"lastUpdated": "2024-05-03T12:00:00Z"},
            },
            "2024-05-02T12:00:00Z",
            "2024-05-02T12:00:00Z",
        ),
        ({"effectivePeriod": {"start": NOON}}, NOON, NOON),
        ({"effectivePeriod": {"start": NOON, "end": "2024-04-30T12:00:00Z"}}, NOON, NOON),
        (
            {
                "effectivePeriod": {"end": NOON},
                "meta": {"lastUpdated": "2024-05-03T12:00:00Z"},
            },
            NOON,
            NOON,
        ),
    ],
)
def test_without_an_issue_time_it_is_known_when_it_is_surely_over(
    fields: dict[str, Any], counts: str, recorded: str
) -> None:
    event = the_event(an_observation(**{"issued": None, "effectiveDateTime": None, **fields}))

    assert (event.time and iso(event.time.start)) == counts
    assert event.until is None
    assert iso(event.recorded) == recorded


def test_a_date_alone_is_known_from_the_start_of_the_day_at_the_site() -> None:
    resource = an_observation(issued=None, effectiveDateTime="2024-05-01")
    plain = the_event(resource)
    west = the_event(resource, SiteMap(time_zone=timezone(timedelta(hours=-5))))

    assert plain.recorded == read_instant("2024-05-01T00:00:00Z")
    assert west.recorded == plain.recorded + 5 * HOUR
    assert west.time is not None
    assert west.time.end - west.time.start == DAY - 1
    assert west.time.precision == "day"


LATER = "2024-06-01T00:00:00Z"


@pytest.mark.parametrize(
    ("status", "meta", "recorded"),
    [
        pytest.param("final", {"lastUpdated": LATER}, "issued", id="stored late, not changed"),
        pytest.param("final", {"versionId": "1", "lastUpdated": LATER}, "issued", id="version 1"),
        pytest.param("final", {"versionId": "2", "lastUpdated": LATER}, "stored", id="version 2"),
        pytest.param("final", {"versionId": "10", "lastUpdated": LATER}, "stored", id="10 > 1"),
        pytest.param("final", {"versionId": "2"}, "issued", id="no stored time"),
        pytest.param("final", {"versionId": "b", "lastUpdated": LATER}, "issued", id="no number"),
        pytest.param("amended", {"lastUpdated": LATER}, "stored", id="amended"),
        pytest.param("corrected", {"lastUpdated": LATER}, "stored", id="corrected"),
        pytest.param("cancelled", {"lastUpdated": LATER}, "stored", id="cancelled"),
        pytest.param("entered-in-error", {"lastUpdated": LATER}, "stored", id="in error"),
        pytest.param("amended", {"lastUpdated": "2020-01-01T00:00:00Z"}, "issued", id="earlier"),
        pytest.param("amended", None, "issued", id="nothing known of it"),
    ],
)
def test_a_changed_version_is_known_only_since_it_was_stored(
    status: str, meta: dict[str, str] | None, recorded: str
) -> None:
    event = the_event(an_observation(status=status, meta=meta))

    expected = {"issued": "2024-05-01T12:05:00Z", "stored": LATER}[recorded]
    assert iso(event.recorded) == expected


def test_without_any_other_time_the_stored_time_counts() -> None:
    fields = {"issued": None, "effectiveDateTime": None, "meta": {"lastUpdated": LATER}}
    event = the_event(an_observation(**fields))

    assert event.time is None
    assert iso(event.recorded) == LATER


def test_versions_order_by_number_and_then_by_instant() -> None:
    def version(number: str | None, stored: str | None) -> tuple[int, str]:
        meta = {"versionId": number, "lastUpdated": stored}
        known = {name: text for name, text in meta.items() if text is not None}
        return the_event(an_observation(meta=known)).version

    assert version("9", None) < version("10", None)
    assert version(None, "2024-01-01T10:00:00+02:00") < version(None, "2024-01-01T09:00:00Z")
    assert version(None, "2024-01-01T10:00:00Z") < version(None, "2024-01-01T10:00:00.5Z")
    assert version("x", None)[0] == version("9" * 60, None)[0] == 0
