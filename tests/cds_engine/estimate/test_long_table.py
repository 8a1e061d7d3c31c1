"""A long table, one row for each patient and stage, says the same as the wide one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.trials import FIRST, SECOND, a_table, read

from cds_engine.errors import TrajectoriesError
from cds_engine.estimate.trajectories import HistorySpec, Trajectories
from cds_engine.vocabulary.kind import Kind

LONG_FIRST = replace(FIRST, action="")
LONG_SECOND = replace(
    SECOND,
    action="",
    variables=("sbp", "first_sbp", "sex", "first_action", "responder", "egfr"),
    columns={"first_sbp": "sbp@first", "first_action": "action@first"},
)
WIDE_SECOND = replace(
    SECOND,
    variables=LONG_SECOND.variables,
    columns={"sbp": "sbp_later", "first_sbp": "sbp"},
)


def a_long_table(*, numbers: bool = False) -> pd.DataFrame:
    """Return the patients of ``a_table``; responders have a second row without an action."""
    wide = a_table()
    first = pd.DataFrame({
        "id": wide["id"], "stage": 1 if numbers else "first", "action": wide["first_action"],
        "sbp": wide["sbp"], "sex": wide["sex"],
    })  # fmt: skip
    second = pd.DataFrame({
        "id": wide["id"], "stage": 2 if numbers else "second", "action": wide["second_action"],
        "sbp": wide["sbp_later"], "responder": wide["responder"], "egfr": wide["egfr"],
        "drop": wide["drop"],
    })  # fmt: skip
    return pd.concat([first, second]).sort_values("id", kind="stable", ignore_index=True)


def read_long(
    table: pd.DataFrame, specs: tuple[HistorySpec, ...] = (LONG_FIRST, LONG_SECOND), **more: Any
) -> Trajectories:
    return Trajectories.from_long(table, specs, outcome="drop", **more)


@pytest.mark.parametrize("numbers", [False, True], ids=["names", "numbers"])
def test_it_says_what_the_wide_table_says(numbers: bool) -> None:
    found = read_long(a_long_table(numbers=numbers))
    wide = read(a_table(), (FIRST, WIDE_SECOND))
    assert found.ids.tolist() == wide.ids.tolist()
    assert found.outcome.tolist() == wide.outcome.tolist()
    for one, other in zip(found.stages, wide.stages, strict=True):
        assert one.action.tolist() == other.action.tolist()
        assert one.feasible.tolist() == other.feasible.tolist()
        for name in one.spec.variables:
            assert list(one.columns[name]) == list(other.columns[name]), name


def test_the_order_of_its_rows_never_matters() -> None:
    table = a_long_table()
    mixed = table.sample(frac=1, random_state=3)
    found, plain = read_long(mixed), read_long(table)
    order = [plain.ids.tolist().index(one) for one in found.ids]
    assert found.outcome.tolist() == plain.outcome[order].tolist()
    assert found.stages[1].action.tolist() == plain.stages[1].action[order].tolist()


def test_what_is_empty_at_a_stage_is_carried_from_the_stage_before() -> None:
    found = read_long(a_long_table())
    assert list(found.stages[1].columns["sex"]) == a_table()["sex"].tolist()


def test_who_has_no_row_at_a_stage_has_no_decision_and_no_reward_there() -> None:
    wide = a_table()
    table = a_long_table().drop(columns="responder")
    gone = table["id"].isin(["p6", "p7"]) & (table["stage"] == "second")
    last = table.loc[gone].set_index("id")["drop"]
    table = table[~gone].assign(gain=2.0)
    for one in ("p6", "p7"):
        table.loc[(table["id"] == one) & (table["stage"] == "first"), "drop"] = last[one]
    second = replace(LONG_SECOND, when=None, variables=("sbp", "egfr"), reward="gain")
    found = read_long(table, (replace(LONG_FIRST, reward="gain"), second))
    assert found.stages[1].decided.tolist() == (~wide["responder"]).tolist()
    assert found.stages[1].reward.tolist() == np.where(wide["responder"], 0.0, 2.0).tolist()
    assert found.outcome.tolist() == (wide["drop"] + np.where(wide["responder"], 2, 4)).tolist()


def test_weights_belong_to_patients() -> None:
    table = a_long_table()
    table["share"] = table["id"].str[1:].astype(float) + 1
    assert read_long(table, weights="share").weights.tolist() == list(range(1, 11))
    table.loc[0, "share"] = 7.0
    with pytest.raises(TrajectoriesError, match="share: 1 patients have rows with different wei"):
        read_long(table, weights="share")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda t: t.drop(columns="action"), "action: the long table has no such col"),
        pytest.param(lambda t: t.drop(columns="drop"), "drop: the long table has no such column"),
        pytest.param(lambda t: t.replace({"stage": {"second": "third"}}),
                     r"stage: 10 rows are of no declared stage \(first, second\)"),
        pytest.param(lambda t: pd.concat([t, t.iloc[:2]]), "stage: 2 rows repeat a patient"),
        pytest.param(lambda t: t.replace({"id": {"p1": None}}), "id: 2 rows have no identifier"),
        pytest.param(lambda t: t.replace({"action": {"diet": "fast"}}),
                     r"first.action@first: 5 rows hold an action that the stage does not have"),
    ],
)  # fmt: skip
def test_a_bad_long_table_is_refused(change: Any, message: str) -> None:
    with pytest.raises(TrajectoriesError, match=message):
        read_long(change(a_long_table()))


def test_a_reward_that_has_no_column_is_refused() -> None:
    with pytest.raises(TrajectoriesError, match=r"first\.gain: the long table has no such column"):
        read_long(a_long_table(), (replace(LONG_FIRST, reward="gain"), LONG_SECOND))


def test_a_reward_missing_in_a_row_is_refused() -> None:
    table = a_long_table().assign(gain=1.0)
    table.loc[0, "gain"] = np.nan
    with pytest.raises(TrajectoriesError, match="gain@first: the reward is missing in 1 rows"):
        read_long(table, (replace(LONG_FIRST, reward="gain"), LONG_SECOND))


def test_an_outcome_missing_in_the_last_row_is_missing() -> None:
    table = a_long_table()
    table["drop"] = table["drop"].fillna(99.0)
    gone = (table["id"] == "p3") & (table["stage"] == "second")
    table.loc[gone, "drop"] = np.nan
    with pytest.raises(TrajectoriesError, match="drop: the outcome is missing in 1 of 10 rows"):
        read_long(table)
    found = read_long(table, missing_outcomes="keep")
    assert found.observed.tolist() == [one != "p3" for one in found.ids]


def test_a_reward_that_is_the_outcome_is_refused_although_stages_share_its_column() -> None:
    specs = (replace(LONG_FIRST, reward="drop"), replace(LONG_SECOND, reward="drop"))
    with pytest.raises(TrajectoriesError, match=r"2 faults:\n.*first\.drop: is the stage's rewa"):
        read_long(a_long_table(), specs)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        pytest.param("drop", "first.drop: is the outcome"),
        pytest.param("action", "first.action: is the action of stage first"),
        pytest.param("action@first", "first.action@first: is the action of stage first"),
        pytest.param("action@second", "first.action@second: is the action of stage second"),
        pytest.param("sbp@second", "first.sbp@second: is of the later stage second"),
        pytest.param("share", "first.share: is the sample weights"),
        pytest.param("gain", "first.gain@first: is the reward of stage first"),
    ],
)
def test_no_history_holds_what_comes_after_its_decision(column: str, message: str) -> None:
    first = replace(LONG_FIRST, variables=("more",), columns={"more": column}, reward="gain")
    table = a_long_table().assign(share=1.0, gain=1.0)
    with pytest.raises(TrajectoriesError, match=message):
        read_long(table, (first, LONG_SECOND), weights="share")


def test_who_has_no_row_at_a_stage_needs_no_value_to_have_no_decision() -> None:
    kinds = {"responder": Kind("boolean", "responder")}
    table = a_long_table().drop(columns="drop").merge(a_table()[["id", "drop"]])
    gone = table["id"].isin(["p6", "p7"]) & (table["stage"] == "second")
    found = read_long(table[~gone], kinds=kinds)
    assert found.stages[1].decided.tolist() == (~a_table()["responder"]).tolist()
    table.loc[gone, "responder"] = None
    with pytest.raises(TrajectoriesError, match=r"second\.when: in 2 rows a missing value leaves"):
        read_long(table, kinds=kinds)
