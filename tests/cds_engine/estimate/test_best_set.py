"""The best set keeps the truly best regime as often as it says, and drops what is clearly worse."""

import numpy as np
import pytest
from scipy.stats import norm

from cds_engine.errors import EstimationError
from cds_engine.estimate.best_set import best_set
from cds_engine.estimate.value import ValueEstimate, standard_error


def values(means: list[float], n: int = 400, seed: int = 0) -> list[ValueEstimate]:
    """Independent means of standard normal outcomes, each from all ``n`` rows."""
    noise = np.random.default_rng(seed).normal(size=(len(means), n))
    ids = np.arange(n)
    return [
        ValueEstimate(
            label=f"r{at}", estimate=mean + float(z.mean()), n=n, effective_n=n, followers=n,
            standard_error=standard_error(z - z.mean()), estimand="", method="",
            influence=z - z.mean(), ids=ids,
        )
        for at, (mean, z) in enumerate(zip(means, noise, strict=True))
    ]  # fmt: skip


def test_what_is_clearly_worse_is_left_out_and_the_rest_kept() -> None:
    found = best_set(values([0.0, 0.02, -3.0]))
    assert found.kept == ("r0", "r1")
    assert found.best in found.kept
    far = found.placed[2]
    assert far.behind > far.at_least > 2
    assert not far.kept


def test_lower_may_be_better() -> None:
    found = best_set(values([0.0, 0.02, -3.0]), better="lower")
    assert (found.kept, found.best) == (("r2",), "r2")


def test_of_two_the_critical_value_is_the_one_sided_normal_quantile() -> None:
    found = best_set(values([0.0, 0.0]))
    for one in found.placed:
        assert one.critical == pytest.approx(norm.ppf(0.95), abs=0.02)


def test_more_competitors_need_more_than_a_pair_does() -> None:
    few, many = (best_set(values([0.0] * k)).placed[0].critical for k in (2, 8))
    assert many > few + 0.4


def test_a_single_regime_is_the_best() -> None:
    assert best_set(values([1.0])).kept == ("r0",)


def test_two_that_are_one_and_the_same_are_both_kept() -> None:
    [one] = values([1.0])
    assert best_set([one, one]).kept == ("r0", "r0")


def test_the_same_seed_gives_the_same_set() -> None:
    one, two = (best_set(values([0.0, 0.1, 0.2]), random_state=4) for _ in range(2))
    assert one == two


def test_the_truly_best_is_kept_as_often_as_stated() -> None:
    # all equal but the first, which is best by nothing: the hardest case
    kept = [
        "r0" in best_set(values([0.0] * 4, 100, seed)).kept for seed in range(80)
    ]  # fmt: skip
    assert np.mean(kept) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 80))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"level": 1.0}, "the level 1 is no probability"),
     ({"better": "more"}, "better='more' is not understood")],
)  # fmt: skip
def test_a_question_that_is_not_understood_is_refused(
    options: dict[str, object], said: str
) -> None:
    with pytest.raises(EstimationError, match=said):
        best_set(values([0.0, 1.0]), **options)  # type: ignore[arg-type]


def test_nothing_has_no_best() -> None:
    with pytest.raises(EstimationError, match="there is no estimate"):
        best_set([])
