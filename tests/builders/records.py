"""Records, variables and rule bundles with good defaults: a test names only what it is about."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.history.event import Event, EventKind, Gap, Person, Record, SetAside, Time
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import Finding, History, Known, Missing
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.time import DAY, Instant, instant
from cds_engine.vocabulary.units import UCUM, StatedUnit
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

SBP = "loinc|8480-6"
POTASSIUM = "loinc|2823-3"
HYPERTENSION = "snomed|38341003"
PREGNANCY = "snomed|77386006"
LIFESTYLE = "snomed|443402002"
LISINOPRIL = "rxnorm|314076"

Json = dict[str, Any]


def at(text: str) -> Instant:
    """Return the instant of a clock time in UTC: ``2025-06-15T09:00``."""
    moment = datetime.fromisoformat(text)
    return instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


AS_OF = at("2025-06-15T09:00")
"""When decisions are made, unless a test says otherwise: a Sunday morning."""


def time(text: str) -> Time:
    """Return a clock time, a day, a month or a year, told apart by how it is written."""
    if len(text) > 10:
        return Time(at(text), at(text))
    year, month = int(text[:4]), int(text[5:7] or 1)
    first = datetime(year, month, int(text[8:10] or 1), tzinfo=UTC)
    if len(text) == 10:
        return Time(instant(first), instant(first) + DAY - 1, "day")
    if len(text) == 7:
        after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        return Time(instant(first), instant(after) - 1, "month")
    return Time(instant(first), instant(first.replace(year=year + 1)) - 1, "year")


def days_ago(days: float, as_of: Instant = AS_OF) -> str:
    """Return the clock time so many days before."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=as_of - days * DAY)).strftime(
        "%Y-%m-%dT%H:%M:%S.%f"
    )


def but(event: Event, **changes: Any) -> Event:
    """Return the same event with some of its fields changed."""
    fields = {name: getattr(event, name) for name in signature(Event).parameters}
    return Event(**fields | changes)


def mm_hg() -> StatedUnit:
    """Return millimetres of mercury as a careful record states them."""
    return StatedUnit("mm[Hg]", UCUM, "mmHg")


def ucum(code: str, text: str = "") -> StatedUnit:
    """Return a unit in the UCUM system."""
    return StatedUnit(code, UCUM, text or code)


def an_event(kind: EventKind, codes: tuple[str, ...], when: str | None, **given: Any) -> Event:
    """Return an event; it is recorded when it begins, unless told otherwise."""
    moment = None if when is None else time(when)
    fields: Json = {"kind": kind, "codes": codes, "time": moment}
    recorded = given.pop("recorded", None)
    until = given.pop("until", None)
    if recorded is None:
        fields["recorded"] = at("2000-01-01T00:00") if moment is None else moment.start
    else:
        fields["recorded"] = at(recorded)
    fields["until"] = None if until is None else time(until)
    fields["source"] = given.pop("source", None) or f"{kind}/{'+'.join(codes)}@{when}"
    return Event(**fields, **given)


def a_reading(
    value: float | Span | str | bool | None = None,
    *,
    sbp: float | None = None,
    potassium: float | None = None,
    at: str | None = "2025-06-10T09:00",
    unit: StatedUnit | None = None,
    codes: tuple[str, ...] | None = None,
    no_unit: bool = False,
    status: str = "final",
    **given: Any,
) -> Event:
    """Return an observation: of systolic pressure in mm[Hg], or of potassium in mmol/L."""
    if potassium is not None:
        codes, value, unit = codes or (POTASSIUM,), potassium, unit or ucum("mmol/L")
    number = sbp if sbp is not None else value
    if number is not None and not isinstance(number, bool | str | Span):
        number = float(number)
    given.setdefault("source", f"Observation/{at}-{number}")
    stated = None if no_unit else (unit or mm_hg())
    return an_event(
        "observation", codes or (SBP,), at, value=number, unit=stated, status=status, **given
    )


def a_condition(code: str = HYPERTENSION, since: str | None = "2020-03-01", **given: Any) -> Event:
    """Return a problem-list entry that is active and confirmed."""
    given.setdefault("status", "active")
    return an_event("condition", (code,), since, **given)


def a_prescription(
    code: str = LISINOPRIL, at: str | None = "2025-05-01T09:00", **given: Any
) -> Event:
    """Return an active prescription."""
    given.setdefault("status", "active")
    return an_event("request", (code,), at, **given)


