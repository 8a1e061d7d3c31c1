"""Only what the record knew by the instant counts, and only the newest version of it."""

from typing import Any

import pytest
from builders.records import (
    ACTIONS,
    AS_OF,
    HYPERTENSION,
    LIFESTYLE,
    LISINOPRIL,
    SBP,
    a_condition,
    a_prescription,
    a_reading,
    a_record,
    a_variable,
    advice,
    at,
    but,
    find,
    reason_of,
    value_of,
)

from cds_engine.history.event import Event, Gap, SetAside
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import History, Missing
from cds_engine.vocabulary.variable import Variable

LATEST = a_variable()


def version(number: int, sbp: float, recorded: str, status: str = "final") -> Event:
    return a_reading(
        sbp=sbp,
        at="2025-06-01T09:00",
        source="Observation/1",
        version=(number, ""),
        recorded=recorded,
        status=status,
    )


FIRST = version(1, 150, "2025-06-01T10:00")
AMENDED = version(2, 130, "2025-06-05T10:00", "amended")
WITHDRAWN = version(3, 130, "2025-06-10T10:00", "entered-in-error")


class TestVersions:
    """A newer version takes the place of an older one from the moment it is recorded."""

    @pytest.mark.parametrize(
        ("as_of", "expected"),
        [
            ("2025-06-01T09:59", "absent"),
            ("2025-06-01T10:00", 150),
            ("2025-06-05T09:59", 150),
            ("2025-06-05T10:00", 130),
            ("2025-06-10T09:59", 130),
            ("2025-06-10T10:00", "absent"),
        ],
    )
    def test_rl_15_history_knows_each_only_from_when_it_was_recorded(
        self, as_of: str, expected: float | str
    ) -> None:
        found = find(LATEST, FIRST, AMENDED, WITHDRAWN, as_of=at(as_of))
        assert (found.reason if isinstance(found, Missing) else found.value) == expected

    def test_rl_14_an_error_takes_the_value_back_and_is_named(self) -> None:
        other = a_reading(sbp=120, at="2025-05-20T09:00")
        history = taken({"x": LATEST}, FIRST, WITHDRAWN, other)
        assert history.state() == {"x": 120}
        assert history.set_aside == (("Observation/1", "entered-in-error"),)

    def test_a_later_number_wins_whatever_the_times_say(self) -> None:
        late = version(1, 150, "2025-06-10T10:00")
        assert value_of(LATEST, late, AMENDED) == 130

    def test_without_numbers_the_one_recorded_last_wins(self) -> None:
        first = but(FIRST, version=(0, ""))
        again = but(AMENDED, version=(0, ""))
        gone = but(WITHDRAWN, version=(0, ""))
        assert value_of(LATEST, again, first) == 130
        assert reason_of(LATEST, gone, again, first) == "absent"

    def test_two_contents_of_one_version_conflict(self) -> None:
        assert reason_of(LATEST, FIRST, but(FIRST, value=130.0)) == "conflicting"
        assert reason_of(LATEST, FIRST, but(FIRST, unit=None)) == "unit"

    def test_a_version_may_move_a_reading_in_time(self) -> None:
        moved = but(AMENDED, time=a_reading(at="2024-01-01T09:00").time)
        assert reason_of(a_variable(within="P30D"), FIRST, moved) == "stale"

    def test_a_version_may_drop_a_component(self) -> None:
        panel = [
            but(FIRST, codes=(SBP,)),
            but(FIRST, codes=("loinc|8462-4",), value=90.0),
            but(AMENDED, codes=("loinc|8462-4",), value=80.0),
        ]
        assert reason_of(LATEST, *panel) == "absent"
        assert value_of(a_variable(codes=["loinc|8462-4"]), *panel) == 80


def taken(variables: dict[str, Variable], *events: Event, **record: object) -> History:
    taker = HistoryTaker(variables, ACTIONS)
    return taker.take(a_record(*events, **record), AS_OF)  # type: ignore[arg-type]


def test_the_same_observation_from_two_searches_counts_once() -> None:
    reading = a_reading(sbp=150)
    for take in ("count", "mean"):
        variable = a_variable(take=take, within="P30D")
        assert find(variable, reading, but(reading)) == find(variable, reading)


def test_an_event_with_two_codes_of_one_variable_counts_once() -> None:
    variable = a_variable("condition", codes=[HYPERTENSION, "snomed|2"])
    found = find(variable, but(a_condition(), codes=(HYPERTENSION, "snomed|2")))
    assert len(found.readings) == 1


def test_one_event_may_speak_for_several_variables() -> None:
    variables = {"latest": LATEST, "count": a_variable(take="count", within="P30D")}
    assert taken(variables, a_reading(sbp=150)).state() == {"latest": 150, "count": 1}


def test_what_the_adapter_set_aside_is_kept_beside_what_the_history_did() -> None:
    aside = (SetAside("Observation/9", "status 'bogus' is unknown"),) * 2
    history = taken({"x": LATEST}, WITHDRAWN, set_aside=aside)
    assert history.set_aside == (
        ("Observation/1", "entered-in-error"),
        ("Observation/9", "status 'bogus' is unknown"),
    )


