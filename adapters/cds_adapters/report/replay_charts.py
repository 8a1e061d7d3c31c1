"""The figures of a replay as charts; nothing is computed here that the figures do not hold."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cds_adapters.report.charts import (
    BalanceRow,
    Bar,
    CalibrationPoint,
    Chart,
    ControlPoint,
    Curve,
    Line,
    Mark,
    bars,
    calibration,
    control,
    curves,
    forest,
    heat,
    love,
)
from cds_adapters.report.numbers import (
    count,
    number,
    percent,
    with_interval,
)
from cds_adapters.report.replay_first import version_name
from cds_adapters.report.sides import better_side, verdict
from cds_engine.replay.figures.flips import in_words
from cds_engine.vocabulary.units import unit_words

Figures = Mapping[str, Any]
NAN = math.nan
HELD = "held back"
WEIGHTED_N = "Effective n of the weighted value"
"""Of the two values it is that of the weighted one that is held against the least effective n."""


def outcome_words(figures: Figures) -> str:
    """Return the outcome with its unit."""
    aim = figures["bundle"]["aim"]
    label = figures["bundle"]["variables"].get(aim["outcome"], aim["outcome"])
    return f"{label}{unit_of(figures)}"


def unit_of(figures: Figures) -> str:
    """Return the outcome's unit in brackets after a space; nothing where it has none."""
    unit = figures["bundle"]["aim"]["unit"]
    return f" ({unit_words(unit)})" if unit else ""


def begun(whose: str, title: str) -> str:
    """Return a title that begins with whose it is, if anybody's."""
    return f"{whose}{title[0].lower()}{title[1:]}" if whose else title


def in_order(figures: Figures, stages: Iterable[str]) -> list[str]:
    """Return stages in the order of the bundle; those it does not have come last."""
    held = set(stages)
    ordered = [name for name in figures["bundle"]["stage_order"] if name in held]
    return [*ordered, *sorted(held - {*ordered})]


def variable_of(figures: Figures, column: str) -> str:
    """Return a column of the history with its variable by its label, as in ``Last step = none``.

    Columns are named by a variable, and by what of it they hold.
    """
    words = figures["bundle"]["variables"]
    name = re.match(r"\w*", column)
    return column if name is None or name[0] not in words else (
        f"{words[name[0]]}{column[name.end():]}".replace("=", " = "))  # fmt: skip


def _at(figures: Figures, one: Figures) -> str:
    """Return a stage and an action in words."""
    actions = figures["bundle"]["actions"]
    return f"{stage_of(figures, one['stage'])}: {actions.get(one['action'], one['action'])}"


def stage_of(figures: Figures, stage: str) -> str:
    """Return what a stage is called."""
    return str(figures["bundle"]["stages"].get(stage, stage))


def second_of(figures: Figures) -> Figures:
    """Return the figures with what the second version has of its own in the place of the first's.

    Its charts and tables are made of these.
    """
    return {**figures, **figures["second"], "bundle": figures["against"]}


def funnel_chart(figures: Figures, key: str = "", whose: str = "") -> Chart:
    """Return the steps of the funnel as bars of decisions, with the patients beside them.

    Args:
        figures: of the version.
        key: is added to the chart's name on the page, so that two versions have two.
        whose: opens the title.
    """
    steps = figures["funnel"]
    whole = steps[0]["decisions"] or 1
    items = [
        Bar(one["words"], one["decisions"], count(one["decisions"]),
            extra=(percent(one["decisions"] / whole), count(one["patients"])))
        for one in steps
    ]  # fmt: skip
    title = begun(whose, "From all decisions to those in which clinicians did the same")
    return bars(f"funnel{key}", title, items, "Decision points",
                extra_head=("Of all", "Patients with one or more"))  # fmt: skip


def reasons_chart(
    figures: Figures, words: Mapping[str, str], key: str = "", whose: str = ""
) -> Chart:
    """Return why there was no advice, commonest reason first."""
    items = [
        Bar(words.get(one["code"], one["code"]), one["decisions"], count(one["decisions"]),
            extra=(one["code"], count(one["patients"]),
                   ", ".join(f"{stage_of(figures, s)}: {one['stages'][s]}" for s in
                             in_order(figures, one["stages"]))))
        for one in figures["abstentions"]
    ]  # fmt: skip
    return bars(f"reasons{key}", begun(whose, "Why there was no advice"), items, "Decision points",
                extra_head=("Code", "Patients", "At stage"))  # fmt: skip


