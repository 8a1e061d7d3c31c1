"""E[Y^d] of versions, usual care and fixed actions, by two methods, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from cds_engine.assume.positivity import overlap
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.comparison import fixed_regimes
from cds_engine.estimate.crude import crude_value, observed_value
from cds_engine.estimate.doubly_robust import Prepared, prepare
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.rule import Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate
from cds_engine.estimate.weights import advice, follows_so_far
from cds_engine.replay.figures.advice import Advice
from cds_engine.replay.figures.cohort import Cohort
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.recoded import recoded
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.untold import StoodFor

VERSION, AGAINST, USUAL_CARE = "version", "against", "usual"
Refusal = Literal[
    "nobody", "left-out", "deaths", "outcomes", "adjustment", "type", "untold", "models"
]  # fmt: skip
"""Why there is no value at all: nobody eligible, all left out, too many dead before the outcome,
too few outcomes observed, nothing to adjust for, an outcome without a mean, nobody who can stand
for those of whom an action is not known, or models that could not be fitted."""
STATES = "Patients by the state of their outcome"
SILENT = "it gave no advice at any decision with a choice, so it has no value of its own"
OPEN = (
    "it never advised one action over the others at a decision with a choice, so it has no value "
    "of its own"
)


@dataclass(frozen=True)
class One:
    """One regime and its two values; none where they are refused.

    Attributes:
        key: ``version``, ``against``, ``usual`` or ``fixed:...``.
        refused: why there is no value; empty where there is.
    """

    key: str
    label: str
    kind: str
    rules: Rules | None
    robust: ValueEstimate | None = None
    weighted: ValueEstimate | None = None
    crude: ValueEstimate | None = None
    refused: str = ""


@dataclass(frozen=True)
class Valued:
    """All values on the same trajectories.

    Attributes:
        cohort: who they rest on.
        regimes: by their keys.
        prepared: the nuisance models; None where all values are refused. Its own values weigh all
            alike, so that their terms are scores of single patients.
        shares: propensities of every stage, fitted to all.
        refused: why there is no value at all; empty where there is.
        kind: which of the kinds of ``Refusal`` that is; None where there is a value.
    """

    cohort: Cohort
    regimes: Mapping[str, One] = field(default_factory=dict)
    prepared: Prepared | None = None
    shares: tuple[Floats, ...] = ()
    refused: str = ""
    kind: Refusal | None = None

    def robust(self, key: str) -> ValueEstimate | None:
        """Return a doubly robust value, if there is one."""
        return self.regimes[key].robust if key in self.regimes else None


def valued(points: DecisionPoints, cohort: Cohort, settings: FigureSettings) -> Valued:
    """Return the values of both versions, of every fixed regime and of usual care."""
    if (why := _nothing_to_say(points, cohort, settings)) is not None:
        return Valued(cohort, kind=why[0], refused=why[1])
    t = trajectories_of(cohort)
    try:
        _, shares = overlap(t)
        prepared = prepare(t, n_folds=settings.folds, missing="weight", random_state=settings.seed)
        usual = observed_value(t, missing="weight", level=settings.level)
    except EstimationError as fault:
        return Valued(cohort, kind="models", refused=_models_failed(points.in_titles(fault)))
    care = One(USUAL_CARE, "Usual care", "usual care", None, usual, usual,
               observed_value(_naively(t).take(t.observed), level=settings.level))  # fmt: skip
    found = [_of(points, t, prepared, shares, one, settings) for one in _asked(points, cohort, t)]
    noted = {one.key: _noted(one, cohort) for one in [*found, care]}
    return Valued(cohort, noted, _alike(prepared), shares)


def _noted(one: One, cohort: Cohort) -> One:
    """Return a regime whose values say for whom the counted stand."""
    notes = () if cohort.stood_for is None else cohort.stood_for.notes
    held = {name: replace(value, notes=(*value.notes, *notes))
            for name in ("robust", "weighted")
            if (value := getattr(one, name)) is not None}  # fmt: skip
    return replace(one, **held) if notes else one


def _alike(prepared: Prepared) -> Prepared:
    """Return fitted models whose trajectories weigh the same, whomever they were fitted to."""
    return replace(prepared, trajectories=_naively(prepared.trajectories))


def _naively(t: Trajectories) -> Trajectories:
    """Return trajectories that stand for nobody but themselves."""
    return replace(t, weights=np.ones(len(t)))


def trajectories_of(cohort: Cohort) -> Trajectories:
    """Return the trajectories of a cohort that has some; raises EstimationError if not."""
    if cohort.trajectories is None:
        raise EstimationError("there are no trajectories; ask why before asking for a value")
    return cohort.trajectories


def _nothing_to_say(
    points: DecisionPoints, cohort: Cohort, settings: FigureSettings
) -> tuple[Refusal, str] | None:
    """Return why there can be no value, of which kind and in words; None where there can be."""
    if not cohort.eligible:
        return "nobody", "No patient was eligible at a stage that offers a choice."
    if (why := _died(cohort, settings)) is not None:
        return "deaths", why
    told = cohort.plain()
    if not told["counted"] and not cohort.outcomes:
        return "left-out", f"All {cohort.eligible} eligible patients are left out; see the reasons."
    t = cohort.trajectories
    if t is None:
        return (
            "outcomes",
            f"The outcome was observed of nobody. {STATES}: {_counts(cohort.outcomes)}.",
        )
    if bare := [h.spec.stage for h in t.stages if not h.spec.variables]:
        return "adjustment", (
            f"There is nothing to adjust for at stage {points.stage_title(bare[0])}, so that "
            "nothing explains who was treated how: every variable is the same for everybody, known "
            "of too few, or not asked for."
        )
    kind = points.bundle.kinds.get(points.bundle.document.aim.outcome)
    if kind is not None and kind.type not in ("number", "boolean"):
        return "type", f"The outcome is a {kind.type}, which has no mean."
    share = float(t.observed.mean())
    if share < settings.least_observed:
        return "outcomes", (
            f"The outcome was observed of {share:.0%} of {len(t)} patients, fewer than the "
            f"{settings.least_observed:.0%} that this report demands. "
            f"{STATES}: {_counts(cohort.outcomes)}."
        )
    if int(t.observed.sum()) < settings.least_effective_n:
        return "outcomes", (
            f"The outcome was observed of {int(t.observed.sum())} patients, fewer than the "
            f"{settings.least_effective_n:g} that this report demands. "
            f"{STATES}: {_counts(cohort.outcomes)}."
        )
    if cohort.stood_for is not None and cohort.stood_for.refused:
        return "untold", _nobody_stands_for(cohort.stood_for)
    return None


def _nobody_stands_for(them: StoodFor) -> str:
    """Return why those of whom an action is not known spoil every value."""
    return (
        f"Of {them.patients} patients an action is not known, and leaving them out would bias "
        f"every value: {them.refused}. What can be done: find out their actions, or adjust for "
        "fewer variables, which is right only without a variable that is no cause of treatment and "
        "outcome alike."
    )


def _died(cohort: Cohort, settings: FigureSettings) -> str | None:
    """Return why too many died for a mean outcome to mean anything; None where they did not."""
    told = cohort.deaths
    if told.share <= settings.most_deaths:
        return None
    return (
        f"{told.patients} of the {told.of} patients whose outcome was due died before it "
        f"({told.share:.0%}), more than the {settings.most_deaths:.0%} up to which this report "
        "tells a value: what the dead would have measured is not defined, and a version that "
        "costs lives could look better for it. --most-deaths allows more, which is right only "
        "where no treatment here bears on who dies."
    )


def _models_failed(why: str) -> str:
    """Return why no model could be fitted, with what a replay can do about it.

    What an estimator advises to whoever calls it, a replay cannot always follow.
    """
    what = why.partition("; ")[0].replace(" rows", " patients").rstrip(".")
    return (
        f"A model that the values need could not be fitted: {what}. What can be done here: replay "
        "more patients, or leave a variable out by naming those to keep with --adjust-for, which "
        "is right only for a variable that is no cause of treatment and outcome alike."
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


def _asked(points: DecisionPoints, cohort: Cohort, t: Trajectories) -> list[One]:
    asked = [_version(VERSION, points.bundle.identity, cohort.version)]
    if points.against is not None:
        asked.append(_version(AGAINST, points.against.identity, cohort.against,
                              _other_acts(points, cohort.against, t)))  # fmt: skip
    try:
        fixed = fixed_regimes(t)
    except EstimationError as fault:
        return [*asked, One("fixed", "Fixed actions", "fixed", None,
                             refused=points.in_titles(fault))]  # fmt: skip
    for name, rules in fixed.items():
        words = ", then ".join(points.label(one) for one in name.split(" > "))
        asked.append(One(f"fixed:{name}", f"Always: {words}", "fixed", rules))
    return asked


def _other_acts(points: DecisionPoints, said: Advice | None, t: Trajectories) -> list[str]:
    """Return what the second version advises that no code of the first's action of that name is."""
    apart = {one["action"]: one["label"] for one in recoded(points) if not one["shares"]}
    places = () if said is None else said.places
    advised = {h.spec.actions[at] for h, one in zip(t.stages, places, strict=False)
               for at in np.unique(one[one >= 0])}  # fmt: skip
    return [label for name, label in apart.items() if name in advised]


