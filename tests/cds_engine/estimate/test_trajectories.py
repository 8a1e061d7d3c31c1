"""A table has the layout that it is said to have, or is refused with every fault it has."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.trials import FIRST, SECOND, SPECS, a_table, read

from cds_engine.errors import EstimationError, TrajectoriesError
from cds_engine.estimate.rule import NO_DECISION
from cds_engine.estimate.trajectories import HistorySpec, Trajectories
from cds_engine.vocabulary.kind import Kind


def test_a_wide_table_becomes_stages_with_their_histories() -> None:
    found = read(a_table())
    first, second = found.stages
    assert len(found) == 10
    assert first.action.tolist() == [0, 1] * 5
    assert second.columns["first_action"].tolist() == ["diet", "drug"] * 5
    assert found.outcome.tolist() == a_table()["drop"].tolist()
    assert found.weights.tolist() == [1.0] * 10


def test_responders_have_no_second_decision_and_stay() -> None:
    second = read(a_table()).stages[1]
    assert np.flatnonzero(~second.decided).tolist() == [6, 7]
    assert second.action[6:8].tolist() == [NO_DECISION, NO_DECISION]
    assert not second.feasible[6:8].any()


def test_a_feasible_set_belongs_to_each_row() -> None:
    second = read(a_table()).stages[1]
    assert second.feasible[:6].tolist() == [[True, True, True]] * 4 + [[True, True, False]] * 2


def test_without_a_criterion_who_has_an_action_has_a_decision() -> None:
    second = replace(SECOND, when=None, variables=("egfr",))
    assert read(a_table(), (FIRST, second)).stages[1].decided.sum() == 8


def test_a_smaller_outcome_that_is_better_is_turned_once() -> None:
    found = read(a_table(), better="lower")
    assert found.outcome.tolist() == (-a_table()["drop"]).tolist()
    assert found.sign == -1
    assert found.layout()["mean_outcome"].min() > 0


def test_rewards_add_up_to_what_is_optimised() -> None:
    table = a_table(gain=np.arange(10.0))
    found = read(table, (replace(FIRST, reward="gain"), SECOND))
    assert found.outcome.tolist() == (table["drop"] + table["gain"]).tolist()
    assert found.stages[0].reward.tolist() == list(range(10))


def test_rewards_are_turned_with_the_outcome() -> None:
    found = read(a_table(gain=1.0), (replace(FIRST, reward="gain"), SECOND), better="lower")
    assert found.outcome.tolist() == (-a_table()["drop"] - 1).tolist()


def test_probabilities_by_design_are_shared_over_the_feasible_actions() -> None:
    odds = {"keep": 2.0, "add": 1.0, "switch": 1.0}
    known = read(a_table(), (FIRST, replace(SECOND, randomised=odds))).stages[1].propensity
    assert known is not None
    assert known[0].tolist() == [0.5, 0.25, 0.25]
    assert known[4] == pytest.approx([2 / 3, 1 / 3, 0])
    assert known[6].tolist() == [0, 0, 0]


def test_missing_outcomes_can_be_kept_to_be_weighted() -> None:
    table = a_table()
    table.loc[2, "drop"] = np.nan
    found = read(table, missing_outcomes="keep")
    assert found.observed.tolist() == [n != 2 for n in range(10)]
    with pytest.raises(EstimationError, match="drop is missing in 1 of 10 rows"):
        found.complete()
    assert read(a_table()).complete().observed.all()


def test_the_layout_counts_every_path() -> None:
    layout = read(a_table()).layout()
    assert layout["n"].sum() == 10
    alone = layout[(layout["first"] == "diet") & (layout["second"] == "-")]
    assert alone[["n", "mean_outcome", "missing"]].to_numpy().tolist() == [[1, 20.0, 0]]


def test_some_trajectories_can_be_taken() -> None:
    some = read(a_table(), weights=None).take(np.array([3, 1]))
    assert some.ids.tolist() == ["p3", "p1"]
    assert some.stages[0].columns["sbp"].tolist() == [171, 162]


def test_declared_kinds_are_used_for_criteria() -> None:
    table = a_table()
    table["responder"] = table["responder"].astype(int)
    kinds = {"responder": Kind("boolean", "responder")}
    assert read(table, kinds=kinds).stages[1].decided.sum() == 8
    with pytest.raises(TrajectoriesError, match=r"second\.when"):
        read(table)


def test_unit_and_name_of_the_outcome_are_kept() -> None:
    assert read(a_table(), unit="mm[Hg]").outcome_name == "drop (mm[Hg])"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_rows_and_columns_never_matters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = a_table()
    order = rng.permutation(10)
    mixed = table.iloc[order][list(rng.permutation(table.columns))]
    found, plain = read(mixed), read(table).take(order)
    assert found.ids.tolist() == plain.ids.tolist()
    for one, other in zip(found.stages, plain.stages, strict=True):
        assert (one.action == other.action).all()
        assert (one.feasible == other.feasible).all()
        assert {k: list(v) for k, v in one.columns.items()} == {
            k: list(v) for k, v in other.columns.items()
        }


def _with(column: str, row: int, value: Any) -> pd.DataFrame:
    table = a_table()
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return table.infer_objects() if column in {"drop", "egfr", "sbp", "sbp_later"} else table


OUTSIDE = r"second.second_action: 1 rows hold an action that is not feasible for them \(switch\)"
BAD_TABLES: dict[str, tuple[pd.DataFrame, str]] = {
    "no such column": (
        a_table().drop(columns="sbp"),
        r"first.sbp: the table has no such column; it has id, sex",
    ),
    "no outcome column": (a_table().drop(columns="drop"), "drop: the table has no such column"),
    "no row": (a_table().iloc[:0], "the table has no row"),
    "an unknown action": (
        _with("first_action", 3, "surgery"),
        r"first.first_action: 1 rows hold an action that the stage does not have \('surgery'\); it",
    ),
    "an action outside its feasible set": (_with("egfr", 2, 20.0), OUTSIDE),
    "an arm never seen": (
        a_table().replace({"second_action": {"switch": "add"}}),
        "second.second_action: none of 8 rows took 'switch'",
    ),
    "a decision without an action": (
        _with("second_action", 0, None),
        r"second.second_action: 1 rows have a decision here \(not responder\) but no action",
    ),
    "an action without a decision": (
        _with("second_action", 6, "keep"),
        r"second.second_action: 1 rows hold an action but have no decision \(not responder\)",
    ),
    "a missing outcome": (_with("drop", 1, np.nan), "drop: the outcome is missing in 1 of 10 rows"),
    "no outcome at all": (
        a_table(drop=np.nan), "drop: the outcome is missing in every one of 10 rows"),
    "an infinite outcome": (_with("drop", 1, np.inf), "drop: 1 values are infinite"),
    "an outcome of text": (a_table(drop="good"), "drop: must hold numbers, holds text"),
    "an infinite value": (_with("sbp", 1, -np.inf), "first.sbp: 1 values are infinite"),
    "a missing value": (
        _with("sbp_later", 1, np.nan),
        "second.sbp_later: missing in 1 of 8 rows that have a decision",
    ),
    "a repeated identifier": (_with("id", 1, "p0"), "id: 1 rows repeat an identifier"),
    "a missing identifier": (_with("id", 1, None), "id: 1 rows have no identifier"),
    "two columns of one name": (
        pd.concat([a_table(), a_table()[["sbp"]]], axis=1), "sbp: 2 columns have this name"),
    "nobody at a stage": (
        a_table(responder=True, second_action=None), "second: nobody has a decision at this stage"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_refused_with_stage_column_and_count(name: str) -> None:
    table, message = BAD_TABLES[name]
    with pytest.raises(TrajectoriesError, match=message):
        read(table)


def _spec(**changed: Any) -> tuple[HistorySpec, ...]:
    return (FIRST, replace(SECOND, **changed))


BAD_SPECS: dict[str, tuple[tuple[HistorySpec, ...], str]] = {
    "no stage": ((), "no stage is declared"),
    "two of one name": (_spec(stage="first"), "first: two stages have this name"),
    "an action twice": (_spec(actions=("keep", "add", "add")), "second: its actions must be named"),
    "a variable twice": (_spec(variables=("egfr", "egfr")), "second.egfr: the variable is named"),
    "a set for no action": (
        _spec(feasible={"stop": "egfr > 1"}), "second: 'stop' is none of its actions"),
    "an unreadable criterion": (_spec(when="not respnder"), r"second.when: .*respnder"),
    "an unreadable set": (_spec(feasible={"add": "egfr >"}), r"second.feasible.add: "),
    "nothing feasible": (
        _spec(feasible=dict.fromkeys(("keep", "add", "switch"), "egfr > 35")),
        "second: no action is feasible in 1 rows that have a decision",
    ),
    "a probability of 0": (
        _spec(randomised={"keep": 1, "add": 1}), "second: every action needs a probability above"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SPECS)
def test_a_bad_specification_is_refused(name: str) -> None:
    specs, message = BAD_SPECS[name]
    with pytest.raises(TrajectoriesError, match=message):
        read(a_table(), specs)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        pytest.param([1.0] * 9 + [-1], "share: 1 sample weights are missing or negative"),
        pytest.param([1.0] * 9 + [np.nan], "share: 1 sample weights are missing or negative"),
        pytest.param([1.0] * 9 + [np.inf], "share: 1 values are infinite"),
        pytest.param([0.0] * 10, "share: all 10 sample weights are 0"),
        pytest.param(["a"] * 10, "share: must hold numbers, holds text"),
    ],
)
def test_bad_weights_are_refused(weights: list[Any], message: str) -> None:
    with pytest.raises(TrajectoriesError, match=message):
        read(a_table(share=weights), weights="share")


def test_a_missing_reward_is_refused() -> None:
    table = a_table(gain=[np.nan] + [1.0] * 9)
    with pytest.raises(TrajectoriesError, match=r"first.gain: the reward is missing in 1 rows"):
        read(table, (replace(FIRST, reward="gain"), SECOND))


def test_better_is_higher_or_lower() -> None:
    with pytest.raises(TrajectoriesError, match="better: is 'larger'; say 'higher' or 'lower'"):
        read(a_table(), better="larger")


def test_all_faults_are_told_at_once() -> None:
    table = _with("first_action", 3, "surgery")
    table.loc[1, "egfr"] = np.inf
    table.loc[4, "drop"] = np.nan
    with pytest.raises(TrajectoriesError, match="3 faults"):
        read(table)


def test_no_patient_value_is_in_a_message() -> None:
    table = _with("sbp", 1, np.inf)
    table.loc[2, "sbp"] = 123.456
    with pytest.raises(TrajectoriesError) as caught:
        read(table)
    assert "123.4" not in str(caught.value)
    assert "p1" not in str(caught.value)


def test_the_same_names_can_be_read_from_other_columns() -> None:
    table = a_table().rename(columns={"sbp_later": "sbp_8w"})
    second = replace(SECOND, columns={"sbp_later": "sbp_8w"})
    found: Trajectories = read(table, (FIRST, second))
    assert found.stages[1].columns["sbp_later"].tolist() == a_table()["sbp_later"].tolist()
    assert len(SPECS) == len(found.stages)


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        pytest.param((FIRST, replace(SECOND, reward="drop")),
                     r"second\.drop: is the stage's reward and the outcome, .* count twice",
                     id="the last reward is the outcome"),
        pytest.param((replace(FIRST, reward="egfr"), replace(SECOND, reward="egfr")),
                     r"second\.egfr: is the reward of stage first too, .* count twice",
                     id="two stages have one reward"),
    ],
)  # fmt: skip
def test_nothing_is_counted_twice(specs: tuple[HistorySpec, ...], message: str) -> None:
    with pytest.raises(TrajectoriesError, match=message):
        read(a_table(), specs)


def reads(column: str) -> tuple[HistorySpec, ...]:
    """Return stages with rewards, the first of which reads a further column."""
    first = replace(FIRST, variables=("sbp", "more"), columns={"more": column}, reward="gain")
    return (first, replace(SECOND, reward="later_gain"))


@pytest.mark.parametrize(
    ("column", "what"),
    [
        pytest.param("drop", "the outcome"),
        pytest.param("share", "the sample weights"),
        pytest.param("first_action", "the action of stage first"),
        pytest.param("second_action", "the action of stage second"),
        pytest.param("gain", "the reward of stage first"),
        pytest.param("later_gain", "the reward of stage second"),
    ],
)
def test_no_history_holds_what_comes_after_its_decision(column: str, what: str) -> None:
    table = a_table(gain=1.0, later_gain=2.0, share=1.0)
    with pytest.raises(TrajectoriesError, match=rf"1 fault:\n  - first\.{column}: is {what}, whi"):
        read(table, reads(column), weights="share")
    later = replace(SECOND, variables=(*SECOND.variables, "gain"))
    assert read(table, (replace(FIRST, reward="gain"), later)).stages[1].columns["gain"].all()


KINDS = {"responder": Kind("boolean", "responder"), "egfr": Kind("number", "eGFR"),
         "sex": Kind("label", "sex")}  # fmt: skip


def test_a_decision_that_cannot_be_judged_is_counted() -> None:
    table = _with("responder", 6, None)
    with pytest.raises(
        TrajectoriesError, match=r"1 fault:\n  - second\.when: in 1 rows a missing v"
    ):
        read(table, kinds=KINDS)
    table = _with("responder", 2, None)
    with pytest.raises(TrajectoriesError) as caught:
        read(table, kinds=KINDS)
    assert [fault.place for fault in caught.value.faults] == ["second.when"]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        pytest.param("responder", ["no"] * 6 + ["yes"] * 2 + ["no"] * 2,
                     r"second\.responder: 10 of 10 values are not yes or no \(true and false, or 1 "
                     r"and 0\), as responder is declared \(such as 'no', 'yes'\); correct",
                     id="words for yes and no"),
        pytest.param("responder", [0, 0, 0, 0, 0, 0, 2, 2, 0, 0],
                     r"responder: 2 of 10 values are not yes or no .* \(such as 2\)",
                     id="another number for yes"),
        pytest.param("egfr", ["51 mg", "49 mg", "7 mg", None, "n/a", "n/a", 12, 11, 10, 9],
                     r"second\.egfr: 5 of 10 values are not numbers, as eGFR is declared "
                     r"\(such as '## mg', 'n/a', '# mg'\)", id="text among numbers"),
        pytest.param("egfr", [True] * 10, r"egfr: 10 of 10 values are not numbers, .* as True\)",
                     id="yes or no for a number"),
        pytest.param("sex", range(10), "first.sex: 10 of 10 values are not labels",
                     id="numbers for labels"),
        pytest.param("egfr", ["wrote a long story of 12 words"] * 10,
                     r"\(such as 'wrote a long\.\.\.'\)", id="long text is cut"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_as_declared_is_told_with_its_form(
    column: str, values: Any, message: str
) -> None:
    with pytest.raises(TrajectoriesError, match=message):
        read(a_table(**{column: pd.Series(values, dtype=object)}), kinds=KINDS)


def test_of_many_wrong_forms_three_are_shown_and_never_an_identifier() -> None:
    words = [f"{'x' * at}!" for at in range(10)]
    with pytest.raises(TrajectoriesError) as caught:
        read(a_table(egfr=words), kinds=KINDS)
    assert str(caught.value).count("!'") == 3
    first = replace(FIRST, variables=("who",), columns={"who": "id"})
    with pytest.raises(TrajectoriesError, match=r"first\.id: 10 of 10 values") as caught:
        read(a_table(), (first, SECOND), kinds={"who": Kind("number", "who")})
    assert "such as" not in str(caught.value)


def test_whole_numbers_and_mixed_columns_become_what_is_declared() -> None:
    table = a_table(egfr=pd.Series([80, 70, 60, 50, 40, 30, None, 85, 75, 65], dtype=object))
    table["responder"] = table["responder"].astype(int)
    h = read(table, kinds=KINDS).stages[1]
    assert h.columns["responder"].dtype == np.bool_
    assert h.columns["egfr"].dtype == np.float64
    assert np.isnan(h.columns["egfr"]).sum() == 1
    empty = a_table(egfr=None)
    second = replace(SECOND, feasible={}, when=None, variables=("egfr",))
    with pytest.raises(TrajectoriesError, match=r"second\.egfr: missing in 8 of 8 rows"):
        read(empty, (FIRST, second), kinds=KINDS)


def test_identifiers_are_compared_as_text() -> None:
    with pytest.raises(TrajectoriesError, match="id: 1 rows repeat an identifier, compared as te"):
        read(a_table(id=[1, "1", *range(2, 10)]))


@pytest.mark.parametrize("column", ["drop", "egfr"])
def test_complex_numbers_are_refused(column: str) -> None:
    with pytest.raises(TrajectoriesError, match=f"{column}: holds complex numbers"):
        read(a_table(**{column: np.arange(10) + 1j}))


def test_a_categorical_action_may_be_missing() -> None:
    table = a_table()
    table["second_action"] = table["second_action"].astype("category")
    second = read(table).stages[1]
    assert second.action.tolist() == read(a_table()).stages[1].action.tolist()


def test_weights_are_ones_unless_given() -> None:
    found = read(a_table())
    plain = Trajectories(found.ids, found.stages, found.outcome)
    assert plain.weights.tolist() == [1.0] * 10
    assert plain.take(np.array([1, 2])).weights.tolist() == [1.0] * 2
