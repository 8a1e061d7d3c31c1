"""Overlap, balance and the mapping to actions are counted; the ledger says what they come to."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cds_engine.assume.balance import balance, largest
from cds_engine.assume.consistency import mapped
from cds_engine.assume.ledger import WEAK, Entry, hidden, ledger
from cds_engine.assume.positivity import overlap, poor
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories


def one_stage(n: int = 4000, steep: float = 1.0, **spec: object) -> Trajectories:
    """A cohort in which those with large x get `b`; `b` is ruled out below x = -2."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=n)
    chance = np.where(x < -2, 0.0, 1 / (1 + np.exp(-steep * x)))
    action = np.where(rng.random(n) < chance, "b", "a")
    frame = pd.DataFrame({"id": range(n), "x": x, "action_only": action,
                          "y": x + rng.normal(size=n)})  # fmt: skip
    only = HistorySpec(stage="only", variables=("x",), actions=("a", "b"),
                       feasible={"b": "x >= -2"}, **spec)  # type: ignore[arg-type]  # fmt: skip
    return Trajectories.from_wide(frame, [only], outcome="y")


def test_what_is_ruled_out_is_no_violation_but_described() -> None:
    [a, b], _ = overlap(one_stage())
    assert a.ruled_out == 0
    assert b.ruled_out == int(np.count_nonzero(one_stage().stages[0].columns["x"] < -2))
    assert b.why == "x >= -2"
    assert a.could == b.could == 4000 - b.ruled_out
    assert a.took + b.took == a.could


def test_overlap_counts_what_the_propensities_say() -> None:
    trajectories = one_stage()
    [_, b], [p] = overlap(trajectories)
    h = trajectories.stages[0]
    weights = 1 / p[h.action == 1, 1]
    assert b.effective_n == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert b.largest_weight == pytest.approx(weights.max())
    assert b.rare == pytest.approx(np.mean(p[h.feasible[:, 1], 1] < 0.05))


def test_good_overlap_has_no_problem_and_poor_overlap_says_where() -> None:
    assert poor(overlap(one_stage())[0]) == ()
    problems = poor(overlap(one_stage(steep=6.0))[0])
    assert len(problems) == 2
    assert problems[1].startswith("stage only, b: ")
    assert "had a chance below 5%" in problems[1]


def test_few_who_count_are_a_problem_of_their_own() -> None:
    [problem] = poor([one for one in overlap(one_stage(n=90))[0] if one.action == "a"])
    assert "who took it count as" in problem


def test_weighting_balances_what_differed() -> None:
    trajectories = one_stage()
    _, shares = overlap(trajectories)
    before, after = largest(balance(trajectories, shares))
    assert before > 0.3
    assert after < 0.08


def test_a_difference_is_in_standard_deviations_of_all_who_could() -> None:
    trajectories = one_stage()
    [a, b] = balance(trajectories, overlap(trajectories)[1])
    x, h = trajectories.stages[0].columns["x"], trajectories.stages[0]
    could = h.feasible[:, 1]
    wanted = (x[h.action == 1].mean() - x[could].mean()) / x[could].std()
    assert b.before == pytest.approx(wanted)
    assert a.before < 0 < b.before


def weighted_and_repeated(steep: float = 1.0) -> tuple[Trajectories, Trajectories]:
    """Rows that weigh 1 to 9, the more the larger x is, and others that hold them as often."""
    few = one_stage(900, steep)
    times = np.clip(np.round(5 + 2 * few.stages[0].columns["x"]), 1, 9).astype(int)
    each = few.take(np.repeat(np.arange(900), times))
    return replace(few, weights=times.astype(np.float64)), each