def _version(key: str, label: str, said: Advice | None, others: Sequence[str] = ()) -> One:
    if said is None:
        return One(key, label, "regime", None, refused="nothing is known of what it said")
    refused = ""
    if said.untaken:
        refused = f"it advises what nobody took: {'; '.join(said.untaken)}"
    elif others:
        refused = (
            f"it advises what the first version knows by other codes: {'; '.join(others)}; what "
            "was taken is judged by the first's"
        )
    elif said.silent:
        refused = OPEN if said.open else SILENT
    return One(key, label, "regime", said.rules(), refused=refused)


def _of(points: DecisionPoints, t: Trajectories, prepared: Prepared, shares: tuple[Floats, ...],
        one: One, settings: FigureSettings) -> One:  # fmt: skip
    """Return a regime with its values, or with the reason why they are refused."""
    if one.refused or one.rules is None:
        return one
    least, level = settings.least_effective_n, settings.level
    try:
        weighted = ipw_value(t, one.rules, label=one.label, propensity=list(shares),
                             missing="weight", level=level)  # fmt: skip
    except EstimationError as fault:
        return replace(one, refused=points.in_titles(fault))
    if weighted.effective_n < least:
        return replace(one, refused=(
            f"the {weighted.followers} patients who followed it weigh as much as "
            f"{weighted.effective_n:.1f}, fewer than the {least:g} that this report "
            "demands"))  # fmt: skip
    try:
        rules = _reordered(one.rules, prepared)
        robust = prepared.value(rules, one.label, level=level)
        crude = crude_value(_naively(t), one.rules, label=one.label, level=level)
    except EstimationError as fault:
        return replace(one, weighted=weighted, refused=points.in_titles(fault))
    return replace(one, robust=robust, weighted=weighted, crude=crude)


