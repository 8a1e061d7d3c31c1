"""What is stored of a decision makes it again, bit for bit, and names nobody."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from builders.records import (
    AS_OF,
    a_bundle,
    a_condition,
    a_history,
    a_person,
    a_reading,
    a_record,
    a_small_bundle,
    advice,
)
from hypothesis import given
from hypothesis import strategies as st

from cds_engine import SEMANTICS_VERSION
from cds_engine.decide.decide import decide
from cds_engine.decide.record import (
    canonical,
    decide_again,
    decision_to_plain,
    history_to_plain,
    plain_to_history,
)
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event
from cds_engine.history.value import Finding, History, Known, Missing, MissingReason, Reading
from cds_engine.vocabulary.value import Span

BUNDLE = a_bundle()
SITUATIONS: dict[str, tuple[Event, ...]] = {
    "recommended": (a_condition(), a_reading(sbp=152.4)),
    "unchanged": (a_condition(), a_reading(sbp=120)),
    "missing": (a_condition(),),
    "stale": (a_condition(), a_reading(sbp=152, at="2025-01-01T09:00")),
    "outside": (a_reading(sbp=152),),
    "no stage": (a_condition(), a_reading(sbp=152), advice("2025-06-01T09:00")),
    "barred": (a_condition(), a_reading(sbp=152), advice()),
    "a span": (a_condition(), a_reading(Span(low=150, low_open=True))),
    "in error": (a_condition(), a_reading(sbp=152, status="entered-in-error")),
    "vague": (a_condition(since=None), a_reading(sbp=152, at="2025-06")),
}


@pytest.mark.parametrize("events", SITUATIONS.values(), ids=SITUATIONS)
def test_pr_01_a_stored_decision_is_made_again_bit_for_bit(events: tuple[Event, ...]) -> None:
    history, decision = Regime(BUNDLE).decide(a_record(*events), AS_OF)
    stored = canonical(history_to_plain(history))
    again, plain = decide_again(BUNDLE, json.loads(stored))
    assert canonical(plain) == canonical(decision_to_plain(decision))
    assert plain_to_history(json.loads(stored)) == history
    assert again == decision


INSTANTS = st.integers(AS_OF - 10**15, AS_OF)
NUMBERS = st.floats(-1e12, 1e12, allow_nan=False).map(lambda number: round(number, 6) + 0.0)
SPANS = st.builds(
    Span,
    st.one_of(NUMBERS, st.just(float("-inf"))),
    st.one_of(NUMBERS, st.just(float("inf"))),
    st.booleans(),
    st.booleans(),
)
READINGS = st.lists(
    st.builds(Reading, st.text(max_size=20), st.none() | INSTANTS, st.none() | INSTANTS), max_size=3
).map(tuple)
REASONS: list[MissingReason] = [
    "absent", "stale", "unit", "implausible", "conflicting", "incomplete", "unresolved",
]  # fmt: skip
FINDINGS: st.SearchStrategy[Finding] = st.one_of(
    st.builds(
        Known, st.one_of(NUMBERS, st.booleans(), st.text(), SPANS), READINGS, st.text(max_size=9)
    ),
    st.builds(
        Missing, st.sampled_from(REASONS), st.text(max_size=9), READINGS, st.none() | INSTANTS
    ),
)
HISTORIES = st.builds(
    History,
    INSTANTS,
    st.dictionaries(st.text(min_size=1, max_size=9), FINDINGS, max_size=4),
    st.booleans(),
    st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
)


@given(HISTORIES)
def test_any_history_is_read_back_as_it_was_written(history: History) -> None:
    assert plain_to_history(json.loads(canonical(history_to_plain(history)))) == history


def test_everything_that_matters_is_stored() -> None:
    history, decision = Regime(BUNDLE).decide(a_record(a_condition(), a_reading(sbp=152)), AS_OF)
    plain = decision_to_plain(decision)
    assert plain["semantics"] == SEMANTICS_VERSION
    assert plain["digest"] == BUNDLE.digest
    assert (plain["regime"], plain["version"]) == ("stepped-care", "1.0.0")
    assert plain["path"][-1] == ["branch", "stages[0].rule[0]", True]
    assert plain["state"]["sbp"] == 152.0
    assert history.as_of == plain["as_of"]


def test_times_are_kept_as_distances_from_the_decision() -> None:
    history, _ = Regime(BUNDLE).decide(a_record(a_condition(), a_reading(sbp=152)), AS_OF)
    plain = history_to_plain(history)
    day = 86_400_000_000
    assert plain["findings"]["sbp"]["readings"][0][1:] == [5 * day, 5 * day]


def test_pr_07_nothing_beyond_the_variables_of_the_bundle_is_stored() -> None:
    canary = a_person("1970-03-01")
    events = a_condition(), a_reading(sbp=152), a_reading(999, codes=("loinc|secret",))
    history, decision = Regime(BUNDLE).decide(a_record(*events, person=canary), AS_OF)
    stored = canonical(history_to_plain(history)) + canonical(decision_to_plain(decision))
    for secret in (b"secret", b"999", b"p1", b"1970"):
        assert secret not in stored


def test_two_decisions_that_differ_are_written_differently() -> None:
    written = {
        canonical(decision_to_plain(Regime(BUNDLE).decide(a_record(*events), AS_OF)[1]))
        for events in SITUATIONS.values()
    }
    assert len(written) == len(SITUATIONS) - 1  # a reading in error is a missing one


def test_a_number_that_is_not_finite_is_never_written() -> None:
    with pytest.raises(ValueError, match="no value that could have been decided on"):
        history_to_plain(History(AS_OF, {"x": Known(float("nan"))}))


_AGAIN = """
import sys
from builders.records import a_bundle
from cds_engine.decide.record import canonical, decide_again
import json
print(canonical(decide_again(a_bundle(), json.loads(sys.stdin.read()))[1]).decode())
"""


@pytest.mark.parametrize("seed", ["0", "7"])
def test_rl_29_another_process_time_zone_and_hash_seed_decide_the_same(seed: str) -> None:
    history, decision = Regime(BUNDLE).decide(a_record(*SITUATIONS["barred"]), AS_OF)
    paths = [path for path in sys.path if path]
    printed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{_AGAIN}"],
        input=canonical(history_to_plain(history)).decode(),
        env={"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PATH": os.defpath},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed.strip().encode() == canonical(decision_to_plain(decision))


def test_scores_are_made_again_as_well() -> None:
    rule: Any = {"scores": {"a": {"terms": {"x": 0.1}}, "b": {"constant": 0.3}}, "margin": 0.1}
    bundle = a_small_bundle(rule)
    history = a_history(x=3.5, y=None, p=None, q=None, risk=None)
    decision = decide(bundle, history)
    plain = json.loads(canonical(history_to_plain(history)))
    assert decide_again(bundle, plain)[1] == decision_to_plain(decision)
    assert decision.outcome == "equipoise"
