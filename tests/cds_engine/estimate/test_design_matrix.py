"""A linear model of a stage has named columns, and what it cannot tell apart is refused by name."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from builders.trials import a_smart, stage_data, the_smart

from cds_engine.errors import EstimationError
from cds_engine.estimate.design_matrix import the_design
from cds_engine.estimate.stage import HistorySpec, StageData

RNG = np.random.default_rng(8)
N = 300
SPEC = HistorySpec(
    stage="visit", variables=("age", "smokes", "clinic"), actions=("wait", "treat", "refer")
)
COLUMNS = {
    "age": RNG.uniform(40, 80, N),
    "smokes": RNG.random(N) < 0.4,
    "clinic": RNG.choice(np.array(["north", "south", "west"], dtype=object), N),
}
ACTION = RNG.integers(0, 3, N)
H = stage_data(SPEC, COLUMNS, ACTION)
Y = RNG.standard_normal(N)
ALL = np.arange(N)


def changed(**columns: Any) -> StageData:
    return stage_data(SPEC, {**COLUMNS, **columns}, ACTION)


def test_columns_have_names() -> None:
    design = the_design(H, ("age", "smokes", "clinic"), ("age", "clinic"))
    assert design.names == (
        "1", "age", "smokes", "clinic[south]", "clinic[west]",
        "treat", "treat:age", "treat:clinic[south]", "treat:clinic[west]",
        "refer", "refer:age", "refer:clinic[south]", "refer:clinic[west]",
    )  # fmt: skip


def test_all_variables_are_main_and_tailoring_terms_unless_named() -> None:
    assert the_design(H).size == 15
    assert the_design(H, ("age",)).names == (
        "1", "age", "treat", "treat:age", "refer", "refer:age")  # fmt: skip


def test_terms_can_be_products() -> None:
    design = the_design(H, ("age:age", "smokes:clinic"), ())
    names = ("1", "age:age", "smokes:clinic[south]", "smokes:clinic[west]", "treat", "refer")
    assert design.names == names
    matrix = design.matrix(H, ALL)
    assert (matrix[:, 1] == COLUMNS["age"] ** 2).all()
    assert (matrix[:, 3] == (COLUMNS["clinic"] == "west") * COLUMNS["smokes"]).all()


def test_terms_can_differ_by_stage() -> None:
    assert the_design(H, {"visit": ("age",)}, {"visit": ()}).names == ("1", "age", "treat", "refer")
    with pytest.raises(EstimationError, match="no terms are named for stage visit; they are for o"):
        the_design(H, {"other": ("age",)})


def test_what_the_stage_holds_constant_is_left_out_unless_named() -> None:
    stages = the_smart().stages
    assert not any("responder" in name for name in the_design(stages[1]).names)
    assert "responder" in the_design(stages[1], ("responder",)).names


def test_tailoring_terms_need_not_be_main_terms() -> None:
    design = the_design(H, ("age",), ("smokes",))
    assert design.names == ("1", "age", "treat", "treat:smokes", "refer", "refer:smokes")
    direct = sm.OLS(Y, design.matrix(H, ALL)).fit().params
    assert design.solved(H, ALL, [Y], None)[:, 0] == pytest.approx(direct, rel=1e-8)


def _by_hand() -> Any:
    main = np.column_stack([
        np.ones(N), COLUMNS["age"], COLUMNS["smokes"], COLUMNS["clinic"] == "south",
        COLUMNS["clinic"] == "west",
    ]).astype(float)  # fmt: skip
    tail = main[:, :3]
    return np.hstack([main, tail * (ACTION == 1)[:, None], tail * (ACTION == 2)[:, None]])


@pytest.mark.parametrize("weights", [None, RNG.uniform(0, 2, N)], ids=["plain", "weighted"])
def test_moments_are_those_of_the_columns_side_by_side(weights: Any) -> None:
    design = the_design(H, None, ("age", "smokes"))
    X, w = _by_hand(), np.ones(N) if weights is None else weights
    gram, cross = design.moments(H, ALL, [Y, 2 * Y], weights)
    assert gram == pytest.approx(X.T @ (X * w[:, None]), rel=1e-10)
    assert cross == pytest.approx(X.T @ (np.column_stack([Y, 2 * Y]) * w[:, None]), rel=1e-8)
    assert (design.matrix(H, ALL) == X).all()


def test_coefficients_are_those_of_statsmodels() -> None:
    some = np.flatnonzero(RNG.random(N) < 0.8)
    direct = sm.OLS(Y[some], _by_hand()[some]).fit().params
    found = the_design(H, None, ("age", "smokes")).solved(H, some, [Y], None)[:, 0]
    assert found == pytest.approx(direct, rel=1e-6)


def test_values_and_blips_are_sums_of_the_columns() -> None:
    design = the_design(H, None, ("age", "smokes"))
    theta = RNG.standard_normal(design.size)
    X = _by_hand()
    values = design.values(H, theta)
    assert values[ALL, ACTION] == pytest.approx(X @ theta, rel=1e-10)
    blips = design.values(H, theta, main=False)
    assert blips == pytest.approx(values - values[:, [0]], abs=1e-9)


def test_blocks_of_rows_do_not_show() -> None:
    big = the_smart(20_000, 3)
    h = big.stages[1]
    design = the_design(h, ("x1", "x2", "way"), ("x2",))
    rows = np.flatnonzero(h.decided)
    X = design.matrix(h, rows)
    direct = np.linalg.lstsq(X, big.outcome[rows], rcond=None)[0]
    theta = design.solved(h, rows, [big.outcome], None)[:, 0]
    assert theta == pytest.approx(direct, rel=1e-8)
    assert design.values(h, theta)[rows, h.action[rows]] == pytest.approx(X @ theta, rel=1e-10)


def test_nothing_is_said_of_an_action_that_is_not_feasible() -> None:
    h = the_smart().stages[1]
    design = the_design(h, ("x1",), ("x2",))
    values = design.values(h, np.ones(design.size))
    assert (np.isnan(values) == ~h.feasible).all()


BAD: dict[str, tuple[StageData, Any, Any, str]] = {
    "no such variable": (H, ("weight",), None, "stage visit: there is no variable 'weight'"),
    "one text": (H, "age", None, "terms are a sequence of names; 'age' is one text"),
    "a term twice": (H, ("age", "age"), None, "stage visit: the terms age are named twice"),
    "a constant": (
        changed(age=np.full(N, 7.0)), ("age",), (), "stage visit: age is constant in all 300 rows"),
    "a constant flag": (
        changed(smokes=np.ones(N, dtype=bool)), ("smokes",), (),
        "stage visit: smokes is constant in all 300 rows"),
    "one number twice": (
        changed(smokes=2 * COLUMNS["age"] + 1), ("age", "smokes"), (),
        "stage visit: 1 of 5 columns add nothing in 300 rows"),
    "what an action implies": (
        changed(smokes=ACTION == 2), ("smokes",), (),
        r"1 of 4 columns add nothing in 300 rows \(.*(refer|smokes)"),
    "a missing value": (
        changed(age=np.where(ALL == 4, np.nan, COLUMNS["age"])), ("age",), (),
        "stage visit: age are missing or infinite in 1 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_design_that_cannot_be_solved_is_refused_by_name(name: str) -> None:
    h, main, tailoring, message = BAD[name]
    with pytest.raises(EstimationError, match=message):
        the_design(h, main, tailoring).solved(h, ALL, [Y], None)


def test_fewer_rows_than_coefficients_are_refused_and_five_of_these_named() -> None:
    message = r"stage visit: 14 rows cannot carry 15 coefficients \(1(, [^,]+){4} and 10 more\)"
    with pytest.raises(EstimationError, match=message):
        the_design(H).solved(H, ALL[:14], [Y], None)


def test_an_action_with_fewer_rows_than_its_effect_has_coefficients_is_refused() -> None:
    rare = stage_data(SPEC, COLUMNS, np.where(ALL < 3, 2, ACTION % 2))
    with pytest.raises(
        EstimationError, match="stage visit: 3 rows took 'refer', too few for the 5"
    ):
        the_design(rare).solved(rare, ALL, [Y], None)


def test_a_label_that_was_not_there_is_refused() -> None:
    design = the_design(H, ("clinic",), ())
    other = np.where(ALL < 2, "east", COLUMNS["clinic"]).astype(object)
    with pytest.raises(EstimationError, match="visit, column clinic: 2 rows hold a label that was"):
        design.values(changed(clinic=other), np.ones(design.size))


def test_histories_without_a_variable_are_refused() -> None:
    design = the_design(H, ("age",), ())
    bare = stage_data(SPEC, {"smokes": COLUMNS["smokes"]}, ACTION)
    with pytest.raises(EstimationError, match="the histories have no variable 'age'"):
        design.values(bare, np.ones(design.size))


def test_the_table_of_the_builder_has_what_its_name_says() -> None:
    table = a_smart(2000, 2)
    assert not (table.loc[table["age"] > 70, "next"] == "intense").any()
    assert (table["next"].isna() == table["responder"]).all()
