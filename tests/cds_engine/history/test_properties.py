"""H_t depends on nothing but what was known at t."""

import os
import time as clock
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from random import Random

from builders.records import (
    ACTIONS,
    AS_OF,
    HYPERTENSION,
    LIFESTYLE,
    LISINOPRIL,
    SBP,
    a_person,
    a_variable,
    but,
    mm_hg,
    time,
    ucum,
)
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.history.event import Event, Gap, Record, Time
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import History, Missing
from cds_engine.vocabulary.time import DAY, HOUR
from cds_engine.vocabulary.value import Span

VARIABLES = {
    "age": a_variable("patient.age", unit="a"),
    "latest": a_variable(within="P30D", agree=2),
    "earliest": a_variable(take="earliest"),
    "mean": a_variable(take="mean", within="P6M", agree=2),
    "min": a_variable(take="min", within="P6M", agree=2),
    "max": a_variable(take="max", within="P6M", plausible=[60, 280]),
    "count": a_variable(take="count", within="P30D"),
    "change": a_variable(take="change", within="P1Y", agree=200),
    "slope": a_variable(take="slope", within="P1Y", agree=200),
    "waited": a_variable(take="elapsed", unit="d"),
    "before": a_variable(before="add_ace", within="P3M", agree=200),
    "present": a_variable("condition", absent=False),
    "since": a_variable("condition", take="elapsed", unit="mo"),
    "active": a_variable("medication"),
    "ever": a_variable("medication", take="ever", within="P1Y"),
    "adherence": a_variable("medication", take="adherence", within="P6M"),
    "step": a_variable("course"),
    "weeks": a_variable("course", take="elapsed", unit="wk"),
    "visits": a_variable("encounter", take="count", within="P1Y"),
}
TAKER = HistoryTaker(VARIABLES, ACTIONS)
EXACT = {"latest", "count", "waited", "step", "weeks", "present", "active"}

_INSTANTS = st.integers(-400 * 24, 30 * 24).map(lambda hours: AS_OF + hours * HOUR)


@st.composite
def times(draw: st.DrawFn) -> Time | None:
    at = draw(_INSTANTS)
    kind = draw(st.sampled_from(["instant", "instant", "day", "month", "none"]))
    if kind == "day":
        return Time(at - at % DAY, at - at % DAY + DAY - 1, "day")
    if kind == "month":
        return time(draw(st.sampled_from(["2025-05", "2025-06", "2025-01"])))
    return None if kind == "none" else Time(at, at)