def firing_chart(figures: Figures) -> Chart:
    """Return how often a card would have been shown, month by month."""
    told = figures["firing"]
    points = [
        ControlPoint(one["month"], 100 * one["share"], 100 * told["centre"], 100 * one["low"],
                     100 * one["high"], one["decisions"])
        for one in told["months"]
    ]  # fmt: skip
    return control("firing", "Share of decisions with a card of advice, by month", points,
                   "Month (UTC)", "Decisions with a card (%)")  # fmt: skip


def concordance_chart(figures: Figures, key: str = "", whose: str = "") -> Chart:
    """Return the agreement of each stage that offers a choice."""
    marks = [
        Mark(one["title"], _percent(one["share"]), _percent(one["low"]), _percent(one["high"]),
             note="nobody", extra=(count(one["agreed"]), count(one["decisions"]),
                                   count(one["patients"]), _kappa(one)))
        for one in figures["concordance"]
        if one["choice"]
    ]  # fmt: skip
    return forest(f"concordance{key}", begun(whose, "Decisions in which clinicians did the same"),
                  marks,
                  "Decisions in which clinicians did the same (%)",
                  extra_head=("Did the same", "Decisions", "Patients", "Kappa"),
                  names=("Share, with Wilson interval", ""), start=0.0)  # fmt: skip


def values_chart(figures: Figures) -> Chart:
    """Return the doubly robust value of every regime, and the crude mean beside it."""
    marks = [_value_mark(one, figures) for one in figures["value"]["regimes"]]
    usual = next((one["robust"] for one in figures["value"]["regimes"]
                  if one["key"] == "usual" and not one["refused"]), None)  # fmt: skip
    return forest(
        "values", "Mean outcome, had all been treated so", marks, outcome_words(figures),
        reference=None if usual is None else Line(usual["estimate"], "usual care"),
        extra_head=("By weighting alone",),
        names=("Doubly robust, with interval", "Crude mean of followers"),
    )  # fmt: skip


def differences_chart(figures: Figures) -> Chart:
    """Return the paired differences."""
    marks, better = [], figures["bundle"]["aim"]["better"]
    for one in figures["value"]["differences"]:
        if one["refused"]:
            marks.append(Mark(one["label"], NAN, NAN, NAN, note="refused",
                              extra=("", "")))  # fmt: skip
            continue
        told, other = one["robust"], one.get("weighted")
        beside = _ends(other) if other else "none"
        marks.append(Mark(one["label"], told["estimate"], told["low"], told["high"],
                          extra=(verdict(told["low"], told["high"], better), beside)))  # fmt: skip
    axis = f"Difference in the outcome{unit_of(figures)}; {_better(figures)}"
    return forest("differences", "Paired differences on the same patients", marks, axis,
                  reference=Line(0.0, "no difference"),
                  extra_head=("In words", "By weighting alone"),
                  names=("Doubly robust, with interval", ""))  # fmt: skip


def balance_chart(figures: Figures) -> Chart:
    """Return the standardised differences of every stage and action."""
    rows = [
        BalanceRow(variable_of(figures, one["column"]), one["before"], one["after"],
                   _at(figures, one))
        for one in figures["value"]["assumptions"]["balance"]
    ]  # fmt: skip
    return love("balance", "Those who took an action beside all who could have", rows)


def sensitivity_chart(figures: Figures) -> Chart:
    """Return what unmeasured confounding could make of each difference."""
    one = figures["value"]["sensitivity"][0]
    curve, words = one["curve"], "possible range"
    low, high = [at["low"] for at in curve], [at["high"] for at in curve]
    middle = [curve[0]["low"]] * len(curve)
    lines = [Curve(words, [at["gamma"] for at in curve], middle, low, high)]
    flips, told = one["flips_at"], f"{one['label'][:1].lower()}{one['label'][1:]}"
    at = [Line(flips, "flips")] if isinstance(flips, float | int) and flips <= 3 else []
    return curves(
        "sensitivity", f"What unmeasured confounding could make of: {told}", lines,
        "Gamma: factor by which an unmeasured cause shifts the odds of treatment",
        f"Difference{unit_of(figures)}", level=Line(0.0, "none"), at=at,
        band="Possible range", head=("Gamma", "Estimate"),
    )  # fmt: skip


