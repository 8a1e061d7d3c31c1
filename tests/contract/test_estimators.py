"""What every estimator promises: add yours to ``LEARNERS`` or ``VALUES`` and it is held to it."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.trials import SMART_MAIN, SMART_SPECS, SMART_TAILORING, a_smart
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator_cloneable,
    check_estimator_repr,
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

from cds_engine.errors import CDSError
from cds_engine.estimate.a_learning import ALearning
from cds_engine.estimate.dwols import DWOLS
from cds_engine.estimate.policy_tree import PolicyTree
from cds_engine.estimate.q_learning import DisagreementWarning, QLearning
from cds_engine.estimate.rule import NO_DECISION, USUAL, advised
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value_search import ValueSearch

TERMS: dict[str, Any] = {"main": SMART_MAIN, "tailoring": SMART_TAILORING}
LEARNERS: dict[str, Callable[[], Any]] = {
    "QLearning": lambda: QLearning(**TERMS),
    "QLearning, regret": lambda: QLearning(**TERMS, pseudo_outcome="regret"),
    "QLearning, any regressor": lambda: QLearning(main=SMART_MAIN, model=LinearRegression()),
    "QLearning, one for each action": lambda: QLearning(
        main={**SMART_MAIN, "later": ("x1", "age", "x2")}, model=LinearRegression(), separate=True
    ),
    "ALearning": lambda: ALearning(**TERMS),
    "DWOLS": lambda: DWOLS(**TERMS),
    "PolicyTree": lambda: PolicyTree(min_leaf=1, min_arm=0, folds=1),
    "PolicyTree, cross-fitted": lambda: PolicyTree(depth=1, min_leaf=5, min_arm=2, folds=3),
    "ValueSearch": lambda: ValueSearch(
        {"start": ["x1"], "later": ["x2"]}, points=1, folds=2, draws=200
    ),
}  # fmt: skip
"""Name -> a new learner that can be fitted to ``the_trial``."""
CROSS_FITTED = {"PolicyTree, cross-fitted", "ValueSearch"}
"""Copies of a row fall into different folds, so that a weight of 2 is not two copies to them."""

each = pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
pytestmark = pytest.mark.filterwarnings(
    "ignore::cds_engine.estimate.q_learning.DisagreementWarning"
)


def the_trial(change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
              **options: Any) -> Trajectories:  # fmt: skip
    """Return the trial that all are held to, after a change of its table."""
    specs = options.pop("specs", SMART_SPECS)
    return Trajectories.from_wide(change(a_smart(350, 21)), specs, outcome="steps", **options)


def advice(learner: Any, t: Trajectories) -> dict[Any, tuple[Any, ...]]:
    """Return what is advised to each patient, by identifier and by the actions' places."""
    places = [advised(rule, h) for rule, h in zip(learner.rules_, t.stages, strict=True)]
    return {one: tuple(at[row] for at in places) for row, one in enumerate(t.ids)}


def expectations(learner: Any, t: Trajectories) -> Any:
    """Return the contrasts with the first action at every stage, in the order of identifiers."""
    order = np.argsort(t.ids.astype(int))
    found = []
    for k, h in enumerate(t.stages):
        q = learner.q(k, h)
        found.append((q - np.nan_to_num(q[:, [0]]))[order])
    return np.hstack(found)


def same(one: Any, other: Any) -> bool:
    return np.allclose(one, other, rtol=1e-7, atol=1e-8, equal_nan=True)


@each
def test_init_only_stores(make: Callable[[], Any]) -> None:
    learner = make()
    for name, value in learner.get_params(deep=False).items():
        assert getattr(learner, name) is value
    assert not [name for name in vars(learner) if name.endswith("_")]


@pytest.mark.parametrize("kind", sorted({type(make()) for make in LEARNERS.values()}, key=str))
@pytest.mark.parametrize(
    "check",
    [
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_do_not_raise_errors_in_init_or_set_params,
        check_estimator_cloneable,
        check_estimator_repr,
        check_get_params_invariance,
        check_set_params,
    ],
)
def test_scikit_learns_own_checks_hold(check: Callable[..., None], kind: type) -> None:
    """Those that do not call fit(X, y): a fit takes trajectories."""
    check(kind.__name__, kind())


@each
def test_a_clone_is_unfitted_and_has_the_same_parameters(make: Callable[[], Any]) -> None:
    fitted = make().fit(the_trial())
    other = clone(fitted)
    assert repr(other) == repr(make())
    assert not hasattr(other, "rules_")


@each
def test_fit_returns_the_learner_and_changes_no_parameter(make: Callable[[], Any]) -> None:
    learner = make()
    before = repr(learner)
    assert learner.fit(the_trial()) is learner
    assert repr(learner) == before


@each
def test_fit_does_not_change_the_data(make: Callable[[], Any]) -> None:
    t, fresh = the_trial(), the_trial()
    make().fit(t)
    assert np.array_equal(t.outcome, fresh.outcome)
    for one, other in zip(t.stages, fresh.stages, strict=True):
        assert np.array_equal(one.action, other.action)
        for name in one.columns:
            assert list(one.columns[name]) == list(other.columns[name])