class TestGaps:
    """A search that failed or was cut short is not the same as none found."""

    CONDITION = a_variable("condition", absent=False)

    @pytest.mark.parametrize(
        "gap",
        ["*", "x", "kind:condition", f"condition:{HYPERTENSION}", f"code:{HYPERTENSION}"],
    )
    def test_rl_09_a_gap_that_may_hide_a_record_leaves_the_variable_open(self, gap: str) -> None:
        gaps = {gap: "the search was cut short"}
        assert find(self.CONDITION, gaps=gaps) == Missing("incomplete", "the search was cut short")
        assert reason_of(self.CONDITION, a_condition(), gaps=gaps) == "incomplete"

    @pytest.mark.parametrize(
        "gap",
        ["y", "kind:observation", "code:snomed|1", "condition:snomed|1", "kind:patient",
         f"allergy:{HYPERTENSION}", f"observation:{HYPERTENSION}", f"procedure:{HYPERTENSION}"],
    )  # fmt: skip
    def test_a_gap_elsewhere_does_not(self, gap: str) -> None:
        assert value_of(self.CONDITION, gaps={gap: "the search failed"}) is False

    @pytest.mark.parametrize("gap", ["kind:request", "kind:dispense", "kind:statement"])
    def test_medications_are_looked_for_in_several_places(self, gap: str) -> None:
        assert reason_of(a_variable("medication"), gaps={gap: "it failed"}) == "incomplete"

    @pytest.mark.parametrize(
        "gap",
        ["kind:service", "kind:request", f"code:{LIFESTYLE}", "code:rxnorm|314076",
         f"service:{LIFESTYLE}", "dispense:rxnorm|314076"],
    )  # fmt: skip
    def test_the_course_is_open_where_an_action_may_be_hidden(self, gap: str) -> None:
        gaps = {gap: "it failed"}
        assert reason_of(a_variable("course"), a_prescription(), gaps=gaps) == "incomplete"
        before = a_variable(before="lifestyle", within="P30D")
        events = advice(), a_reading(sbp=150, at="2025-02-20")
        assert value_of(before, *events) == 150
        assert reason_of(before, *events, gaps=gaps) == "incomplete"

    @pytest.mark.parametrize("kind", ["allergy", "condition", "observation", "encounter"])
    def test_a_code_of_an_action_may_be_missing_elsewhere_and_the_course_stays(
        self, kind: str
    ) -> None:
        gaps = {f"{kind}:{code}": "it failed" for code in (LIFESTYLE, LISINOPRIL)}
        assert value_of(a_variable("course"), gaps=gaps) == "none"
        allergic = a_variable("allergy", codes=[LISINOPRIL], absent=False)
        assert (find(allergic, gaps=gaps) == Missing("incomplete", "it failed")) is (
            kind == "allergy"
        )

    def test_the_orders_that_are_missing_hide_no_reading_under_their_code(self) -> None:
        before = a_variable(codes=[LISINOPRIL], unit="1", take="count")
        assert value_of(before, gaps={f"request:{LISINOPRIL}": "it failed"}) == 0

    @pytest.mark.parametrize("key", ["*", "x", "kind:condition", f"condition:{HYPERTENSION}"])
    def test_a_gap_with_a_time_holds_from_then_on(self, key: str) -> None:
        since = at("2025-06-10T09:00")
        missing: dict[str, Any] = {
            "gaps": {key: "o1 and o2"},
            "gap_times": {key: (Gap(since, "o1"),)},
        }
        assert value_of(self.CONDITION, as_of=since - 1, **missing) is False
        assert find(self.CONDITION, as_of=since, **missing) == Missing("incomplete", "o1")

    def test_a_gap_that_grows_is_told_as_it_was_then(self) -> None:
        first, second = at("2025-06-10T09:00"), at("2025-06-12T09:00")
        grown = {"*": (Gap(first, "o1"), Gap(second, "o1; o2"))}
        for as_of, words in ((first, "o1"), (second - 1, "o1"), (second, "o1; o2")):
            missing = find(self.CONDITION, gaps={"*": "o1; o2"}, gap_times=grown, as_of=as_of)
            assert missing == Missing("incomplete", words)

    def test_another_gap_without_a_time_holds_all_along(self) -> None:
        later = {"kind:condition": (Gap(AS_OF + 1, "o1"),)}
        gaps = {"kind:condition": "o1", f"condition:{HYPERTENSION}": "no file"}
        missing = Missing("incomplete", "no file")
        assert find(self.CONDITION, gaps=gaps, gap_times=later) == missing

    def test_a_gap_under_the_code_of_a_panel_is_one_of_its_components(self) -> None:
        variable = a_variable(panels=["loinc|85354-9"])
        gaps = {"observation:loinc|85354-9": "it failed"}
        assert reason_of(variable, a_reading(sbp=150), gaps=gaps) == "incomplete"

    def test_the_first_gap_speaks(self) -> None:
        gaps = {"kind:condition": "second", "*": "first"}
        assert find(self.CONDITION, gaps=gaps) == Missing("incomplete", "first")


def test_a_condition_recorded_later_was_not_known_then() -> None:
    condition = a_condition(since="2020-01-01", recorded="2025-06-10T09:00")
    variable = a_variable("condition", absent=False)
    assert value_of(variable, condition, as_of=at("2025-06-01T09:00")) is False
    assert value_of(variable, condition) is True
