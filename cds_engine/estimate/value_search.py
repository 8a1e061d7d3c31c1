"""Value search looks through regimes of one form and says how sure it is of all of them at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from cds_engine.criteria.syntax import Threshold
from cds_engine.decide.table import quantise
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.doubly_robust import prepare
from cds_engine.estimate.folds import folds_of
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.learner import Learner
from cds_engine.estimate.rule import NO_DECISION, Observed, Rules, StageRule
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import RuleStage, check_values, the_digits
from cds_engine.estimate.tree_search import between
from cds_engine.estimate.value import ValueEstimate, standard_error
from cds_engine.estimate.weights import Propensities

Side = Literal["at_least", "below"]
MOST_REGIMES = 2_000
DRAWS = 2_000
_BLOCK = 100


@dataclass(frozen=True)
class ThresholdRule:
    """Treat those for whom all tests hold, and nobody else; call it with histories.

    Attributes:
        tests: variable, ``at_least`` or ``below``, and the threshold; none means treat everybody.
        treat: what those get.
        otherwise: what everybody else gets.
        digits: variable -> decimals to which its numbers are rounded before they are compared.

    Where one of the two actions is not feasible the other one is advised, and where neither is,
    the first that is.
    """

    tests: tuple[tuple[str, Side, float], ...]
    treat: str
    otherwise: str
    digits: Mapping[str, int] = field(default_factory=dict)

    @property
    def criterion(self) -> str:
        """Who is treated, as a criterion."""
        written = (str(Threshold(name, ">=" if side == "at_least" else "<", bound))
                   for name, side, bound in self.tests)  # fmt: skip
        return " and ".join(written) or "true"

    @property
    def label(self) -> str:
        """The rule in words."""
        if not self.tests:
            return f"{self.treat} for all"
        return f"{self.treat} if {self.criterion} else {self.otherwise}"

    def __call__(self, h: StageData) -> Ints:
        """Return the place of the advised action for each row."""
        rows = np.flatnonzero(h.decided)
        treated = np.ones(len(rows), dtype=np.bool_)
        for name, side, bound in self.tests:
            values = quantise(h.columns[name][rows].astype(np.float64), self.digits.get(name, 6))
            treated &= (values >= bound) if side == "at_least" else (values < bound)
        places = np.full(h.rows, NO_DECISION, dtype=np.intp)
        for chosen, (first, second) in (
            (rows[treated], (self.treat, self.otherwise)),
            (rows[~treated], (self.otherwise, self.treat)),
        ):
            others = [one for one in h.spec.actions if one not in {first, second}]
            for name in reversed((first, second, *others)):
                at = h.spec.place(name)
                places[chosen[h.feasible[chosen, at]]] = at
        return places


class ValueSearch(Learner):
    """Search over regimes ``treat if x >= c``, with one or two tailoring variables for each stage.

    Every regime of the grid gets a value whose nuisances were fitted out of fold, and an interval;
    the intervals hold for the whole grid at once. The best one is learned. Because it is the best
    of many, its own value looks too good: ``value_`` is the value out of fold, of the best regime
    of all folds but one on the fold left out.

    Args:
        tailoring: stage -> one or two numeric variables; a stage that is not named follows
            ``others``.
        treat: stage -> the action whose use is decided, and what is done otherwise; the last and
            the first declared action unless given.
        others: stage -> its rule, for stages without tailoring; what is usual unless given.
        sides: which sides of a threshold to treat: ``at_least``, ``below``, or both.
        points: how many thresholds for each variable, at quantiles, in gaps between values.
        grid: variable -> thresholds in place of quantiles.
        method: ``doubly_robust`` or ``weighting``.
        propensity: as in ``dr_value``.
        outcome: likewise.
        folds: of cross-fitting and of choosing the best; at least 2.
        level: of each interval, for all regimes at once.
        draws: of the multiplier bootstrap.
        random_state: of folds and of the bootstrap.

    Attributes:
        regimes_: every regime of the grid.
        values_: their values, with simultaneous intervals.
        critical_value_: how many standard errors such an interval reaches.
        best_: place of the best regime.
        value_: the best one's value out of fold.
        rules_: the best regime.
        stages_: the same as models, for ``q``: 0 for what is advised, -1 for what else is feasible.

    References:
        Zhang, Tsiatis, Laber & Davidian (2012), A robust method for estimating optimal treatment
        regimes, Biometrics 68; Chernozhukov, Chetverikov & Kato (2013), multiplier bootstrap.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn keeps each parameter by its name
        self,
        tailoring: Mapping[str, Sequence[str]] | None = None,
        *,
        treat: Mapping[str, tuple[str, str]] | None = None,
        others: Mapping[str, StageRule] | None = None,
        sides: Sequence[Side] = ("at_least", "below"),
        points: int = 9,
        grid: Mapping[str, Sequence[float]] | None = None,
        method: Literal["doubly_robust", "weighting"] = "doubly_robust",
        propensity: Propensities = None,
        outcome: Any = None,
        folds: int = 5,
        level: float = 0.95,
        draws: int = DRAWS,
        random_state: int = 0,
    ) -> None:
        self.tailoring = tailoring
        self.treat = treat
        self.others = others
        self.sides = sides
        self.points = points
        self.grid = grid
        self.method = method
        self.propensity = propensity
        self.outcome = outcome
        self.folds = folds
        self.level = level
        self.draws = draws
        self.random_state = random_state

    def fit(self, trajectories: Trajectories, weights: Floats | None = None) -> "ValueSearch":
        """Learn from trajectories.

        Args:
            trajectories: the data.
            weights: in place of the trajectories' own, shape (n,); 0 leaves a row out.

        Raises:
            EstimationError: for a stage, variable or action that is not there, a variable that is
                no number, too many regimes, and as ``dr_value`` does.
        """
        if weights is not None:
            trajectories = replace(trajectories, weights=np.asarray(weights, dtype=np.float64))
        _check_tailoring(self.tailoring, trajectories)
        if self.folds < 2:
            raise EstimationError(
                f"{self.folds} folds: the best of a grid is valued out of fold; ask for at least 2"
            )
        check_values(trajectories.stages)
        choices = [list(self._rules(h, trajectories)) for h in trajectories.stages]
        count = int(np.prod([len(one) for one in choices]))
        if count > MOST_REGIMES:
            raise EstimationError(
                f"the grid has {count} regimes, more than {MOST_REGIMES}; ask for fewer points, "
                "sides or tailoring variables"
            )
        self.regimes_ = tuple(product(*choices))
        values = self._values(trajectories)
        influence = np.vstack([_influence(one) for one in values])
        self.critical_value_ = multiplier_critical_value(
            influence, level=self.level, draws=self.draws, random_state=self.random_state
        )
        self.values_ = tuple(self._widened(one, len(values)) for one in values)
        estimates = np.array([one.estimate for one in values]) * trajectories.sign
        self.best_ = int(estimates.argmax())
        self.rules_ = self.regimes_[self.best_]
        self.stages_ = tuple(
            RuleStage(rule, h.spec)
            for rule, h in zip(self.rules_, trajectories.stages, strict=True)
        )
        self.value_ = self._out_of_fold(trajectories, values, influence)
        return self

    def table(self) -> pd.DataFrame:
        """Return one row a regime: label, estimate, standard error, and simultaneous interval."""
        return pd.DataFrame(
            [{"label": one.label, "estimate": one.estimate, "standard_error": one.standard_error,
              "low": one.low, "high": one.high, "followers": one.followers,
              "best": at == self.best_} for at, one in enumerate(self.values_)]
        )  # fmt: skip

    def _rules(self, h: StageData, trajectories: Trajectories) -> Iterator[StageRule]:
        stage = h.spec.stage
        names = tuple((self.tailoring or {}).get(stage, ()))
        if not names:
            yield (self.others or {}).get(stage, Observed())
            return
        treat, otherwise = (self.treat or {}).get(stage, (h.spec.actions[-1], h.spec.actions[0]))
        for action in (treat, otherwise):
            h.spec.place(action)
        digits = the_digits(h, trajectories.kinds)
        yield ThresholdRule((), treat, otherwise)
        yield ThresholdRule((), otherwise, treat)
        grids = [self._thresholds(h, name, digits) for name in names]
        for sides in product(self.sides, repeat=len(names)):
            for bounds in product(*grids):
                tests = tuple(zip(names, sides, bounds, strict=True))
                yield ThresholdRule(tests, treat, otherwise, {name: digits[name] for name in names})

    def _thresholds(self, h: StageData, name: str, digits: Mapping[str, int]) -> list[float]:
        if name not in digits:
            raise EstimationError(
                f"stage {h.spec.stage}: {name} is no number, so that it has no threshold; "
                "use a policy tree"
            )
        if self.grid is not None and name in self.grid:
            return sorted({float(one) for one in self.grid[name]})
        values = np.unique(quantise(h.columns[name][h.decided], digits[name]))
        if len(values) < 2:
            raise EstimationError(f"stage {h.spec.stage}: {name} is constant; leave it out")
        drawn = np.sort(quantise(h.columns[name][h.decided], digits[name]))
        wanted = np.quantile(drawn, np.arange(1, self.points + 1) / (self.points + 1))
        places = np.clip(np.searchsorted(values, wanted), 1, len(values) - 1)
        return sorted({between(values[at - 1], values[at]) for at in places})

    def _values(self, trajectories: Trajectories) -> list[ValueEstimate]:
        if self.method == "weighting":
            return [
                ipw_value(trajectories, rules, label=_label(rules), propensity=self.propensity)
                for rules in self.regimes_
            ]
        if self.method != "doubly_robust":
            raise EstimationError(
                f"method {self.method!r} is unknown; it is 'doubly_robust' or 'weighting'"
            )
        prepared = prepare(
            trajectories, propensity=self.propensity, outcome=self.outcome, n_folds=self.folds,
            random_state=self.random_state,
        )  # fmt: skip
        return [prepared.value(rules, _label(rules)) for rules in self.regimes_]

    def _widened(self, one: ValueEstimate, count: int) -> ValueEstimate:
        half = self.critical_value_ * one.standard_error
        note = f"interval holds together with those of {count - 1} others (multiplier bootstrap)"
        return replace(one, level=self.level, interval=(one.estimate - half, one.estimate + half),
                       notes=(*one.notes, note))  # fmt: skip

    def _out_of_fold(
        self, trajectories: Trajectories, values: Sequence[ValueEstimate], influence: Floats
    ) -> ValueEstimate:
        """Return the value of the best of all folds but one, on the fold that is left out."""
        folds = folds_of(trajectories, self.folds, self.random_state)
        pseudo = influence + np.array([one.estimate for one in values])[:, None]
        held = np.empty(len(trajectories))
        chosen = []
        for fold in range(self.folds):
            inside = folds == fold
            best = int((trajectories.sign * pseudo[:, ~inside].mean(axis=1)).argmax())
            held[inside] = pseudo[best, inside]
            chosen.append(best)
        mean = float(held.mean())
        same = sum(one == self.best_ for one in chosen)
        best_value = values[self.best_]
        note = (
            f"chosen without, and valued on, each of {self.folds} folds in turn; {same} of them "
            "chose the regime that all data choose"
        )
        return replace(
            best_value, label="the best of the grid, out of fold", estimate=mean,
            influence=held - mean, standard_error=standard_error(held - mean), level=self.level,
            interval=None, estimand=f"{best_value.estimand}; chosen among {len(values)} regimes",
            notes=(*best_value.notes, note),
        )  # fmt: skip


