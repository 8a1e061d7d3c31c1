"""A whole replay: every row is what the regime says of what was known, and of nothing else."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from builders.records import (
    AS_OF,
    HYPERTENSION,
    LIFESTYLE,
    LISINOPRIL,
    SBP,
    a_bundle,
    a_condition,
    a_document,
    a_person,
    a_reading,
    advice,
    an_event,
    at,
    but,
    mm_hg,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event, Record, Time
from cds_engine.replay.engine import Asked, Decided, ScalarEngine, reasons_of
from cds_engine.replay.points import Patient, Point, record_at
from cds_engine.replay.settings import ReplayError, ReplaySettings
from cds_engine.replay.shard import ShardRows, place_of, replay_shard, shard_of
from cds_engine.vocabulary.time import DAY, HOUR

BUNDLE = a_bundle()
OTHER = a_bundle(version="1.1.0", population="age >= 65 and hypertension")
AT_END = ReplaySettings(end=True, recheck=1.0)

_HOURS = st.integers(-300 * 24, 0).map(lambda hours: AS_OF + hours * HOUR)
_SHAPES = st.sampled_from(
    [
        ("observation", SBP, "final"), ("observation", SBP, "final"),
        ("condition", HYPERTENSION, "active"), ("request", LISINOPRIL, "active"),
        ("service", LIFESTYLE, "active"), ("procedure", LIFESTYLE, "completed"),
    ]
)  # fmt: skip


_NEWER = st.sampled_from(["entered-in-error", "active"])


@st.composite
def resources(draw: st.DrawFn, number: int) -> Event:
    kind, code, status = draw(_SHAPES)
    when, wait = draw(_HOURS), draw(st.sampled_from([0, 0, HOUR, 40 * DAY]))
    day = draw(st.booleans()) and draw(st.booleans())
    start = when - when % DAY
    return Event(
        kind=kind,  # type: ignore[arg-type]
        codes=(code,),
        time=Time(start, start + DAY - 1, "day") if day else Time(when, when),
        recorded=when + wait,
        source=f"{kind}/{number}",
        version=(1, ""),
        status=draw(st.sampled_from([status, status, status, "unknown", "entered-in-error"])),
        value=float(draw(st.integers(90, 190))) if kind == "observation" else None,
        unit=mm_hg(),
    )


@st.composite
def visits(draw: st.DrawFn, number: int) -> Event:
    start = draw(_HOURS)
    end = None if draw(st.integers(0, 5)) == 0 else Time(start + HOUR, start + HOUR)
    return Event(
        kind="encounter", codes=("act|AMB",), time=Time(start, start), recorded=start,
        source=f"Encounter/{number}", status="finished", until=end,
    )  # fmt: skip


@st.composite
def patients(draw: st.DrawFn, name: str = "p1", first: int = 0) -> Patient:
    found = [draw(resources(first + n)) for n in range(draw(st.integers(0, 10)))]
    seen = [draw(visits(first + n)) for n in range(draw(st.integers(1, 4)))]
    written = {
        (event.source, event.version): draw(st.sampled_from(seen)).source
        for event in (*found, *seen)
        if event.kind in ("request", "service", "encounter") and draw(st.booleans())
    }
    person = a_person()
    record = Record(type(person)(name, person.born, person.sex), (*found, *seen))
    return Patient(record, written)


def row_dicts(shard: ShardRows) -> list[dict[str, Any]]:
    names = list(shard.columns)
    values = [shard.columns[name].values for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def known_then(row: dict[str, Any]) -> dict[str, Any]:
    """Return what of a row was decided on and decided; action and outcome come later."""
    return {
        name: value
        for name, value in row.items()
        if not name.startswith(("taken.", "against.taken", "outcome."))
    }


@settings(max_examples=150)
@given(patients(), patients(first=100), st.integers(0, 8), st.data())
def test_what_is_recorded_after_a_decision_point_never_changes_it(
    patient: Patient, more: Patient, which: int, data: st.DataObject
) -> None:
    bundles = (BUNDLE, OTHER)
    plain = ReplaySettings(end=data.draw(st.booleans()), recheck=0.0)
    before = row_dicts(replay_shard([patient], bundles, plain))
    instants = sorted({row["key.as_of"] for row in before}) or [AS_OF]
    cut: int = instants[which % len(instants)]
    late = [but(event, recorded=max(event.recorded, cut + 1)) for event in more.record.events]
    # a newer version takes back what it is of, or names another encounter
    newer = [
        but(event, version=(2, ""), recorded=cut + 1, status=data.draw(_NEWER))
        if event.kind != "encounter"
        else but(event, version=(2, ""), recorded=cut + 1)
        for event in patient.record.events
    ]
    visits = [event.source for event in patient.record.events if event.kind == "encounter"]
    moved = {
        (event.source, event.version): data.draw(st.sampled_from(visits))
        for event in newer
        if data.draw(st.booleans())
    }
    events = [*patient.record.events, *late, *newer[: data.draw(st.integers(0, len(newer)))]]
    grown = Patient(
        Record(patient.record.person, tuple(data.draw(st.permutations(events)))),
        {**patient.encounters, **more.encounters, **moved},
    )
    after = {
        (row["key.encounter"], row["key.as_of"]): known_then(row)
        for row in row_dicts(replay_shard([grown], bundles, plain))
    }
    for row in before:
        if row["key.as_of"] <= cut:
            assert after[row["key.encounter"], row["key.as_of"]] == known_then(row)


@settings(max_examples=60)
@given(patients())
def test_every_row_is_what_the_regime_decides_of_the_record_without_its_own_orders(
    patient: Patient,
) -> None:
    shard = replay_shard([patient], [BUNDLE], AT_END)
    assert shard.differences == ()
    assert shard.checked == shard.rows
    for row in row_dicts(shard):
        point = Point("", row["key.as_of"], frozenset(row["key.withheld"]))
        _, decision = Regime(BUNDLE).decide(record_at(patient.record, point), point.as_of)
        assert (row["decision.outcome"], row["decision.stage"], row["decision.action"]) == (
            decision.outcome, decision.stage, decision.action,
        )  # fmt: skip
        assert row["decision.candidates"] == decision.candidates
        assert row["decision.reasons"] == reasons_of(decision)
        assert {name: row[name] for name in BUNDLE.variables} == decision.state


@settings(max_examples=25)
@given(st.data(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_rows_do_not_depend_on_how_patients_are_ordered_or_divided(
    data: st.DataObject, random: Random, shards: int
) -> None:
    some = [data.draw(patients(f"p{n}")) for n in range(4)]
    whole = row_dicts(replay_shard(some, [BUNDLE, OTHER], AT_END))
    random.shuffle(some)
    divided = [
        row
        for shard in range(shards)
        for row in row_dicts(
            replay_shard(
                [p for p in some if shard_of(p.key, shards) == shard], [BUNDLE, OTHER], AT_END
            )
        )
    ]
    assert divided == whole


def a_cohort() -> list[Patient]:
    visit = an_event(
        "encounter", ("act|AMB",), "2025-03-01T09:00", source="Encounter/1", status="finished",
        until="2025-03-01T09:30",
    )  # fmt: skip
    order = advice("2025-03-01T09:20", source="ServiceRequest/1")
    events = (a_condition(), a_reading(sbp=150, at="2025-03-01T09:10"), visit, order)
    measured = a_reading(sbp=132, at="2025-12-01T09:00")
    return [Patient(Record(a_person(), (*events, measured)))]


def test_a_row_says_what_was_known_advised_done_and_came_of_it() -> None:
    [row] = row_dicts(replay_shard(a_cohort(), [BUNDLE, OTHER], AT_END))
    assert row["key.withheld"] == ["ServiceRequest/1"]
    assert (row["key.as_of"], row["key.digest"]) == (at("2025-03-01T09:30"), BUNDLE.digest)
    assert (row["sbp"], row["sbp.state"]) == (150.0, "known")
    assert (row["potassium"], row["potassium.state"]) == (None, "absent")
    assert (row["uncontrolled"], row["step"]) == (True, "none")
    assert (row["decision.outcome"], row["decision.action"]) == ("recommendation", "lifestyle")
    assert (row["taken.action"], row["taken.state"]) == ("lifestyle", "seen")
    assert (row["outcome.value"], row["outcome.at"]) == (132.0, at("2025-12-01T09:00"))
    assert (row["against.outcome"], row["against.code"]) == ("not_applicable", "out-of-population")
    assert row["against.digest"] == OTHER.digest


def test_a_derived_variable_that_its_inputs_leave_open_is_unknown() -> None:
    [patient] = a_cohort()
    record = Record(patient.record.person, tuple(
        event for event in patient.record.events if event.kind != "observation"
    ))  # fmt: skip
    [row] = row_dicts(replay_shard([Patient(record)], [BUNDLE], AT_END))
    assert (row["uncontrolled"], row["uncontrolled.state"]) == (None, "unknown")
    assert "missing:sbp" in row["decision.reasons"]


def test_the_horizon_can_count_from_the_start_of_the_regime() -> None:
    [patient] = a_cohort()
    later = an_event(
        "encounter", ("act|AMB",), "2025-06-01T09:00", source="Encounter/2", status="finished",
        until="2025-06-01T09:30",
    )  # fmt: skip
    patient = Patient(Record(patient.record.person, (*patient.record.events, later)))
    own = row_dicts(replay_shard([patient], [BUNDLE], AT_END))
    start = ReplaySettings(end=True, from_start=True)
    common = row_dicts(replay_shard([patient], [BUNDLE], start))
    assert [row["outcome.value"] for row in own] == [132.0, None]
    assert [row["outcome.value"] for row in common] == [132.0, 132.0]


def test_where_the_horizon_counts_from_is_the_aims_to_say_unless_the_settings_do() -> None:
    [patient] = a_cohort()
    later = an_event(
        "encounter", ("act|AMB",), "2025-06-01T09:00", source="Encounter/2", status="finished",
        until="2025-06-01T09:30",
    )  # fmt: skip
    patient = Patient(Record(patient.record.person, (*patient.record.events, later)))
    bundle = a_bundle(aim=a_document()["aim"] | {"from": "start"})
    each = ReplaySettings(end=True, from_start=False)
    of_aim = row_dicts(replay_shard([patient], [bundle], AT_END))
    told = row_dicts(replay_shard([patient], [bundle], each))
    assert [row["outcome.value"] for row in of_aim] == [132.0, 132.0]
    assert [row["outcome.value"] for row in told] == [132.0, None]


class Lying(ScalarEngine):
    """Says of every other row what is not so."""

    def decide(
        self, bundle: RuleBundle, patients: Sequence[Patient], asked: Sequence[Asked]
    ) -> Decided:
        decided = super().decide(bundle, patients, asked)
        decided.outcome[::2] = ["no_change"] * len(decided.outcome[::2])
        return decided


def test_an_engine_that_decides_otherwise_is_found_out() -> None:
    shard = replay_shard(a_cohort(), [BUNDLE], AT_END, Lying())
    assert shard.differences == (f"p1 Encounter/1 {at('2025-03-01T09:30')}",)


def test_the_share_that_is_decided_again_is_about_the_one_asked_for() -> None:
    some = [
        Patient(Record(type(p.record.person)(f"p{n}"), p.record.events))
        for n in range(1000)
        for p in a_cohort()
    ]
    shard = replay_shard(some, [BUNDLE], ReplaySettings(end=True, recheck=0.05))
    assert 30 <= shard.checked <= 70


def test_places_fill_the_space_and_shards_hold_successive_ones() -> None:
    names = sorted((f"p{n}" for n in range(500)), key=place_of)
    shards = [shard_of(name, 7) for name in names]
    assert shards == sorted(shards)
    assert set(shards) == set(range(7))


@pytest.mark.parametrize("count", [0, 3])
def test_no_bundle_or_three_are_refused(count: int) -> None:
    with pytest.raises(ReplayError, match=f"one rule bundle or two, not {count}"):
        replay_shard([], [BUNDLE] * count, AT_END)


def test_no_patient_gives_a_table_without_rows() -> None:
    shard = replay_shard([], [BUNDLE], AT_END)
    assert shard.rows == 0
    assert all(not column.values for column in shard.columns.values())
