"""Deciding all points together gives what deciding them one by one gives, in every row."""

from collections.abc import Sequence
from typing import Any

import pytest
from builders.messy_records import KINDS_OF_MESS, draw_case
from builders.records import (
    AS_OF,
    a_bundle,
    a_condition,
    a_reading,
    a_record,
    advice,
    at,
)

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Record
from cds_engine.replay.columnar import ColumnarEngine
from cds_engine.replay.engine import Asked, Decided, ScalarEngine
from cds_engine.replay.points import Patient, Point
from cds_engine.vocabulary.time import DAY

BUNDLE = a_bundle()


def rows(decided: Decided) -> list[Any]:
    count = range(len(decided.outcome))
    return [[(type(part), repr(part)) for part in decided.row(row)] for row in count]


def agree(
    bundle: RuleBundle, records: Sequence[Record], points: Sequence[tuple[int, Point]]
) -> Decided:
    """Ask both engines the same, and compare everything that they say."""
    patients = [Patient(record) for record in records]
    asked = [Asked(place, point) for place, point in points]
    told = ColumnarEngine().decide(bundle, patients, asked)
    expected = ScalarEngine().decide(bundle, patients, asked)
    assert rows(told) == rows(expected)
    assert list(told.values) == list(expected.values)
    return told


@pytest.mark.parametrize("mess", list(KINDS_OF_MESS))
@pytest.mark.parametrize("seed", range(6))
def test_engines_agree_on_messy_records(mess: str, seed: int) -> None:
    records, drawn = draw_case(seed, KINDS_OF_MESS[mess], 30)
    points = [(place, Point("", as_of)) for place, as_of in drawn]
    agree(BUNDLE, records, points)


@pytest.mark.parametrize("seed", range(6))
def test_engines_agree_on_what_an_encounter_wrote_itself(seed: int) -> None:
    records, drawn = draw_case(seed, KINDS_OF_MESS["all at once"], 30)
    points = []
    for place, as_of in drawn:
        sources = sorted({event.source for event in records[place].events})
        points.append((place, Point("Encounter/1", as_of, frozenset(sources[: seed + 1]))))
    agree(BUNDLE, records, points)


PATIENT = a_record(a_condition(), a_reading(sbp=150.0), advice())


def test_a_version_that_is_not_in_force_is_decided_as_the_service_would() -> None:
    bundle = a_bundle(effective_from="2025-06-01", expires="2025-06-10")
    days = [
        at("2025-05-31T23:00"),
        at("2025-06-01T00:00"),
        at("2025-06-10T23:59"),
        AS_OF + DAY * 60,
    ]
    told = agree(bundle, [PATIENT], [(0, Point("", day)) for day in days])
    assert told.code[0] == "not-yet-effective"
    assert told.code[-1] == "expired-bundle"
    assert told.reasons[0] == ("not-yet-effective",)
    assert not {"not-yet-effective", "expired-bundle"}.intersection(told.code[1:3])


def test_equal_actions_stand_in_the_order_of_the_stage() -> None:
    bundle = a_bundle(
        stages=[
            {
                "stage": "baseline", "when": "age >= 0", "choose": ["lifestyle", "monitor"],
                "rule": [{"otherwise": ["monitor", "lifestyle"]}],
            }
        ]
    )  # fmt: skip
    told = agree(bundle, [PATIENT], [(0, Point("", AS_OF))])
    assert told.candidates == [("lifestyle", "monitor")]


def test_reasons_name_what_is_missing_in_each_row() -> None:
    without = a_record(a_condition())
    old = a_record(a_condition(), a_reading(sbp=150.0, at="2024-06-01T08:00"))
    told = agree(BUNDLE, [without, old], [(0, Point("", AS_OF)), (1, Point("", AS_OF))])
    assert told.reasons == [("missing:sbp",), ("stale:sbp",)]


def test_no_question_has_no_answer() -> None:
    told = agree(BUNDLE, [PATIENT], [])
    assert told.outcome == []


def test_both_versions_of_a_comparison_are_answered_from_one_table() -> None:
    engine = ColumnarEngine()
    patients, asked = [Patient(PATIENT)], [Asked(0, Point("", AS_OF))]
    other = a_bundle(version="1.1.0", population="age >= 65 and hypertension")
    first, second = (engine.decide(one, patients, asked) for one in (BUNDLE, other))
    expected = [ScalarEngine().decide(one, patients, asked) for one in (BUNDLE, other)]
    assert [rows(first), rows(second)] == [rows(one) for one in expected]


def test_histories_of_last_entries_are_those_of_the_patients_decided_about() -> None:
    engine = ColumnarEngine()
    points = [Asked(0, Point("Encounter/1", AS_OF, frozenset({PATIENT.events[0].source})))]
    engine.decide(BUNDLE, [Patient(PATIENT)], points)
    records, histories = engine.histories(BUNDLE, lambda _: AS_OF)
    assert list(records) == [PATIENT]
    assert len(histories) == 1
    assert histories.columns["hypertension"].at(0) is True