def _reordered(rules: Rules, prepared: Prepared) -> Rules:
    """Return rules for the trajectories in the order of the nuisance models."""
    held = [Advice((rule.places,), {}).rules(prepared.order)[0] if hasattr(rule, "places") else rule
            for rule in rules]  # fmt: skip
    return tuple(held)


def values_document(found: Valued) -> list[dict[str, Any]]:
    """Return every regime's values, with what a naive reader would have computed beside them."""
    usual = found.robust(USUAL_CARE)
    rows = []
    for one in found.regimes.values():
        row: dict[str, Any] = {"key": one.key, "label": one.label, "kind": one.kind,
                               "refused": one.refused or None}  # fmt: skip
        if not one.refused:
            row |= {"robust": estimate(one.robust), "weighted": estimate(one.weighted),
                    "crude": estimate(one.crude), "naive": _naive(found, one),
                    "deviates": _deviates(found, one.key)}  # fmt: skip
            if usual is not None and one.robust is not None and one.key != USUAL_CARE:
                row["minus_usual"] = estimate(one.robust.minus(usual))
        rows.append(row)
    return rows


def differences(found: Valued) -> list[dict[str, Any]]:
    """Return paired differences: each version against usual care, each other, and fixed ones."""
    pairs = [(VERSION, USUAL_CARE), (AGAINST, USUAL_CARE), (VERSION, AGAINST)]
    pairs += [(VERSION, key) for key in found.regimes if key.startswith("fixed")]
    told = []
    for one, other in pairs:
        if one not in found.regimes or other not in found.regimes:
            continue
        a, b = found.regimes[one], found.regimes[other]
        row: dict[str, Any] = {
            "of": one,
            "minus": other,
            "label": minus(a, b, two=AGAINST in found.regimes),
        }
        if a.robust is None or b.robust is None:
            row["refused"] = a.refused or b.refused
        else:
            row |= {"refused": None, "robust": estimate(a.robust.minus(b.robust))}
            if a.weighted is not None and b.weighted is not None:
                row["weighted"] = estimate(a.weighted.minus(b.weighted))
        told.append(row)
    return told