def a_dispense(code: str = LISINOPRIL, at: str | None = "2025-05-01", **given: Any) -> Event:
    """Return a completed dispense of thirty days."""
    given.setdefault("status", "completed")
    given.setdefault("days", 30.0)
    return an_event("dispense", (code,), at, **given)


def a_procedure(code: str = "snomed|1", at: str | None = "2025-05-01", **given: Any) -> Event:
    """Return a completed procedure."""
    given.setdefault("status", "completed")
    return an_event("procedure", (code,), at, **given)


def advice(at: str | None = "2025-03-01T09:00", **given: Any) -> Event:
    """Return the order of lifestyle advice, the first step of the example regime."""
    given.setdefault("status", "active")
    return an_event("service", (LIFESTYLE,), at, **given)


def a_person(born: str | None = "1970-03-01", sex: str | None = "female", **given: Any) -> Person:
    """Return a living woman of 55."""
    died = given.pop("died", None)
    return Person(
        "p1",
        None if born is None else time(born),
        sex,
        died=None if died is None else time(died),
        **given,
    )


def a_record(
    *events: Event,
    person: Person | None = None,
    gaps: Mapping[str, str] | None = None,
    set_aside: tuple[SetAside, ...] = (),
    gap_times: Mapping[str, tuple[Gap, ...]] | None = None,
) -> Record:
    """Return a record of these events and nothing else; every search was complete."""
    return Record(
        person or a_person(), tuple(events), set_aside, dict(gaps or {}),
        gap_times=dict(gap_times or {}),
    )  # fmt: skip


def a_variable(source: str = "observation", **fields: Any) -> Variable:
    """Return a variable; an observation is systolic pressure unless told otherwise."""
    if source == "observation":
        fields.setdefault("codes", [SBP])
        if not fields.get("answers") and fields.get("take") != "count":
            fields.setdefault("unit", "mm[Hg]")
    elif source == "condition":
        fields.setdefault("codes", [HYPERTENSION])
    elif source == "medication":
        fields.setdefault("codes", [LISINOPRIL])
    elif source == "procedure":
        fields.setdefault("codes", ["snomed|1"])
    return Variable.model_validate_json(json.dumps({"from": source, **fields}))


def an_action(label: str = "Do it", **fields: Any) -> Action:
    """Return an action."""
    return Action.model_validate_json(json.dumps({"label": label, **fields}))


ACTIONS: Mapping[str, Action] = {
    "lifestyle": an_action("Advise", seen_as=[LIFESTYLE]),
    "add_ace": an_action("Start lisinopril", seen_as=[LISINOPRIL]),
}


def find(
    variable: Variable,
    *events: Event,
    as_of: Instant = AS_OF,
    actions: Mapping[str, Action] = ACTIONS,
    **record: Any,
) -> Finding:
    """Return what one variable comes to for these events."""
    taker = HistoryTaker({"x": variable}, actions)
    return taker.take(a_record(*events, **record), as_of).findings["x"]


def value_of(variable: Variable, *events: Event, **given: Any) -> Scalar:
    """Return the value of a variable that must be known."""
    found = find(variable, *events, **given)
    assert isinstance(found, Known), found
    return found.value


def reason_of(variable: Variable, *events: Event, **given: Any) -> str:
    """Return why a variable that must be missing is missing."""
    found = find(variable, *events, **given)
    assert isinstance(found, Missing), found
    return found.reason