def multiplier_critical_value(
    influence: Floats, *, level: float = 0.95, draws: int = DRAWS, random_state: int = 0
) -> float:
    """Return how many standard errors every interval must reach for all to hold at once.

    The ``level`` quantile, over draws of independent standard normal multipliers e_i, of
    max_r |sum_i e_i phi_r(i)| / sqrt(sum_i phi_r(i)^2).

    Args:
        influence: influence functions, shape (regimes, n).
        level: of all intervals together.
        draws: how many; the error of the quantile falls with their square root.
        random_state: seed.

    References:
        Chernozhukov, Chetverikov & Kato (2013), Annals of Statistics 41.
    """
    scale = np.sqrt(np.sum(influence**2, axis=1))
    moving = influence[scale > 0] / scale[scale > 0, None]
    if not len(moving):
        return 0.0
    rng = np.random.default_rng(random_state)
    largest = np.empty(draws)
    for start in range(0, draws, _BLOCK):
        size = min(_BLOCK, draws - start)
        moved = rng.normal(size=(size, influence.shape[1])) @ moving.T
        largest[start : start + size] = np.abs(moved).max(axis=1)
    return float(np.quantile(largest, level))


def _influence(one: ValueEstimate) -> Floats:
    if one.influence is None:
        raise EstimationError(f"{one.label} has no influence function, so no interval is found")
    return one.influence


def _label(rules: Rules) -> str:
    words = [one.label if isinstance(one, ThresholdRule) else type(one).__name__.lower()
             for one in rules]  # fmt: skip
    return ", then ".join(words)


def _check_tailoring(
    tailoring: Mapping[str, Sequence[str]] | None, trajectories: Trajectories
) -> None:
    specs = {h.spec.stage: h.spec for h in trajectories.stages}
    if not tailoring:
        raise EstimationError("no tailoring variable is named; name one or two for some stage")
    for stage, names in tailoring.items():
        if stage not in specs:
            raise EstimationError(f"there is no stage {stage!r}; the stages are {', '.join(specs)}")
        if isinstance(names, str) or not 1 <= len(names) <= 2:
            raise EstimationError(f"stage {stage}: name one or two tailoring variables in a list")
        for name in names:
            if name not in specs[stage].variables:
                raise EstimationError(
                    f"stage {stage} has no variable {name!r}; it has "
                    f"{', '.join(specs[stage].variables)}"
                )