def test_a_row_of_weight_w_overlaps_as_w_rows_would() -> None:
    weighted, repeated = weighted_and_repeated(steep=2.0)
    (found, p), (wanted, q) = overlap(weighted), overlap(repeated)
    # the propensities are those of the population for which the rows stand
    times = weighted.weights.astype(int)
    assert np.repeat(p[0], times, axis=0) == pytest.approx(q[0], abs=1e-6)
    alike, _ = overlap(replace(weighted, weights=np.ones(900)), [p[0]])
    for one, other, plain in zip(found, wanted, alike, strict=True):
        assert one.quantiles == pytest.approx(other.quantiles, abs=1e-6)
        assert one.rare == pytest.approx(other.rare)
        assert one.rare != pytest.approx(plain.rare, rel=0.1)
        assert abs(one.quantiles[2] - plain.quantiles[2]) > 0.05
        assert (one.could, one.took) == (plain.could, plain.took)


def test_who_counts_for_many_makes_the_others_count_less() -> None:
    weighted, _ = weighted_and_repeated()
    [_, b], [p] = overlap(weighted)
    h = weighted.stages[0]
    each = weighted.weights[h.action == 1] / p[h.action == 1, 1]
    assert b.effective_n == pytest.approx(each.sum() ** 2 / (each**2).sum())
    assert b.largest_weight == pytest.approx(each.max())


def test_a_row_of_weight_w_balances_as_w_rows_would() -> None:
    weighted, repeated = weighted_and_repeated()
    shares = overlap(weighted)[1]
    times = weighted.weights.astype(int)
    found = balance(weighted, shares)
    wanted = balance(repeated, [np.repeat(shares[0], times, axis=0)])
    plain = balance(replace(weighted, weights=np.ones(900)), shares)
    for one, other, alike in zip(found, wanted, plain, strict=True):
        assert (one.before, one.after) == pytest.approx((other.before, other.after), abs=1e-9)
        assert abs(one.before - alike.before) > 0.02
        assert abs(one.after - alike.after) > 0.01


def test_rows_that_count_for_nobody_change_nothing() -> None:
    cohort = one_stage(n=600)
    some = np.arange(600) % 3 > 0
    shares = overlap(cohort)[1]
    without = overlap(cohort.take(some), [shares[0][some]])[0]
    for one, other in zip(
        overlap(replace(cohort, weights=some.astype(float)), list(shares))[0], without, strict=True
    ):
        assert one.quantiles == other.quantiles
        assert one.rare == pytest.approx(other.rare)
        assert one.effective_n == pytest.approx(other.effective_n)


def test_a_column_that_is_the_same_for_all_has_no_difference() -> None:
    cohort = one_stage(n=300)
    h = cohort.stages[0]
    same = replace(h, columns={"x": np.full(300, 0.1)})
    weights = np.random.default_rng(1).random(300)
    held = replace(cohort, stages=(same,), weights=weights)
    assert balance(held, [np.full((300, 2), 0.5)]) == ()


def test_rows_that_map_to_no_action_or_to_several_are_counted() -> None:
    [one] = mapped(one_stage(n=90), {"only": (6, 4)})
    assert (one.one, one.none, one.several) == (90, 6, 4)
    assert one.share == pytest.approx(0.9)


def test_randomised_actions_are_exchangeable_by_design() -> None:
    trajectories = one_stage(randomised={"a": 1, "b": 1})
    overlaps, shares = overlap(trajectories)
    entries = ledger(trajectories, mapped(trajectories), overlaps, balance(trajectories, shares))
    assert entries[2].judgement == "by design"
    assert "randomised" in entries[2].evidence[0]
    assert exchangeability(trajectories, adjusted_for=(), flips_at=1.1).whys == ()


HIDDEN = (
    "a hidden cause that shifts the odds of treatment by a factor of 1.46 could reverse the result "
    "(below 2 we call it doubtful)"
)
UNBALANCED = (
    "after weighting the largest standardised difference is still 0.25 (above 0.1 we call it "
    "doubtful)"
)
UNHELD = "the study adjusted for diabetes, which the rule bundle does not hold"
UNSAID = "nobody has said why the recorded history explains who was treated how; no figure can"