def minus(one: One, other: One, *, two: bool = False) -> str:
    """Return a difference in words, such as ``The version less usual care``.

    ``two`` says that there is a second version, from which the first is told apart.
    """
    names = {VERSION: "The first version" if two else "The version",
             AGAINST: "The second version"}  # fmt: skip
    label = names.get(other.key, other.label)
    return f"{names.get(one.key, one.label)} less {label[0].lower()}{label[1:]}"


def estimate(value: ValueEstimate | None) -> dict[str, Any] | None:
    """Return an estimate as JSON-ready data."""
    if value is None:
        return None
    weights = value.weights
    return {
        "estimate": value.estimate, "standard_error": value.standard_error, "low": value.low,
        "high": value.high, "n": value.n,
        "followers": None if value.followers < 0 else value.followers,
        "effective_n": value.effective_n, "method": value.method, "notes": list(value.notes),
        "largest_weight": None if weights is None else weights.largest,
        "mean_weight": None if weights is None else weights.mean,
    }  # fmt: skip


def _naive(found: Valued, one: One) -> dict[str, Any] | None:
    """Return the mean of those who followed less that of those who did not: not an effect."""
    if one.rules is None:
        return None
    t = trajectories_of(found.cohort)
    follows = follows_so_far(t, advice(t, one.rules))[-1]
    groups = [t.sign * t.outcome[who & t.observed] for who in (follows, ~follows)]
    if min(map(len, groups)) < 2:
        return None
    error = float(np.sqrt(sum(g.var(ddof=1) / len(g) for g in groups)))
    return {"estimate": float(groups[0].mean() - groups[1].mean()), "standard_error": error,
            "followed": len(groups[0]), "others": len(groups[1])}  # fmt: skip


def _deviates(found: Valued, key: str) -> dict[str, Any]:
    """Return of how many patients a regime says otherwise than what was done."""
    did = followers(found, key)
    return {"patients": int((~did).sum()), "of": len(did), "share": float((~did).mean())}


def followers(found: Valued, key: str) -> Bools:
    """Return who followed a regime at every stage, in the order of the trajectories."""
    t, one = trajectories_of(found.cohort), found.regimes[key]
    if one.rules is None:
        return np.ones(len(t), dtype=np.bool_)
    return np.asarray(follows_so_far(t, advice(t, one.rules))[-1])
