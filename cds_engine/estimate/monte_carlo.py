"""Patients are simulated stage by stage from models of each variable given all that came before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints, holds, missing, plain
from cds_engine.estimate.feasible_logit import FeasibleLogit, SeparationError
from cds_engine.estimate.history_matrix import levels_of, numbers
from cds_engine.estimate.propensity import PropensityModel, learn_propensity
from cds_engine.estimate.rule import NO_DECISION, USUAL, Rules, advised
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories

Values = NDArray[Any]


def simulated_value(
    trajectories: Trajectories, rules: Rules, conditionals: Mapping[str, Any], outcome: Any,
    draws: int, rng: np.random.Generator,
) -> float:  # fmt: skip
    """Return the mean outcome of simulated patients who follow a regime."""
    return TimeOrdered(conditionals, outcome).fit(trajectories).mean_outcome(rules, draws, rng)


@dataclass
class _Node:
    """One variable of one stage: where it comes from in a simulated patient."""

    name: str
    source: str = "model"
    """``baseline``, ``model``, ``derived``, ``carried:<stage>`` or ``action:<stage>``."""
    levels: tuple[str, ...] | None = None
    boolean: bool = False
    fitted: Any = None
    spread: float = 0.0


@dataclass
class TimeOrdered:
    """Models of every variable given all earlier ones, in order of time.

    Stage 1 histories are those observed. A later variable is taken over where it has the same name
    and values as an earlier one, or where an earlier action decides it; every other is drawn: a
    number from least squares with normal residuals of constant variance, yes or no and labels from
    logistic regression. Predictors are all earlier variables and actions, with products of each
    action with all before it. The outcome is not drawn: its fitted mean is averaged, from logistic
    regression where it is 0 or 1, else from least squares. Within a stage variables follow each
    other in the order of their names.

    Attributes:
        conditionals: variable, or ``stage.variable``, -> a scikit-learn regressor (residuals are
            normal around it) or classifier, or a function that gives the values of a derived
            variable, from the columns of the stage so far (variable -> values), those of earlier
            stages (``stage.variable``) and earlier actions (``action_<stage>``).
        outcome: scikit-learn regressor of the outcome, or None.
    """

    conditionals: Mapping[str, Any] = field(default_factory=dict)
    outcome: Any = None

    def fit(self, trajectories: Trajectories) -> "TimeOrdered":
        """Fit all conditionals.

        Raises:
            EstimationError: if a variable cannot be modelled, such as one that others determine.
        """
        t = self.trajectories_ = trajectories
        self.nodes_: list[list[_Node]] = []
        self.decided_: list[Any] = []
        self.usual_: dict[int, PropensityModel] = {}
        self.silent_ = [bool((h.action == NO_DECISION).any()) for h in t.stages]
        past = np.zeros((len(t), 0))
        for k, h in enumerate(t.stages):
            nodes = []
            for name in sorted(h.columns):
                node = self._node(k, name, past)
                nodes.append(node)
                past = self._with(past, node, h.columns[name])
            self.nodes_.append(nodes)
            self.decided_.append(self._decision(k, past))
            past = self._acted(past, k, h.action)
        self._fit_outcome(past)
        return self

    def mean_outcome(self, rules: Rules, draws: int, rng: np.random.Generator) -> float:
        """Return the mean outcome of at least ``draws`` patients who follow a regime."""
        t = self.trajectories_
        rows = np.tile(np.arange(len(t)), max(1, -(-draws // len(t))))
        past = np.zeros((len(rows), 0))
        stages: list[StageData] = []
        for k, h in enumerate(t.stages):
            columns: dict[str, Values] = {}
            for node in self.nodes_[k]:
                columns[node.name] = self._drawn(k, node, rows, past, stages, columns, rng)
                past = self._with(past, node, columns[node.name])
            decided = self._decides(k, rows, past, columns, rng)
            here = _stage(h, columns, decided, t)
            action = self._takes(k, here, rules, rng)
            stages.append(_acting(here, action))
            past = self._acted(past, k, action)
        weight = t.weights[rows]
        return float(weight @ self._mean(past) / weight.sum())

    def _node(self, k: int, name: str, past: Floats) -> _Node:
        h = self.trajectories_.stages[k]
        values = h.columns[name]
        node = _Node(name, boolean=values.dtype == np.bool_)
        if values.dtype == object:
            node.levels = levels_of(values)
        given = self.conditionals.get(f"{h.spec.stage}.{name}", self.conditionals.get(name))
        if k == 0:
            node.source = "baseline"
        elif given is not None and not hasattr(given, "fit"):
            node.source, node.fitted = "derived", given
        elif given is None and (source := self._source(k, name)):
            node.source = source
            if source.startswith("action:"):
                earlier = self.trajectories_.stages[int(source.partition(":")[2])]
                node.fitted = _told(values, earlier, ~missing(values))
        else:
            self._fit_node(node, values, past, given, f"{h.spec.stage}.{name}")
        return node

    def _source(self, k: int, name: str) -> str:
        """Return where a variable of a later stage is taken over from, if anywhere."""
        t = self.trajectories_
        h = t.stages[k]
        values = h.columns[name]
        known = ~missing(values)
        for j in reversed(range(k)):
            earlier = t.stages[j]
            if name in earlier.columns and _equal(values, earlier.columns[name], known):
                return f"carried:{j}"
            if known.any() and _told(values, earlier, known) is not None:
                return f"action:{j}"
        return ""

    def _fit_node(self, node: _Node, values: Values, past: Floats, given: Any, where: str) -> None:
        known = ~missing(values)
        X = past[known]
        weight = self.trajectories_.weights[known]
        target = values[known]
        if node.boolean or node.levels is not None:
            places = (target.astype(np.intp) if node.levels is None
                      else np.searchsorted(node.levels, [str(one) for one in target]))  # fmt: skip
            node.fitted = _classifier(X, places, len(node.levels or "ab"), weight, given, where)
            return
        target = target.astype(np.float64)
        node.fitted = (_Linear().fit(X, target, weight) if given is None
                       else clone(given).fit(X, target))  # fmt: skip
        freedom = len(X) - getattr(node.fitted, "rank_", 1)
        if freedom <= 0:
            raise EstimationError(
                f"{where}: {len(X)} rows cannot carry the model of this variable given all before "
                "it; use fewer variables, or give a model (`conditionals`)"
            )
        residual = target - node.fitted.predict(X)
        node.spread = float(np.sqrt(weight @ residual**2 / weight.mean() / freedom))

    def _drawn(
        self, k: int, node: _Node, rows: Ints, past: Floats, stages: list[StageData],
        columns: Mapping[str, Values], rng: np.random.Generator,
    ) -> Values:  # fmt: skip
        kind, _, stage = node.source.partition(":")
        if kind == "baseline":
            return self.trajectories_.stages[k].columns[node.name][rows]
        if kind == "carried":
            return stages[int(stage)].columns[node.name]
        if kind == "action":
            return np.asarray(node.fitted)[stages[int(stage)].action]
        if kind == "derived":
            return plain(node.fitted({**_before(stages), **columns}))
        if node.boolean or node.levels is not None:
            places = _picked(_shares_of(node.fitted, past, len(node.levels or "ab")), rng)
            if node.levels is None:
                return places.astype(np.bool_)
            return np.array(node.levels, dtype=object)[places]
        noise: Floats = rng.normal(size=len(past)) * node.spread
        return np.asarray(node.fitted.predict(past)) + noise

    def _with(self, past: Floats, node: _Node, values: Values) -> Floats:
        """Return the past with a variable added; what only repeats it adds nothing."""
        if node.source.partition(":")[0] in {"carried", "action"}:
            return past
        levels = {} if node.levels is None else {node.name: node.levels}
        block = np.nan_to_num(numbers({node.name: values}, (node.name,), levels))
        return np.hstack([past, block])

    def _acted(self, past: Floats, k: int, action: Ints) -> Floats:
        """Return the past with an action and its products with all before it added."""
        count = self.trajectories_.stages[k].n_actions
        levels = [*range(1, count), *([NO_DECISION] if self.silent_[k] else [])]
        dummies = [(action == place).astype(np.float64)[:, None] for place in levels]
        return np.hstack([past, *dummies, *(past * one for one in dummies)])

    def _decision(self, k: int, past: Floats) -> Any:
        h = self.trajectories_.stages[k]
        if k == 0 or h.spec.when is not None or h.decided.all():
            return None
        return _classifier(past, h.decided.astype(np.intp), 2, self.trajectories_.weights, None,
                           f"{h.spec.stage}: who has a decision")  # fmt: skip

    def _decides(
        self, k: int, rows: Ints, past: Floats, columns: Mapping[str, Values],
        rng: np.random.Generator,
    ) -> Bools:  # fmt: skip
        h = self.trajectories_.stages[k]
        if k == 0:
            return h.decided[rows]
        if h.spec.when is not None:
            return holds(h.spec.when, columns, len(rows), self.trajectories_.kinds)
        if self.decided_[k] is None:
            return np.ones(len(rows), dtype=np.bool_)
        return _picked(_shares_of(self.decided_[k], past, 2), rng).astype(np.bool_)

    def _takes(self, k: int, here: StageData, rules: Rules, rng: np.random.Generator) -> Ints:
        places = advised(rules[k], here)
        usual = places == USUAL
        if usual.any():
            some = here.take(usual)
            places = places.copy()
            places[usual] = _picked(self._usual_shares(k, some), rng)
        return places

    def _usual_shares(self, k: int, some: StageData) -> Floats:
        """Return how often each action is usual: by design, or as fitted when first asked for."""
        h = self.trajectories_.stages[k]
        if h.propensity is not None:
            return _by_design(some)
        if k not in self.usual_:
            self.usual_[k] = learn_propensity(h)
        return self.usual_[k](some)

    def _fit_outcome(self, past: Floats) -> None:
        t = self.trajectories_
        seen = t.observed
        y, X, weight = t.outcome[seen], past[seen], t.weights[seen]
        self.turned_ = bool(np.isin(y, (0.0, -1.0)).all() and (y == -1.0).any())
        self.binary_ = self.outcome is None and (self.turned_ or bool(np.isin(y, (0, 1)).all()))
        if self.outcome is not None:
            self.outcome_ = clone(self.outcome).fit(X, y)
        elif self.binary_:
            self.outcome_ = _classifier(X, np.abs(y).astype(np.intp), 2, weight, None,
                                        t.outcome_name)  # fmt: skip
        else:
            self.outcome_ = _Linear().fit(X, y, weight)

    def _mean(self, past: Floats) -> Floats:
        if self.binary_:
            share = _shares_of(self.outcome_, past, 2)[:, 1]
            return -share if self.turned_ else share
        return np.asarray(self.outcome_.predict(past), dtype=np.float64)


class _Linear:
    """Least squares of least norm."""

    def fit(self, X: Floats, y: Floats, weight: Floats) -> "_Linear":
        root = np.sqrt(weight)
        Z = np.column_stack([np.ones(len(X)), X])
        self.b, _, self.rank_, _ = np.linalg.lstsq(Z * root[:, None], y * root, rcond=None)
        return self

    def predict(self, X: Floats) -> Floats:
        predicted: Floats = self.b[0] + X @ self.b[1:]
        return predicted


def _classifier(X: Floats, places: Ints, count: int, weight: Floats, given: Any, where: str) -> Any:
    if given is not None:
        return clone(given).fit(X, places)
    if len(np.unique(places)) == 1:
        return int(places[0])
    feasible = np.ones((len(X), count), dtype=np.bool_)
    try:
        return FeasibleLogit().fit(X, places, feasible, weight)
    except SeparationError as error:
        raise EstimationError(
            f"{where}: what came before separates its values perfectly in {error.rows} of {len(X)} "
            "rows, so that no logistic model has a maximum; if others determine it, give the "
            "function that derives it (`conditionals`), else a penalised classifier"
        ) from error


def _shares_of(fitted: Any, X: Floats, count: int) -> Floats:
    held = np.zeros((len(X), count))
    if isinstance(fitted, int):
        held[:, fitted] = 1.0
    elif isinstance(fitted, FeasibleLogit):
        return fitted.predict_proba(X, np.ones((len(X), count), dtype=np.bool_))
    else:
        held[:, fitted.classes_.astype(np.intp)] = fitted.predict_proba(X)
    return held


def _picked(shares: Floats, rng: np.random.Generator) -> Ints:
    """Draw one place a row."""
    edges = np.cumsum(shares, axis=1)
    drawn = rng.random(len(shares))[:, None] * edges[:, -1:]
    passed = np.sum(drawn >= edges, axis=1, dtype=np.intp)
    return np.asarray(np.minimum(passed, shares.shape[1] - 1), dtype=np.intp)


def _told(values: Values, earlier: StageData, known: Bools) -> Values | None:
    """Return the value for each action of an earlier stage (last: for none), if that decides it."""
    places = np.append(np.arange(earlier.n_actions), NO_DECISION)
    held = [values[known & (earlier.action == place)] for place in places]
    if any(len(one) and (one != one[0]).any() for one in held):
        return None
    usual = values[known][:1]
    return np.concatenate([one[:1] if len(one) else usual for one in held])


def _before(stages: Sequence[StageData]) -> dict[str, Values]:
    """Return earlier variables as ``stage.variable`` and earlier actions as ``action_stage``."""
    held: dict[str, Values] = {}
    for h in stages:
        held |= {f"{h.spec.stage}.{name}": values for name, values in h.columns.items()}
        names = np.array([*h.spec.actions, None], dtype=object)
        held[f"action_{h.spec.stage}"] = names[h.action]
    return held


def _equal(values: Values, others: Values, known: Bools) -> bool:
    if len(values) != len(others) or not known.any():
        return False
    return bool((values[known] == others[known]).all())


def _stage(
    h: StageData, columns: Mapping[str, Values], decided: Bools, t: Trajectories
) -> StageData:
    feasible = np.repeat(decided[:, None], h.n_actions, axis=1)
    for name, text in h.spec.feasible.items():
        feasible[:, h.spec.place(name)] &= holds(text, columns, len(decided), t.kinds)
    if none := int(np.count_nonzero(decided & ~feasible.any(axis=1))):
        raise EstimationError(
            f"stage {h.spec.stage}: no action is feasible for {none} of {len(decided)} simulated "
            "patients; correct the criteria, or the model of the variables they rest on"
        )
    return StageData(
        spec=h.spec, columns=columns, decided=decided, feasible=feasible,
        action=np.full(len(decided), NO_DECISION, dtype=np.intp), reward=np.zeros(len(decided)),
    )  # fmt: skip


def _acting(h: StageData, action: Ints) -> StageData:
    return StageData(spec=h.spec, columns=h.columns, decided=h.decided, feasible=h.feasible,
                     action=action, reward=h.reward)  # fmt: skip


def _by_design(h: StageData) -> Floats:
    odds = np.array([(h.spec.randomised or {})[name] for name in h.spec.actions], dtype=np.float64)
    shares = h.feasible * odds
    held: Floats = shares / shares.sum(axis=1, keepdims=True)
    return held
