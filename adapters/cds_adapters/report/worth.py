"""What a regime is worth: its value and its differences, the crude numbers always beside them."""

from collections.abc import Sequence

from cds_adapters.report.charts import Chart, Line, Mark, forest
from cds_adapters.report.numbers import count, interval, number, places_for, signed
from cds_adapters.report.sides import better_side, verdict
from cds_adapters.report.words import Words
from cds_engine.errors import EstimationError
from cds_engine.estimate.comparison import Compared, ValueTable

FOLLOWED = ("Followed by", "Effective n")


def values_chart(values: ValueTable, words: Words, fixed: str) -> Chart:
    """Return the forest plot of values.

    Args:
        values: of all regimes.
        words: what the outcome is called.
        fixed: what the fixed regimes are called, such as embedded regimes.
    """
    usual = values.usual
    return forest(
        "values",
        f"Mean outcome had all followed each regime: {words.outcome}",
        [_value_mark(row, fixed) for row in values.rows],
        f"{words.outcome}, mean; {words.better} is better",
        reference=Line(usual.estimate, ""),
        extra_head=FOLLOWED,
        names=(f"Adjusted, with {usual.level:.0%} interval", "Crude mean of its followers"),
    )


def differences_chart(values: ValueTable, words: Words, fixed: str) -> Chart:
    """Return the forest plot of differences from usual care and from the best fixed regime."""
    marks = [_gap(row, values.rows[-1], f"Minus {values.usual.label}") for row in values.rows[:-1]]
    if (best := best_fixed(values)) is not None:
        own = [row for row in values.rows if row.kind in {"learned", "regime"}]
        marks += [_gap(row, best, f"Minus {best.value.label}") for row in own]
    return forest(
        "differences",
        f"Difference in mean outcome from {values.usual.label} and from the best of the "
        f"{fixed.lower()}: {words.outcome}",
        marks,
        f"Difference{words.unit}; {better_side(words.better)} is better",
        reference=Line(0.0, ""),
        names=(f"Adjusted, with {values.usual.level:.0%} interval", "Crude difference"),
    )


def best_fixed(values: ValueTable) -> Compared | None:
    """Return the best fixed regime; None if none was valued."""
    try:
        label = values.best_fixed.label
    except EstimationError:
        return None
    return next(row for row in values.rows if row.value.label == label)


def answers(values: ValueTable, words: Words) -> list[tuple[str, str, str, str]]:
    """Return the main differences: of what, the number, its interval, and what it says."""
    learned, served, best = values.rows[0].value, values.rows[1].value, best_fixed(values)
    fold = f"{learned.label}, valued out of fold,"
    told = [(fold, learned.minus(values.usual), values.usual, "")]
    told += [(fold, learned.minus(best.value), best.value, "")] if best else []
    told.append((f"{served.label}, valued in-sample,", served.minus(values.usual), values.usual,
                 " In-sample, it looks better than it is."))  # fmt: skip
    places = places_for(gap.high - gap.low for _, gap, *_ in told)
    return [
        (f"{label} minus {other.label}", signed(gap.estimate, places),
         f"{gap.level:.0%} interval {interval(gap.low, gap.high, places)}",
         verdict(gap.low, gap.high, words.better) + warning)
        for label, gap, other, warning in told
    ]  # fmt: skip


def weight_rows(rows: Sequence[Compared]) -> list[tuple[str, ...]]:
    """Return for each regime who followed it and what their weights look like."""
    found: list[tuple[str, ...]] = []
    for row in rows:
        one, weights = row.value, row.value.weights
        if weights is None:
            continue
        cut = number(weights.truncated_at) if weights.truncated_at is not None else "not truncated"
        found.append(
            (one.label, count(one.followers), number(one.effective_n), number(weights.largest),
             number(weights.mean), number(weights.standard_deviation), cut)
        )  # fmt: skip
    return found


def _value_mark(row: Compared, fixed: str) -> Mark:
    one = row.value
    groups = {"fixed": fixed, "usual care": "What was done"}
    label = {"learned": f"{one.label} (out of fold)", "regime": f"{one.label} (in-sample)"}
    return Mark(
        label.get(row.kind, one.label), one.estimate, one.low, one.high,
        crude=row.crude.estimate if row.crude else None,
        group=groups.get(row.kind, "The regime"),
        extra=(f"{count(one.followers)} of {count(one.n)}", number(one.effective_n)),
    )  # fmt: skip


def _gap(row: Compared, other: Compared, group: str) -> Mark:
    gap = row.value.minus(other.value)
    crude = None
    if row.crude is not None and other.crude is not None:
        crude = row.crude.estimate - other.crude.estimate
    label = {"learned": " (out of fold)", "regime": " (in-sample)"}.get(row.kind, "")
    return Mark(row.value.label + label, gap.estimate, gap.low, gap.high, crude=crude, group=group)
