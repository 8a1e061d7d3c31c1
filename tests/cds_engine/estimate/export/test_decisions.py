"""Whose action a replay could not tell had a decision all the same, and biases no stage."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.decision_tables import (
    ACE,
    STAGES,
    a_replay_study,
    a_replay_table,
    read_table,
    untold,
    worth_of_the_first_drug,
)
from builders.studies import hypertension
from scipy.special import expit

from cds_engine.errors import EstimationError, StudyError, TrajectoriesError
from cds_engine.estimate.export.written import yaml_bytes
from cds_engine.estimate.study import StudyDocument, read_study

SEEDS = range(8)


def by_history(table: pd.DataFrame, seed: int) -> "pd.Series[bool]":
    """Return the rows of the second stage whose action is lost: of the sicker and treated."""
    draws = np.random.default_rng(seed + 100).random(len(table))
    lost = chance(table["sbp"].to_numpy(), table["step"].to_numpy() == "add_ace")
    return table["decision.stage"].eq(STAGES[1]) & pd.Series(draws < lost, table.index)


def chance(sbp: Any, ace: Any) -> Any:
    """Return how likely it is that the second action is not told."""
    return expit((sbp - 158) / 10 + 2.0 * ace)


def learned(reading: str) -> tuple[float, float]:
    """Return the mean and standard error, over samples, of the first drug's worth."""
    study = a_replay_study({"untold": "leave-out" if reading == "leave-out" else "weight"})
    worths = []
    for seed in SEEDS:
        table = a_replay_table(4000, seed)
        lost = by_history(table, seed)
        # without their rows they are as patients who had no second decision
        held = table[~lost] if reading == "as without a decision" else untold(table, lost)
        worths.append(worth_of_the_first_drug(read_table(study, held)[0]))
    return float(np.mean(worths)), float(np.std(worths, ddof=1) / np.sqrt(len(worths)))


@pytest.mark.filterwarnings("ignore:the pseudo-outcomes")
@pytest.mark.parametrize("reading", ["as without a decision", "leave-out", "weight"])
def test_only_weighting_for_the_untold_leaves_the_first_stage_unbiased(reading: str) -> None:
    mean, error = learned(reading)
    off = abs(mean - ACE) / error
    assert off < 3 if reading == "weight" else off > 5


def test_the_weights_are_one_over_the_chance_that_the_action_is_told() -> None:
    table = a_replay_table(20_000, 1)
    found, _ = read_table(a_replay_study(), untold(table, by_history(table, 1)))
    held = found.stages[1].columns
    told = 1 - chance(held["sbp"], held["step"] == "add_ace")
    assert found.stages[1].decided.all()
    assert np.abs(found.weights * told - 1).mean() < 0.05
    assert found.weights.sum() == pytest.approx(20_000, rel=0.03)


def test_who_is_not_told_is_counted_by_stage_and_reason() -> None:
    table = a_replay_table(400, 2)
    first, second = (table["decision.stage"] == one for one in STAGES)
    place = table["key.patient"].str[1:].astype(int)
    held = untold(table, first & (place % 20 == 0), "unclear")
    held = untold(held, second & (place % 20 == 1))
    held.loc[second & (place % 20 == 2), "taken.action"] = "add_ace"
    found, notes = read_table(a_replay_study(), held)
    assert notes[:3] == (
        "six_months: another action was taken than the stage offers, of 20 patients",
        "six_months: the action taken is ambiguous, of 20 patients",
        "three_months: the action taken is unclear, of 20 patients",
    )
    assert "these 60 patients had a decision" in notes[3]
    assert "the 340 whose every action is told stand for them" in notes[3]
    assert len(found) == 340
    lost = set(table.loc[place % 20 < 3, "key.patient"])
    assert lost.isdisjoint(found.ids)


def test_an_action_of_an_unclear_state_is_not_told_though_it_is_named() -> None:
    table = a_replay_table(300, 2)
    rows = (table["decision.stage"] == STAGES[1]) & (np.arange(len(table)) % 7 == 0)
    held = table.assign(**{"taken.state": table["taken.state"].mask(rows, "unclear")})
    assert len(read_table(a_replay_study(), held)[0]) == 300 - rows.sum()


def test_left_out_patients_are_said_to_be_left_out_and_nobody_is_weighted() -> None:
    table = a_replay_table(300, 3)
    study = a_replay_study({"untold": "leave-out"})
    found, notes = read_table(study, untold(table, by_history(table, 3)))
    assert (found.weights == 1).all()
    assert "patients are left out, as if whose action is told had nothing to do" in notes[-1]


def test_a_history_that_foretells_who_is_not_told_is_refused_with_the_cure() -> None:
    table = a_replay_table(300, 3)
    lost = (table["decision.stage"] == STAGES[1]) & (table["sbp"] > 150)
    with pytest.raises(EstimationError, match=r"stage six_months: .* `data: {untold: leave-out}`"):
        read_table(a_replay_study(), untold(table, lost))


