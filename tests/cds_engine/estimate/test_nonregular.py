"""How near a later choice is to a tie is tested patient by patient, and decides m."""

from dataclasses import replace

import numpy as np
import pytest
from builders.trials import stage_data, the_smart

from cds_engine.errors import EstimationError
from cds_engine.estimate.design_matrix import the_design
from cds_engine.estimate.linear_stage import LinearStage
from cds_engine.estimate.nonregular import adaptive_m, near_zero_share
from cds_engine.estimate.stage import HistorySpec

SPEC = HistorySpec(stage="s", variables=("x",), actions=("a", "b", "c"))
X = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
H = stage_data(SPEC, {"x": X}, [0, 1, 2, 0, 1, 2])
DESIGN = the_design(H, ("x",), ("x",))


def stage(*psi: float) -> LinearStage:
    """Return a stage with the blips b: psi[0] + psi[1] x, c: psi[2] + psi[3] x."""
    return LinearStage(DESIGN, np.array([0.0, 0.0, *psi]), 6)


def test_near_ties_are_those_within_their_standard_error() -> None:
    """``b`` beats ``a`` by x with variance 1/16, so |x| < 3.29 / 4 is a tie: x = 0 alone."""
    V = np.zeros((6, 6))
    V[2, 2] = 1 / 16
    assert near_zero_share(stage(0, 1, -9, 0), H, V) == pytest.approx(1 / 6)
    assert near_zero_share(stage(0, 1, -9, 0), H, 4 * V) == pytest.approx(3 / 6)


def test_the_two_best_are_compared_with_their_covariance() -> None:
    """``b`` and ``c`` differ by 1: told apart if their errors are large but the same."""
    V = np.zeros((6, 6))
    V[2, 2] = V[4, 4] = 25.0
    assert near_zero_share(stage(90, 0, 91, 0), H, V) == 1.0
    V[2, 4] = V[4, 2] = 25.0
    assert near_zero_share(stage(90, 0, 91, 0), H, V) == 0.0


def test_only_feasible_actions_can_tie() -> None:
    V = np.eye(6)
    only_ab = replace(H, feasible=np.tile([True, True, False], (6, 1)))
    assert near_zero_share(stage(90, 0, 90, 0), H, V) == 1.0
    assert near_zero_share(stage(90, 0, 90, 0), only_ab, V) == 0.0


def test_without_a_choice_there_is_no_tie() -> None:
    alone = replace(H, feasible=np.tile([True, False, False], (6, 1)))
    assert near_zero_share(stage(0, 0, 0, 0), alone, np.eye(6)) == 0.0
    assert the_smart().stages[1].decided.sum() < 400


@pytest.mark.parametrize(
    ("share", "alpha", "m"),
    [
        pytest.param(0.0, 0.3, 300, id="regular: all"),
        pytest.param(1.0, 0.3, 81, id="all tied: n^(1 / 1.3) = 80.4"),
        pytest.param(0.5, 0.3, 156, id="half tied: n^(1.15 / 1.3) = 155.3"),
        pytest.param(1.0, 0.0, 300, id="alpha 0: all"),
    ],
)
def test_m_falls_with_the_share_of_near_ties(share: float, alpha: float, m: int) -> None:
    assert adaptive_m(300, share, alpha) == m


@pytest.mark.parametrize(("share", "alpha"), [(1.2, 0.3), (-0.1, 0.3), (0.5, -1.0)])
def test_what_is_out_of_range_is_refused(share: float, alpha: float) -> None:
    with pytest.raises(EstimationError, match="must"):
        adaptive_m(300, share, alpha)