def subgroups_chart(figures: Figures, key: str) -> Chart:
    """Return a version's difference from usual care in every subgroup."""
    marks = [_group_mark(part["by"], one, key) for part in figures["subgroups"]
             for one in part["groups"]]  # fmt: skip
    return forest(
        f"subgroups-{key}", f"{version_name(figures, key)} less usual care, in subgroups", marks,
        f"Difference in the outcome{unit_of(figures)}; {_better(figures)}",
        reference=Line(0.0, "no difference"),
        extra_head=("Patients counted", WEIGHTED_N, "Followed", "Usual care", "Did the same"),
        names=("Doubly robust, with interval", ""),
    )  # fmt: skip


def calibration_chart(figures: Figures) -> Chart:
    """Return observed against predicted outcomes of those who did as advised."""
    points = [CalibrationPoint(one["predicted"], one["observed"], one["low"], one["high"], one["n"])
              for one in figures["calibration"]["groups"]]  # fmt: skip
    words = outcome_words(figures)
    return calibration("calibration", "Predicted and observed outcomes of those who did as advised",
                       points, f"Predicted: {words}", f"Observed: {words}")  # fmt: skip


def benefit_chart(figures: Figures) -> Chart:
    """Return the gain seen here against the gain that the version predicts."""
    told = figures["calibration"]["benefit"]
    points = [
        CalibrationPoint(one["predicted"], one["observed"], one["low"], one["high"], one["n"],
                         (one["predicted_low"], one["predicted_high"]))
        for one in told["groups"]
    ]  # fmt: skip
    unit = unit_of(figures)
    return calibration("benefit", "Predicted gain of the advised action, and the gain seen here",
                       points, f"Predicted gain{unit}", f"Gain seen here{unit}")  # fmt: skip


def benefit_words(figures: Figures) -> str:
    """Return in words whether the version promises what was seen here."""
    told, unit = figures["calibration"]["benefit"], figures["bundle"]["aim"]["unit"] or ""
    mean, mean_ends = with_interval(
        told["mean_observed"], told["mean_observed_low"], told["mean_observed_high"],
        unit_words(unit),
    )  # fmt: skip
    predicted = f"{number(told['mean_predicted'], 3)} {unit_words(unit)}".rstrip()
    said = f"On average it predicts {predicted}, and {mean} was seen here ({mean_ends}). "
    if told["slope"] is None:
        return f"{said}There is no slope: {told['why_no_slope']}."
    slope, ends = with_interval(told["slope"], told["slope_low"], told["slope_high"])
    if told["slope_high"] < 1:
        return (f"{said}Of each further unit predicted only {slope} was seen ({ends}): the larger "
                "the gain it predicts, the more it overstates it.")  # fmt: skip
    if told["slope_low"] > 1:
        return (f"{said}For each further unit predicted {slope} was seen ({ends}): it makes "
                "patients look more alike than they are.")  # fmt: skip
    return f"{said}For each further unit predicted {slope} was seen ({ends}), which agrees with 1."


def benefit_rows(figures: Figures) -> list[tuple[str, ...]]:
    """Return how well the predicted gain held in all stages together, and in each."""
    told = figures["calibration"]["benefit"]
    rows = [_held(stage_of(figures, one["stage"]), one) for one in told["stages"]]
    return rows if told["refused"] or len(rows) < 2 else [_held("All", told), *rows]


def _held(name: str, one: Figures) -> tuple[str, ...]:
    if one["refused"]:
        return (name, "", "", "", "", f"refused: {one['refused']}")
    seen = _ends({"estimate": one["mean_observed"], "low": one["mean_observed_low"],
                  "high": one["mean_observed_high"]})  # fmt: skip
    slopes = [
        one["why_no_slope"] if one["slope"] is None else
        _ends({"estimate": one[of], "low": one[f"{of}_low"], "high": one[f"{of}_high"]})
        for of in ("slope", "intercept")
    ]  # fmt: skip
    return (name, count(one["n"]), number(one["mean_predicted"]), seen, *slopes)


def flips_chart(told: Figures, labels: Mapping[str, str]) -> Chart:
    """Return how often what the first version says becomes what in the second."""
    pairs = {(one["from"], one["to"]): one["decisions"] for one in told["whole"]}
    rows = sorted({one for one, _ in pairs})
    columns = sorted({other for _, other in pairs})
    cells = [[float(pairs.get((one, other), 0)) for other in columns] for one in rows]
    return heat("flips", "Decisions, by what each version says",
                [in_words(one, labels) for one in rows],
                [in_words(one, labels) for one in columns],
                cells, "first version", "second version")  # fmt: skip