def test_nobody_told_is_refused() -> None:
    table = a_replay_table(50, 3)
    with pytest.raises(EstimationError, match="of none of 50 patients every action is told: six"):
        read_table(a_replay_study(), untold(table, table["decision.stage"] == STAGES[1]))


def test_a_history_that_foretells_only_who_is_told_is_no_harm() -> None:
    table = a_replay_table(600, 3)
    place = table["key.patient"].str[1:].astype(int)
    # of those with the first drug every second action is told
    lost = (table["decision.stage"] == STAGES[1]) & (table["step"] == "none") & (place % 3 == 0)
    found, _ = read_table(a_replay_study(), untold(table, lost))
    sure = found.stages[1].columns["step"] != "none"
    assert found.weights[sure] == pytest.approx(1)
    assert found.weights[~sure].min() > 1.2


def test_so_few_that_chance_foretells_them_are_stood_for_by_all_alike() -> None:
    table = a_replay_table(300, 3)
    second = table["decision.stage"] == STAGES[1]
    place = table["key.patient"].str[1:].astype(int)
    lost = second & (table["sbp"] == table.loc[second, "sbp"].max())
    assert lost.sum() == 1
    weights = 1.0 + (place % 2)
    study = a_replay_study().model_copy(update={"weights": "heavy"})
    for studied, given in ((a_replay_study(), pd.Series(1.0, table.index)), (study, weights)):
        found, notes = read_table(studied, untold(table.assign(heavy=given), lost))
        everybody = given[second].sum()
        stood = everybody / (everybody - given[lost].sum())
        own = given[second].set_axis(table.loc[second, "key.patient"]).loc[found.ids]
        assert found.weights == pytest.approx(own * stood)
        assert notes[-1] == (
            "stage six_months: the 1 of 300 patients whose action is not known are too few to say "
            "what it depends on, so that all with the decision stand for them alike"
        )


