"""A marginal structural model says how the mean outcome depends on the actions alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.stats import norm
from sklearn.base import BaseEstimator

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.missing_outcomes import Missing, checked, probability_observed
from cds_engine.estimate.propensity import learn_propensity
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import WeightSummary
from cds_engine.estimate.weights import Propensities, effective_n, propensities, truncated


@dataclass(frozen=True)
class Effect:
    """A linear combination of a model's coefficients, with its cluster-robust interval."""

    label: str
    estimate: float
    standard_error: float
    low: float
    high: float


class MSM(BaseEstimator):  # type: ignore[misc]
    """E[Y^(a_1..a_K) | V] = g^-1(b_0 + sum of b_ka 1(a_k = a) + c'V [+ products]).

    Fitted by weighted generalised estimating equations with independence working correlation. The
    weight of a trajectory is the product over stages of P(A_k | A_1..A_{k-1}, V) / P(A_k | H_k)
    (stabilised) or of 1 / P(A_k | H_k). A patient without a decision at a stage is consistent with
    every action there, and enters once for each, with the factor P(a | A_1..A_{k-1}, V) / 1; hence
    the errors are clustered by patient.

    Conventions: robust (sandwich) covariance clustered by patient, weights taken as known, with
    the small-sample factor G/(G-1) (N-1)/(N-p) only if ``correction``.

    Args:
        modifiers: variables of the first stage, V; they are in the model and, with past actions,
            in the numerator of stabilised weights.
        interactions: whether products of the actions of every two stages are in the model.
        modified: whether products of actions and modifiers are in the model.
        references: stage -> reference action; the first declared unless given.
        family: ``gaussian`` (identity link) or ``binomial`` (logit link).
        propensity: for all stages or one for each; see ``fit_propensity``.
        stabilised: whether weights are stabilised.
        truncate: as in ``ipw_value``.
        missing: as in ``ipw_value``.
        correction: whether the small-sample factor is applied.
        level: of intervals.

    Attributes:
        names_: names of the coefficients, such as ``first=high``.
        coefficients_: shape (p,), for the outcome in its declared direction.
        covariance_: shape (p, p).
        weights_: those that were used, one for each trajectory.
        weight_summary_: what they look like before sample weights; stabilised ones average about 1.
        effective_n_: of the weights.
        notes_: about missing outcomes and truncation.

    References:
        Robins, Hernan and Brumback (2000), Epidemiology 11.
    """

    def __init__(  # noqa: PLR0913 - each is documented above
        self,
        *,
        modifiers: Sequence[str] = (),
        interactions: bool = False,
        modified: bool = False,
        references: Mapping[str, str] | None = None,
        family: Literal["gaussian", "binomial"] = "gaussian",
        propensity: Propensities = None,
        stabilised: bool = True,
        truncate: float | None = None,
        missing: Missing = "refuse",
        correction: bool = False,
        level: float = 0.95,
    ) -> None:
        self.modifiers = modifiers
        self.interactions = interactions
        self.modified = modified
        self.references = references
        self.family = family
        self.propensity = propensity
        self.stabilised = stabilised
        self.truncate = truncate
        self.missing = missing
        self.correction = correction
        self.level = level

    def fit(self, X: Trajectories, y: None = None) -> Self:
        """Fit to trajectories; ``y`` is part of them and not given.

        Raises:
            EstimationError: if an action is not feasible for everybody who has a decision, so that
                the mean had all taken it is not defined; if a parameter is not understood; if the
                outcome does not fit the family; or as ``fit_propensity`` does.
        """
        _ = y
        t = X
        notes = checked(t, self.missing)
        self._check(t)
        V, self.modifier_names_ = self._modifiers(t)
        rows, actions, weight = self._copies(t, V)
        weight, self.weight_summary_, cut = self._weights(t, rows, weight)
        D, self.names_ = self._design(t, actions, V[rows])
        outcome = (t.sign * t.outcome)[rows]
        inside = weight > 0
        self._check_rank(D[inside])
        self._estimate(outcome[inside], D[inside], weight[inside], rows[inside])
        self.weights_ = np.bincount(rows, weight, minlength=len(t)).astype(np.float64)
        own = self.weights_[t.weights > 0] / t.weights[t.weights > 0]
        self.weight_summary_ = replace(
            self.weight_summary_, largest=float(own.max()), mean=float(own.mean()),
            standard_deviation=float(own.std()),
        )  # fmt: skip
        self.effective_n_ = effective_n(self.weights_)
        self.notes_ = (*notes, *cut)
        self.stages_ = {h.spec.stage: h.spec.actions for h in t.stages}
        return self

    def summary(self) -> pd.DataFrame:
        """Return the coefficients with cluster-robust standard errors and intervals."""
        effects = [self.combination({name: 1.0}, name) for name in self.names_]
        return pd.DataFrame([vars(one) for one in effects])

    def combination(self, factors: Mapping[str, float], label: str = "") -> Effect:
        """Return a linear combination of coefficients, on the scale of the linear predictor.

        Args:
            factors: name of a coefficient -> its factor.
            label: what it is called.

        Raises:
            EstimationError: if there is no such coefficient.
        """
        c = np.zeros(len(self.names_))
        for name, factor in factors.items():
            if name not in self.names_:
                raise EstimationError(
                    f"the model has no coefficient {name!r}; it has {', '.join(self.names_)}"
                )
            c[self.names_.index(name)] = factor
        return self._effect(c, label or " + ".join(factors))

    def mean_outcome(
        self, actions: Mapping[str, str], modifiers: Mapping[str, float] | None = None
    ) -> Effect:
        """Return the linear predictor had all taken the given actions, at given modifiers.

        For ``gaussian`` that is the mean outcome, for ``binomial`` its log odds.

        Args:
            actions: stage -> action, for every stage.
            modifiers: column of the modifiers, such as ``x1`` or ``sex=male`` -> value.

        Raises:
            EstimationError: if a stage or modifier is left out or unknown.
        """
        given = dict(modifiers or {})
        if set(actions) != set(self.stages_) or set(given) != set(self.modifier_names_):
            raise EstimationError(
                f"give an action for each of {', '.join(self.stages_)} and a value for each of the "
                f"modifiers ({', '.join(self.modifier_names_) or 'none'})"
            )
        places = [np.array([_place(self.stages_, stage, actions[stage])]) for stage in self.stages_]
        v = np.array([[given[name] for name in self.modifier_names_]], dtype=np.float64)
        c = self._columns(list(self.stages_.items()), places, v.reshape(1, -1))[0][0]
        return self._effect(c, " > ".join(actions[stage] for stage in self.stages_))

    def _effect(self, c: Floats, label: str) -> Effect:
        estimate = float(c @ self.coefficients_)
        error = float(np.sqrt(c @ self.covariance_ @ c))
        half = float(norm.ppf(0.5 + self.level / 2)) * error
        return Effect(label, estimate, error, estimate - half, estimate + half)

    def _estimate(self, y: Floats, D: Floats, weight: Floats, rows: Ints) -> None:
        """Fit by weighted maximum likelihood, with the sandwich clustered by row."""
        family = sm.families.Gaussian() if self.family == "gaussian" else sm.families.Binomial()
        fitted = sm.GLM(y, D, family=family, var_weights=weight).fit(tol=1e-12)
        self.coefficients_ = np.asarray(fitted.params, dtype=np.float64)
        mean = np.asarray(fitted.fittedvalues, dtype=np.float64)
        curve = weight if self.family == "gaussian" else weight * mean * (1 - mean)
        bread = np.linalg.inv(D.T @ (D * curve[:, None]))
        who = np.unique(rows, return_inverse=True)[1]
        scores = np.zeros((int(who.max()) + 1, D.shape[1]))
        np.add.at(scores, who, D * (weight * (y - mean))[:, None])
        clusters, n, p = len(scores), *D.shape
        factor = clusters / (clusters - 1) * (n - 1) / (n - p) if self.correction else 1.0
        self.covariance_ = factor * bread @ (scores.T @ scores) @ bread

    def _check(self, t: Trajectories) -> None:
        if self.family not in {"gaussian", "binomial"}:
            raise EstimationError(
                f"family {self.family!r} is not understood; give 'gaussian' or 'binomial'"
            )
        y = t.outcome[t.observed] * t.sign
        if self.family == "binomial" and not np.isin(y, (0.0, 1.0)).all():
            raise EstimationError(
                f"family 'binomial' needs outcomes of 0 and 1, but {t.outcome_name} has others"
            )
        names = [h.spec.stage for h in t.stages]
        for stage in self.references or {}:
            if stage not in names:
                raise EstimationError(f"there is no stage {stage!r}; there are {', '.join(names)}")
        for h in t.stages:
            lacking = int(np.count_nonzero(h.decided & ~h.feasible.all(axis=1)))
            if lacking:
                raise EstimationError(
                    f"stage {h.spec.stage}: in {lacking} of {int(h.decided.sum())} rows not every "
                    "action is feasible, so that the mean had all taken it is not defined; value "
                    "regimes that respect feasible sets instead (`value_table`)"
                )

    def _modifiers(self, t: Trajectories) -> tuple[Floats, tuple[str, ...]]:
        first = t.stages[0]
        if unknown := [name for name in self.modifiers if name not in first.columns]:
            raise EstimationError(
                f"{unknown[0]!r} is no variable of the first stage, and only those can be "
                f"modifiers; it has {', '.join(first.columns)}"
            )
        if not self.modifiers:
            return np.zeros((len(t), 0)), ()
        if not first.decided.all():
            raise EstimationError(
                f"stage {first.spec.stage}: {int((~first.decided).sum())} rows have no decision "
                "there, so that modifiers may be unknown; leave the modifiers out"
            )
        chosen = replace(first, columns={name: first.columns[name] for name in self.modifiers})
        matrix = HistoryMatrix.of(chosen)
        return matrix(chosen), matrix.names()

    def _copies(self, t: Trajectories, V: Floats) -> tuple[Ints, list[Ints], Floats]:
        """Return rows with the actions each stands for; those without a decision stand for all."""
        rows = np.arange(len(t))
        actions: list[Ints] = []
        weight = t.weights * t.observed / probability_observed(t)
        denominators = propensities(t, self.propensity)
        for h, p in zip(t.stages, denominators, strict=True):
            times = np.where(h.decided, 1, h.n_actions)[rows]
            every = np.repeat(np.arange(len(rows)), times)
            turn = np.arange(len(every)) - np.repeat(np.cumsum(times) - times, times)
            past = [one[every] for one in actions]
            rows, weight = rows[every], weight[every]
            decided = h.decided[rows]
            action = np.where(decided, h.action[rows], turn).astype(np.intp)
            of_taken = p[rows, np.maximum(h.action[rows], 0)]
            if impossible := int(np.count_nonzero(decided & ~(of_taken > 0))):
                raise EstimationError(
                    f"stage {h.spec.stage}: {impossible} rows took an action whose propensity is 0"
                )
            weight = weight / np.where(decided, of_taken, 1.0)
            if self.stabilised:
                weight = weight * self._numerator(h, rows, past, action, V)
            actions = [*past, action]
        return rows, actions, weight

    def _numerator(
        self, h: StageData, rows: Ints, past: Sequence[Ints], action: Ints, V: Floats
    ) -> Floats:
        """Return P(A_k = a | past actions, V), fitted to those who had a decision."""
        here = h.take(rows)
        columns: dict[str, Any] = {f"v{at}": V[rows, at] for at in range(V.shape[1])}
        for at, one in enumerate(past):
            columns[f"a{at}"] = one.astype(str).astype(object)
        if not columns:
            columns = {"constant": np.zeros(len(rows))}
        known = replace(here, columns=columns, propensity=None)
        everybody = replace(
            known, decided=np.ones(len(rows), dtype=np.bool_), action=action,
            feasible=np.ones(here.feasible.shape, dtype=np.bool_),
        )  # fmt: skip
        share = learn_propensity(known)(everybody)
        return share[np.arange(len(rows)), action]

    def _weights(
        self, t: Trajectories, rows: Ints, weight: Floats
    ) -> tuple[Floats, WeightSummary, tuple[str, ...]]:
        relative = weight / t.weights[rows].clip(min=1e-300)
        cut, summary = truncated(relative, self.truncate)
        notes: tuple[str, ...] = ()
        if summary.truncated:
            notes = (f"{summary.truncated} weights truncated at {summary.truncated_at:.4g}",)
        return cut * t.weights[rows], summary, notes

    def _design(
        self, t: Trajectories, actions: Sequence[Ints], V: Floats
    ) -> tuple[Floats, tuple[str, ...]]:
        return self._columns([(h.spec.stage, h.spec.actions) for h in t.stages], actions, V)

    def _columns(
        self, stages: Sequence[tuple[str, tuple[str, ...]]], actions: Sequence[Ints], V: Floats
    ) -> tuple[Floats, tuple[str, ...]]:
        names, columns = ["intercept"], [np.ones(len(V))]
        main: list[list[tuple[str, Floats]]] = []
        for (stage, options), action in zip(stages, actions, strict=True):
            reference = (self.references or {}).get(stage, options[0])
            _place({stage: options}, stage, reference)
            main.append([(f"{stage}={one}", (action == place).astype(np.float64))
                         for place, one in enumerate(options) if one != reference])  # fmt: skip
        flat = [term for terms in main for term in terms]
        terms = [*flat, *((name, V[:, at]) for at, name in enumerate(self.modifier_names_))]
        if self.interactions:
            terms += [(f"{a}:{b}", u * v) for one, other in combinations(main, 2)
                      for a, u in one for b, v in other]  # fmt: skip
        if self.modified:
            terms += [(f"{a}:{name}", u * V[:, at]) for a, u in flat
                      for at, name in enumerate(self.modifier_names_)]  # fmt: skip
        names += [name for name, _ in terms]
        columns += [values for _, values in terms]
        return np.column_stack(columns), tuple(names)

    def _check_rank(self, D: Floats) -> None:
        rank = int(np.linalg.matrix_rank(D))
        if rank < D.shape[1]:
            raise EstimationError(
                f"the data cannot tell the {D.shape[1]} coefficients of the model apart (rank "
                f"{rank} of {', '.join(self.names_)}); leave out interactions or modifiers"
            )


def _place(stages: Mapping[str, tuple[str, ...]], stage: str, action: str) -> int:
    options = stages[stage]
    if action not in options:
        raise EstimationError(
            f"stage {stage} has no action {action!r}; it has {', '.join(options)}"
        )
    return options.index(action)