def regime_name(figures: Figures, one: Figures) -> str:
    """Return what a regime is called: a version as such, what is fixed by its actions."""
    return version_name(figures, one["key"]) if one["kind"] == "regime" else str(one["label"])


def _value_mark(one: Figures, figures: Figures) -> Mark:
    name = regime_name(figures, one)
    if one["refused"]:
        return Mark(name, NAN, NAN, NAN, note="refused", extra=("",))
    told, usual = one["robust"], one["key"] == "usual"
    crude = one["crude"]["estimate"] if one["crude"] else None
    return Mark(name, told["estimate"], told["low"], told["high"], None if usual else crude,
                extra=("" if usual else _ends(one["weighted"]),))  # fmt: skip


def followed_rows(figures: Figures) -> list[tuple[str, ...]]:
    """Return who followed each regime, of whom its advice differs from what was done."""
    rows: list[tuple[str, ...]] = []
    for one in figures["value"]["regimes"]:
        if one["refused"] or one["key"] == "usual":
            continue
        apart, naive, weighted = one.get("deviates"), one["naive"], one["weighted"]
        rows.append((
            regime_name(figures, one), count(one["robust"]["followers"]),
            f"{count(apart['patients'])} ({percent(apart['share'])})" if apart else "",
            number(weighted["effective_n"]),
            number(weighted["largest_weight"]) if weighted["largest_weight"] else "",
            number(naive["estimate"]) if naive else "",
        ))  # fmt: skip
    return rows


def _group_mark(by: str, one: Figures, key: str) -> Mark:
    empty = ("", "", "", "", "")
    share = one.get("share" if key == "version" else "against_share")
    if one["held_back"]:
        return Mark(one["group"], NAN, NAN, NAN, group=by, note=HELD, extra=empty)
    shared = percent(share) if share is not None else HELD
    if one["refused"]:
        return Mark(one["group"], NAN, NAN, NAN, group=by, note=one["refused"],
                    extra=("", "", "", "", shared))  # fmt: skip
    usual = _ends(one["usual"])
    told = one.get(f"{key}_minus_usual")
    if told is None:
        why = one.get(key, {}).get("refused") or "refused"
        return Mark(one["group"], NAN, NAN, NAN, group=by, note=why,
                    extra=(count(one["n"]), "", "", usual, shared))  # fmt: skip
    did, weight = one[key]["followers"], one[key]["effective_n"]
    effective = HELD if did is None else number(weight)
    followed = HELD if did is None else count(did)
    return Mark(one["group"], told["estimate"], told["low"], told["high"], group=by,
                extra=(count(one["n"]), effective, followed, usual, shared))  # fmt: skip


def _better(figures: Figures) -> str:
    return f"{better_side(figures['bundle']['aim']['better'])} is better"


def _ends(told: Figures | None) -> str:
    if told is None:
        return ""
    value, ends = with_interval(told["estimate"], told["low"], told["high"])
    return f"{value} ({ends})"


def _kappa(one: Figures) -> str:
    return one["kappa_why"] if one["kappa"] is None else number(one["kappa"], 2)


def _percent(share: float | None) -> float:
    return NAN if share is None else 100 * share


def tables(figures: Figures) -> dict[str, Sequence[tuple[str, ...]]]:
    """Return what is told in tables alone."""
    words = figures["bundle"]["variables"]
    actions = figures["bundle"]["actions"]
    return {
        "lacking": [(words.get(one["variable"], one["variable"]), one["code"],
                     count(one["decisions"]), count(one["patients"]))
                    for one in figures["lacking"]],
        "outcomes": [(one["outcome"].replace("_", " "), count(one["decisions"]),
                      count(one["patients"])) for one in figures["outcomes"]],
        "pairs": [(one["title"], actions.get(pair["advised"], pair["advised"]),
                   actions.get(pair["taken"], pair["taken"]),
                   HELD if pair["decisions"] is None else count(pair["decisions"]))
                  for one in figures["concordance"] if one["choice"] and one["stage"]
                  for pair in one["pairs"]],
    }  # fmt: skip


def overlap_rows(figures: Figures) -> list[tuple[str, ...]]:
    """Return the figures of overlap."""
    return [
        (_at(figures, one), count(one["could"]),
         count(one["took"]), number(one["quantiles"][2], 3),
         f"{number(one['quantiles'][0], 3)} to {number(one['quantiles'][4], 3)}",
         percent(one["rare"]), number(one["effective_n"]), number(one["largest_weight"]))
        for one in figures["value"]["assumptions"]["overlap"]
    ]  # fmt: skip
