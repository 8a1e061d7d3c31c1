import numpy as np
import pytest
from builders.cohorts import a_cohort

from cds_engine.errors import EstimationError
from cds_engine.estimate.folds import canonical_order, folds_of


def test_folds_belong_to_identifiers_and_not_to_rows() -> None:
    t = a_cohort(300, responders=True)
    order = np.random.default_rng(0).permutation(300)
    assert (folds_of(t.take(order)) == folds_of(t)[order]).all()


def test_folds_are_balanced_within_each_path() -> None:
    t = a_cohort(301, responders=True)
    folds = folds_of(t, 4)
    assert np.ptp(np.bincount(folds)) <= 1
    path = 3 * t.stages[0].action + t.stages[1].action
    for one in np.unique(path):
        assert np.ptp(np.bincount(folds[path == one], minlength=4)) <= 1


def test_a_seed_changes_folds_and_repeats_them() -> None:
    t = a_cohort(300)
    assert (folds_of(t, 5, 1) == folds_of(t, 5, 1)).all()
    assert (folds_of(t, 5, 1) != folds_of(t, 5, 2)).mean() > 0.5


def test_the_canonical_order_is_the_same_for_any_table() -> None:
    ids = np.array([f"p{at}" for at in range(50)], dtype=object)
    shuffled = np.random.default_rng(1).permutation(ids)
    assert (ids[canonical_order(ids)] == shuffled[canonical_order(shuffled)]).all()


@pytest.mark.parametrize("n_folds", [1, 31])
def test_folds_that_cannot_be_made_are_refused(n_folds: int) -> None:
    with pytest.raises(EstimationError, match=f"{n_folds} folds of 30 trajectories cannot be made"):
        folds_of(a_cohort(30), n_folds)