def a_document(**overrides: Any) -> Json:
    """Return the example regime as a document: stepped care, two stages, one safeguard."""
    document: Json = {
        "regime": "stepped-care",
        "version": "1.0.0",
        "title": "Stepped care",
        "aim": {"outcome": "sbp", "at": "P9M", "unit": "mm[Hg]", "better": "lower"},
        "population": "age >= 18 and hypertension",
        "variables": {
            "age": {"from": "patient.age", "unit": "a"},
            "hypertension": {"from": "condition", "codes": [HYPERTENSION], "absent": False},
            "pregnant": {"from": "condition", "codes": [PREGNANCY], "absent": "unknown"},
            "sbp": {
                "from": "observation", "codes": [SBP], "unit": "mm[Hg]", "take": "mean",
                "within": "P30D", "plausible": [60, 280], "label": "systolic pressure",
            },
            "potassium": {
                "from": "observation", "codes": [POTASSIUM], "unit": "mmol/L",
                "within": "P180D", "plausible": [1.5, 9],
            },
            "step": {"from": "course", "take": "latest_action"},
            "weeks_on_step": {"from": "course", "take": "elapsed", "unit": "wk"},
            "uncontrolled": {"derive": "sbp >= 140"},
        },
        "actions": {
            "lifestyle": {"label": "Advise diet and exercise", "seen_as": [LIFESTYLE]},
            "add_ace": {
                "label": "Start lisinopril 10 mg daily", "seen_as": [LISINOPRIL],
                "order": {"resource": "MedicationRequest", "code": LISINOPRIL},
            },
            "monitor": {"label": "Measure again in 3 months", "change": False},
        },
        "safeguards": [
            {
                "never": ["add_ace"], "when": "pregnant or potassium > 5.5",
                "because": "ACE inhibitors harm the fetus and raise potassium.",
            }
        ],
        "stages": [
            {
                "stage": "baseline", "when": "step is none", "choose": ["lifestyle", "monitor"],
                "rule": [
                    {"when": "uncontrolled", "then": "lifestyle", "because": "It comes first."},
                    {"otherwise": "monitor"},
                ],
            },
            {
                "stage": "three_months", "when": "step is lifestyle and weeks_on_step >= 10",
                "choose": ["add_ace", "monitor"],
                "rule": [
                    {"when": "uncontrolled", "then": "add_ace", "because": "It was not enough."},
                    {"otherwise": "monitor"},
                ],
            },
        ],
    }  # fmt: skip
    return document | overrides


def files_of(document: Json, cases: Json | None = None) -> dict[str, bytes]:
    """Return the files of a rule bundle; JSON is YAML."""
    files = {"bundle.yaml": json.dumps(document).encode()}
    if cases is not None:
        files["cases.yaml"] = json.dumps(cases).encode()
    return files


def a_bundle(cases: Json | None = None, **overrides: Any) -> RuleBundle:
    """Return the example regime, checked, with some of its fields replaced."""
    return read_bundle(files_of(a_document(**overrides), cases))


def a_small_bundle(
    rule: Any,
    choose: list[str] | None = None,
    safeguards: list[Json] | None = None,
    cases: Json | None = None,
    **overrides: Any,
) -> RuleBundle:
    """Return a regime of one stage over numbers x, y and flags p, q; actions a, b, c and stay."""
    named = json.dumps(rule)
    actions = {name: {"label": f"Do {name}"} for name in ("a", "b", "c")}
    catalogue: Json = {**actions, "stay": {"label": "Stay", "change": False}}
    number = {"from": "observation", "codes": ["loinc|1"], "unit": "1", "take": "latest"}
    flag = {"from": "condition", "codes": ["snomed|1"]}
    label = {
        "from": "observation", "codes": ["loinc|2"],
        "answers": {"loinc|low": "low", "loinc|high": "high"},
    }  # fmt: skip
    fields: Json = {
        "regime": "small", "version": "1.0.0", "title": "Small", "population": "true",
        "aim": {"outcome": "x", "better": "lower"},
        "variables": {"x": number, "y": number, "p": flag, "q": flag, "risk": label},
        "actions": catalogue,
        "safeguards": safeguards or [],
        "stages": [
            {
                "stage": "only", "when": "true", "rule": rule,
                "choose": choose or [name for name in catalogue if f'"{name}"' in named],
            }
        ],
    }  # fmt: skip
    return read_bundle(files_of(fields | overrides, cases))


def a_history(*, deceased: bool = False, as_of: Instant = AS_OF, **values: Any) -> History:
    """Return a history that holds these values; None, or a Missing, is missing."""
    findings: dict[str, Finding] = {}
    for name, value in values.items():
        if value is None:
            findings[name] = Missing("absent", "no reading is on record")
        elif isinstance(value, Known | Missing):
            findings[name] = value
        else:
            is_number = isinstance(value, int) and not isinstance(value, bool)
            findings[name] = Known(float(value) if is_number else value)
    return History(as_of, findings, deceased)


def a_small_history(**values: Any) -> History:
    """Return a history for the small regime; what is not named is missing."""
    everything: Json = dict.fromkeys(("x", "y", "p", "q", "risk")) | values
    return a_history(**everything)