KINDS = st.sampled_from(
    [
        ("observation", SBP), ("observation", SBP), ("condition", HYPERTENSION),
        ("request", LISINOPRIL), ("dispense", LISINOPRIL), ("service", LIFESTYLE),
        ("encounter", "act|AMB"),
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.integers(40, 300).map(float), st.just(None), st.just(Span(high=100.0, high_open=True))
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind, code = draw(KINDS)
    when = draw(times())
    return Event(
        kind=kind,  # type: ignore[arg-type]
        codes=(code,),
        time=when,
        recorded=draw(_INSTANTS),
        source=f"{kind}/{draw(st.integers(0, 5))}",
        version=(draw(st.integers(0, 2)), ""),
        status=draw(
            st.sampled_from(["final", "active", "active", "final", "stopped", "entered-in-error"])
        ),
        value=draw(VALUES) if kind == "observation" else None,
        unit=draw(st.sampled_from([mm_hg(), mm_hg(), ucum("kPa"), None])),
        until=draw(times()) if kind == "condition" else None,
        ended=draw(st.booleans()),
        doubt=draw(st.booleans()) and draw(st.booleans()),
        days=draw(st.sampled_from([None, 30.0, 14.0])),
    )


RECORDS = st.lists(events(), max_size=12)


def history(found: list[Event], as_of: int = AS_OF) -> History:
    return TAKER.take(Record(a_person(), tuple(found)), as_of)


@given(RECORDS, st.randoms(use_true_random=False), st.lists(st.integers(0, 11), max_size=4))
def test_rl_15_order_and_duplicates_never_matter(
    found: list[Event], random: Random, again: list[int]
) -> None:
    more = [*found, *(but(found[i]) for i in again if i < len(found))]
    random.shuffle(more)
    assert history(more) == history(found)


@given(RECORDS, RECORDS)
def test_what_is_recorded_later_never_changes_what_was_known(
    found: list[Event], later: list[Event]
) -> None:
    new = [but(event, recorded=max(event.recorded, AS_OF + 1)) for event in later]
    assert history([*found, *new]) == history(found)


GAPS = st.dictionaries(
    st.sampled_from(
        ["*", "latest", "kind:observation", "kind:request", "kind:patient", f"code:{LISINOPRIL}",
         f"request:{LISINOPRIL}", f"observation:{SBP}", f"condition:{HYPERTENSION}"]
    ),
    st.one_of(st.none(), st.sets(_INSTANTS, min_size=1, max_size=3)),
    max_size=4,
)  # fmt: skip
"""Key of a gap -> the instants at which it grew; None for one that always was."""


def with_gaps(found: list[Event], gaps: dict[str, set[int] | None], until: int) -> Record:
    """Return a record that was written at ``until``."""
    times = {
        key: tuple(Gap(at, f"as of {at}") for at in sorted(grown) if at <= until)
        for key, grown in gaps.items()
        if grown is not None
    }
    always = {key: "always" for key, grown in gaps.items() if grown is None}
    told = {key: grown[-1].words for key, grown in times.items() if grown}
    dated = {key: grown for key, grown in times.items() if grown}
    return Record(a_person(), tuple(found), gaps=always | told, gap_times=dated)


@given(RECORDS, GAPS)
def test_what_is_missing_later_never_changes_what_was_known(
    found: list[Event], gaps: dict[str, set[int] | None]
) -> None:
    then, in_the_end = (with_gaps(found, gaps, until) for until in (AS_OF, AS_OF + 99 * DAY))
    assert TAKER.take(in_the_end, AS_OF) == TAKER.take(then, AS_OF)


@given(RECORDS, GAPS)
def test_a_gap_is_the_only_thing_that_a_gap_changes(
    found: list[Event], gaps: dict[str, set[int] | None]
) -> None:
    whole, broken = history(found), TAKER.take(with_gaps(found, gaps, AS_OF), AS_OF)
    for name, finding in broken.findings.items():
        assert finding == whole.findings[name] or (
            isinstance(finding, Missing) and finding.reason == "incomplete"
        )


@given(RECORDS)
def test_everything_known_is_known_of_something_recorded_by_then(found: list[Event]) -> None:
    known = {event.source for event in found if event.recorded <= AS_OF}
    taken = history(found)
    named = {reading.source for f in taken.findings.values() for reading in f.readings}
    assert named <= known | {"Patient"}
    assert {source for source, _ in taken.set_aside} <= known


@given(RECORDS, st.integers(1, 2000))
def test_the_same_whole_days_later_come_to_the_same(found: list[Event], days: int) -> None:
    def moved(when: Time | None) -> Time | None:
        shift = days * DAY
        return when and Time(when.start + shift, when.end + shift, when.precision)

    later = [
        but(e, time=moved(e.time), until=moved(e.until), recorded=e.recorded + days * DAY)
        for e in found
    ]
    now, then = history(found).state(), history(later, AS_OF + days * DAY).state()
    assert {name: now[name] for name in EXACT} == {name: then[name] for name in EXACT}


@given(RECORDS)
def test_every_history_has_every_variable_with_a_value_or_a_reason(found: list[Event]) -> None:
    taken = history(found)
    assert set(taken.findings) == set(VARIABLES)
    for finding in taken.findings.values():
        if isinstance(finding, Missing):
            assert finding.detail
        elif isinstance(finding.value, Span):
            assert finding.value.low < finding.value.high or finding.value == Span(
                finding.value.low, finding.value.low
            )
        else:
            assert isinstance(finding.value, bool | str) or isfinite(finding.value)


@contextmanager
def process_zone(zone: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    clock.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        os.environ.update({} if before is None else {"TZ": before})
        clock.tzset()


@given(RECORDS)
def test_rl_12_the_time_zone_of_the_process_never_matters(found: list[Event]) -> None:
    here = history(found)
    for zone in ("UTC", "America/Los_Angeles", "Pacific/Kiritimati"):
        with process_zone(zone):
            assert history(found) == here