def ending(table: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """Return a table whose records end too early for the last patients, and whose rows those are.

    Who is treated is treated at once; of the others nothing is told by then.
    """
    place = table["key.patient"].str[1:].astype(int)
    dated = table.assign(**{"key.as_of": 10 * place + table["key.as_of"]})
    last = dated["key.as_of"] >= dated.loc[place == 350, "key.as_of"].max()
    # the first of them is pending, so that the table itself tells from when on they are cut
    gone = last & (table["taken.action"].eq("keep") | (place == 350))
    return untold(dated, gone, "pending"), table["key.patient"].isin(table.loc[last, "key.patient"])


@pytest.mark.parametrize("how", ["weight", "leave-out"])
def test_whose_window_the_records_cut_is_left_out_whether_or_not_treated_at_once(how: str) -> None:
    table, late = ending(a_replay_table(400, 2))
    shown = late & table["taken.state"].eq("seen") & table["decision.stage"].eq(STAGES[1])
    assert shown.sum() > 10
    found, notes = read_table(a_replay_study({"untold": how}), table)
    wanted, _ = read_table(a_replay_study(), table[~late])
    assert list(found.ids) == list(wanted.ids)
    assert (found.weights == 1).all()
    [note] = notes
    assert note == (
        "50 patients have a decision so late that the records end before its window does; they "
        "are left out, whether or not their action is told, as only what is done at once is told "
        "there"
    )


def test_the_untold_are_stood_for_as_if_the_late_were_not_there() -> None:
    table, late = ending(a_replay_table(400, 2))
    lost = by_history(table, 2) & ~late
    held = untold(table, lost)
    found, wanted = (read_table(a_replay_study(), one)[0] for one in (held, held[~late]))
    assert found.weights == pytest.approx(wanted.weights)
    assert found.weights.max() > 1


def test_where_the_records_end_too_early_for_all_nobody_is_told() -> None:
    table = a_replay_table(50, 3)
    with pytest.raises(
        EstimationError, match=r"of none of 50 patients .*: 50 patients have a deci"
    ):
        read_table(a_replay_study(), untold(table, table["decision.stage"] == STAGES[0], "pending"))


def test_untold_patients_without_a_history_are_counted_apart() -> None:
    table = a_replay_table(400, 4)
    lost = by_history(table, 4)
    held = untold(table, lost)
    blank = held.index[lost][:5]
    held.loc[blank, "age"] = np.nan
    # what the first stage held stands in for what the second lacks
    held.loc[held["key.patient"].isin(held.loc[blank[:3], "key.patient"]), "age"] = np.nan
    _, notes = read_table(a_replay_study(), held)
    assert any(note.startswith("3 of them lack a part of their history there") for note in notes)


def test_stages_in_another_order_are_left_out_and_counted() -> None:
    table = a_replay_table(300, 5)
    place = table["key.patient"].str[1:].astype(int)
    turned = (place < 9) & (table["decision.stage"] == STAGES[1])
    table.loc[turned, "key.as_of"] = -1
    found, notes = read_table(a_replay_study(), table)
    said = "9 patients have their stages in another order than the study's and are left out"
    assert notes == (said,)
    assert len(found) == 291


def with_deaths(dead: int) -> pd.DataFrame:
    """Return a table of 300 patients of whom some died before the outcome, and some were lost."""
    table = a_replay_table(300, 6)
    place = table["key.patient"].str[1:].astype(int)
    table["outcome.state"] = np.where(place < dead, "deceased",
                                      np.where(place % 10 == 9, "absent", "known"))  # fmt: skip
    table.loc[table["outcome.state"] != "known", "outcome.value"] = np.nan
    return table


def test_deaths_before_the_outcome_are_said_apart_with_their_number() -> None:
    found, notes = read_table(a_replay_study(missing="weight"), with_deaths(12))
    assert any(note.startswith("12 of 300 patients (4.0%) died before Systolic") for note in notes)
    assert any(note.startswith("the outcome is missing in 41 of 300 rows") for note in notes)
    assert len(found) == 259


def test_many_deaths_are_refused_unless_more_are_accepted() -> None:
    with pytest.raises(EstimationError, match=r"40 of 300 patients \(13.3%\) died before .* 10%"):
        read_table(a_replay_study(missing="weight"), with_deaths(40))
    study = a_replay_study(missing="weight", deaths=0.2)
    assert any("(13.3%) died" in note for note in read_table(study, with_deaths(40))[1])


def a_short_study(**fields: Any) -> dict[str, Any]:
    """Return the document of a study that names nothing which every replay's table has."""
    document: dict[str, Any] = json.loads(json.dumps(hypertension(**fields)))
    document["data"] = {"file": "decisions.parquet", "layout": "decisions"}
    document["outcome"] = {"label": document["outcome"]["label"]}
    for stage in document["stages"]:
        del stage["taken"]
        stage["history"] = ["age", "sbp"]
    return document


def read_document(document: dict[str, Any]) -> StudyDocument:
    return read_study("study.yaml", yaml_bytes(document))


def test_a_study_of_a_replay_need_not_name_the_columns_that_every_replay_has() -> None:
    study = read_document(a_short_study())
    assert (study.id, study.outcome.column) == ("key.patient", "outcome.value")
    assert [one.taken for one in study.learned] == ["taken.action"] * 2
    assert study.learned[0].history == {"age": "age", "sbp": "sbp"}
    found, _ = read_table(study, a_replay_table(200, 7))
    assert len(found) == 200


def test_a_study_of_another_table_still_has_to_name_its_columns() -> None:
    document = a_short_study()
    document["data"]["layout"] = "long"
    with pytest.raises(StudyError, match=r"stages\[0\].taken"):
        read_document(document)


def refused(change: dict[str, Any], stage: dict[str, Any] | None = None) -> str:
    document = a_short_study()
    document["stages"][0] |= stage or {}
    for name, value in change.items():
        document[name] = document[name] | value if isinstance(value, dict) else value
    with pytest.raises(StudyError) as caught:
        read_document(document)
    return str(caught.value)


def test_columns_that_no_replay_has_are_refused_with_the_right_ones() -> None:
    said = refused({"id": "id", "data": {"stage": "visit"}}, {"taken": "action_three_months"})
    assert "stages[0].taken: is action_three_months, but a replay's table has it in " in said
    assert "write `taken: taken.action`, or leave `taken` out" in said
    assert "write `id: key.patient`" in said
    assert "write `stage: decision.stage`" in said


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_settings_of_a_replays_table_are_refused_for_others(layout: str) -> None:
    taken = {"taken": "action"}
    document = a_short_study()
    document["data"] |= {"layout": layout, "untold": "weight"}
    document["outcome"] |= {"column": "y", "deaths": 0.2}
    document["stages"] = [one | taken for one in document["stages"]]
    with pytest.raises(StudyError) as caught:
        read_document(document)
    assert f"data.untold: has no meaning in a {layout} table" in str(caught.value)
    assert "outcome.deaths: has no meaning" in str(caught.value)


def test_a_column_that_is_not_there_is_answered_with_the_near_ones() -> None:
    table = a_replay_table(50, 1)
    document = a_short_study()
    document["stages"][0]["history"] = {"age": "age", "sbp": "sbp_three_months"}
    document["outcome"]["column"] = "outcome"
    with pytest.raises(TrajectoriesError) as caught:
        read_table(read_document(document), table)
    said = str(caught.value)
    assert (
        "three_months.sbp_three_months: the table of decisions has no such column, as the rule "
        "bundle that it was made with declares no variable of this name; declare it there and run "
        "cohort again, or name a column that it has; did you mean"
    ) in said
    assert "did you mean `sbp`?" in said
    assert "outcome: the table of decisions has no such column; name the one that it has; " in said
    assert "did you mean `outcome.value` or `outcome.state`?" in said


def test_a_table_that_no_replay_wrote_is_refused() -> None:
    table = a_replay_table(20, 1).rename(columns={"taken.state": "taken_state"})
    with pytest.raises(TrajectoriesError, match=r"taken.state: a replay's .* `taken_state` or"):
        read_table(a_replay_study(), table)