@each
def test_fitting_again_gives_the_same(make: Callable[[], Any]) -> None:
    t = the_trial()
    learner = make().fit(t)
    first = expectations(learner, t)
    assert np.array_equal(first, expectations(learner.fit(t), t), equal_nan=True)
    assert np.array_equal(first, expectations(clone(learner).fit(t), t), equal_nan=True)


@each
def test_what_was_fitted_before_does_not_matter(make: Callable[[], Any]) -> None:
    t = the_trial()
    learner = make().fit(t.take(np.arange(200))).fit(t)
    assert same(expectations(learner, t), expectations(make().fit(t), t))


@each
def test_the_order_of_rows_never_matters(make: Callable[[], Any]) -> None:
    t = the_trial()
    mixed = the_trial(lambda table: table.sample(frac=1, random_state=5))
    assert same(expectations(make().fit(t), t), expectations(make().fit(mixed), mixed))


@each
def test_the_order_of_columns_never_matters(make: Callable[[], Any]) -> None:
    t, mixed = the_trial(), the_trial(lambda table: table[table.columns[::-1]])
    assert same(expectations(make().fit(t), t), expectations(make().fit(mixed), mixed))


@each
def test_what_labels_are_called_never_matters(make: Callable[[], Any]) -> None:
    names = {"online": "a way", "group": "z way", "m": "a sex", "f": "z sex", "same": "z next",
             "more": "m next", "intense": "a next"}  # fmt: skip
    specs = tuple(
        replace(
            spec, actions=tuple(names[one] for one in spec.actions),
            feasible={names[one]: text for one, text in spec.feasible.items()},
            randomised={names[one]: odds for one, odds in (spec.randomised or {}).items()},
        )
        for spec in SMART_SPECS
    )  # fmt: skip
    t, renamed = the_trial(), the_trial(lambda table: table.replace(names), specs=specs)
    one, other = make().fit(t), make().fit(renamed)
    assert same(expectations(one, t), expectations(other, renamed))
    assert advice(one, t) == advice(other, renamed)


@each
def test_only_feasible_actions_are_advised_and_only_where_there_is_a_decision(
    make: Callable[[], Any],
) -> None:
    t = the_trial()
    for rule, h in zip(make().fit(t).rules_, t.stages, strict=True):
        places = rule(h)
        assert places.shape == (len(t),)
        assert (places[~h.decided] == NO_DECISION).all()
        assert not (places == USUAL).any()
        rows = np.flatnonzero(h.decided)
        assert h.feasible[rows, places[rows]].all()


@each
def test_rules_decide_for_patients_who_were_not_there(make: Callable[[], Any]) -> None:
    t = the_trial()
    learner = make().fit(t.take(np.arange(250)))
    rest, whole = advice(learner, t.take(np.arange(250, 350))), advice(learner, t)
    assert all(whole[one] == places for one, places in rest.items())


@each
def test_larger_is_better_whichever_way_the_outcome_was_declared(make: Callable[[], Any]) -> None:
    t = the_trial()
    turned = the_trial(lambda table: table.assign(steps=-table["steps"]), better="lower")
    assert advice(make().fit(t), t) == advice(make().fit(turned), turned)


@each
def test_missing_outcomes_are_refused_by_a_typed_error(make: Callable[[], Any]) -> None:
    def lose(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(steps=table["steps"].where(table["id"] > 3))

    with pytest.raises(CDSError, match="steps is missing in 4 of 350 rows"):
        make().fit(the_trial(lose, missing_outcomes="keep"))


@each
def test_missing_and_infinite_values_are_refused_by_a_typed_error(make: Callable[[], Any]) -> None:
    t = the_trial()
    for wrong in (np.nan, np.inf):
        x = np.where(np.arange(350) < 2, wrong, t.stages[0].columns["x1"])
        stage = replace(t.stages[0], columns={**t.stages[0].columns, "x1": x})
        with pytest.raises(CDSError, match=r"start.*x1.* in 2 rows"):
            make().fit(replace(t, stages=(stage, t.stages[1])))


@each
def test_too_little_data_are_refused_by_a_typed_error(make: Callable[[], Any]) -> None:
    with pytest.raises(CDSError, match=r"stage (start|later)"):
        make().fit(the_trial().take(np.arange(4)))


@pytest.mark.parametrize("make", [LEARNERS[name] for name in LEARNERS if name not in CROSS_FITTED],
                         ids=[name for name in LEARNERS if name not in CROSS_FITTED])  # fmt: skip
def test_weights_are_numbers_of_copies(make: Callable[[], Any]) -> None:
    t = the_trial()
    counts = np.random.default_rng(3).integers(1, 3, len(t))
    weighted = make().fit(t, counts.astype(float))
    repeated = make().fit(t.take(np.repeat(np.arange(len(t)), counts)))
    assert same(expectations(weighted, t), expectations(repeated, t))


@each
def test_nothing_is_warned_of_or_printed(
    make: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DisagreementWarning)
        make().fit(the_trial())
    assert capsys.readouterr() == ("", "")