def exchangeability(trajectories: Trajectories, **more: Any) -> Entry:
    """The ledger's entry, for a cohort that is as balanced as weighting gets it."""
    overlaps, shares = overlap(trajectories)
    return ledger(trajectories, mapped(trajectories), overlaps, balance(trajectories, shares),
                  **{"adjusted_for": ["Only x moves treatment."], **more})[2]  # fmt: skip


@pytest.mark.parametrize(
    ("gamma", "judgement", "words"),
    [
        pytest.param(1.46, "doubtful", "by a factor of 1.46", id="a weak hidden cause is enough"),
        pytest.param(WEAK, "no problem measured", "by a factor of 2.00", id="the limit itself"),
        pytest.param(float("inf"), "no problem measured", "No strength of unmeasured", id="none"),
    ],
)
def test_the_ledger_says_how_much_confounding_would_do_it(
    gamma: float, judgement: str, words: str
) -> None:
    entry = exchangeability(one_stage(), flips_at=gamma)
    assert entry.judgement == judgement
    assert words in entry.evidence[-1]
    assert entry.document()["signed_by"] is None
    assert bool(entry.whys) is (judgement == "doubtful")


def test_no_figure_supports_that_a_cohort_is_exchangeable() -> None:
    assert exchangeability(one_stage()).judgement == "no problem measured"


@pytest.mark.parametrize(
    ("after", "flips_at", "unheld", "adjusted_for", "whys"),
    [
        pytest.param(0.05, 1.46, ("diabetes",), (), HIDDEN, id="a weak hidden cause"),
        pytest.param(0.25, None, (), ("a reason",), UNBALANCED, id="not balanced"),
        pytest.param(0.05, None, ("diabetes",), (), UNHELD, id="not held"),
        pytest.param(0.05, 3.0, (), (), UNSAID, id="no reason"),
        pytest.param(0.05, 3.0, (), ("a reason",), "", id="nothing against it"),
    ],
)
def test_a_doubt_about_what_is_hidden_has_its_reason(
    after: float, flips_at: float | None, unheld: tuple[str, ...], adjusted_for: tuple[str, ...],
    whys: str,
) -> None:  # fmt: skip
    assert "; ".join(hidden(after, flips_at, adjusted_for, unheld)) == whys


def test_incomplete_mapping_makes_consistency_doubtful() -> None:
    trajectories = one_stage(n=90)
    overlaps, shares = overlap(trajectories)
    rows = mapped(trajectories, {"only": (10, 0)})
    entries = ledger(trajectories, rows, overlaps, balance(trajectories, shares))
    assert entries[0].judgement == "doubtful"
    assert "10 to none" in entries[0].evidence[0]
    [why] = entries[0].whys
    assert why.startswith("only 90.0% of the patients at only were given exactly one action (below")


def test_actions_that_may_be_unseen_make_consistency_doubtful() -> None:
    trajectories = one_stage()
    overlaps, shares = overlap(trajectories)
    why = "nobody has the drug on record"
    entry = ledger(trajectories, mapped(trajectories), overlaps, balance(trajectories, shares),
                   unseen=[why])[0]  # fmt: skip
    assert entry.judgement == "doubtful"
    assert entry.whys == (why,)
    assert entry.evidence[0] == "Nobody has the drug on record."


def test_an_action_without_a_choice_is_a_problem_and_no_share_of_nobody() -> None:
    trajectories = one_stage()
    overlaps, shares = overlap(trajectories)
    none = replace(overlaps[0], could=0, took=0, rare=1.0, effective_n=0.0,
                   largest_weight=float("nan"))  # fmt: skip
    [problem] = poor([none])
    assert problem == (
        "stage only, a: nobody had a choice of which it was one, so that there is nothing to "
        "compare"
    )
    entry = ledger(trajectories, mapped(trajectories), [none], balance(trajectories, shares))[1]
    assert entry.judgement == "doubtful"
    assert not [words for words in entry.evidence if "of 0" in words or "nan" in words]
