"""What the ``design`` commands print: for a person in tables, for a program as plain data."""

from typing import TYPE_CHECKING, Any

from cds_adapters.cli.output import say, table
from cds_engine.design import Design, OutcomeModel, Size, compare_with_factorial
from cds_engine.design.flow import letters
from cds_engine.design.smart import written

if TYPE_CHECKING:
    from cds_engine.estimate.best_set import BestSet
    from cds_engine.estimate.embedded import EmbeddedValues
    from cds_engine.estimate.smart_power import SimulatedPower
    from cds_engine.estimate.value import ValueEstimate

MOST_SIMULATED = 20_000
"""Trials of more patients are sized, but only simulated when `--n` asks for them."""


def shown(design: Design, counts: dict[Any, float] | None) -> dict[str, Any]:
    """Return a design and all that follows from it, for a program."""
    model = None if design.document.assume is None else OutcomeModel.of(design)
    compared = compare_with_factorial(design)
    return {
        "fine": True,
        "design": design.document.design,
        "title": design.document.title,
        "paths": [
            {"path": written(path), "n": None if counts is None else counts[path]}
            for path in design.nodes
        ],
        "regimes": [
            {
                "letter": name, "label": one.label, "words": one.words,
                "rules": [{"stage": r.stage, "when": r.when, "then": r.then} for r in one.rules],
                "paths": [written(end) for end in one.ends],
                "value": None if model is None else model.value(one),
            }
            for name, one in letters(design)
        ],
        "factorial": {
            "words": list(compared.words),
            "regimes": [
                {"label": row.regime.label, "cell": row.cell, "identified": row.identified,
                 "reason": row.reason}
                for row in compared.rows
            ],
            "lost": [written(end) for end in compared.lost],
            "foreign": [" + ".join(cell) for cell in compared.foreign],
        },
    }  # fmt: skip


def say_regimes(design: Design) -> None:
    """Print the embedded regimes in words and as rules."""
    rows = [[name, one.label, one.words] for name, one in letters(design)]
    table("Embedded regimes", ["", "label", "in words"], rows)
    rules = [
        [name, line.stage, line.when or "all", line.then]
        for name, one in letters(design)
        for line in one.rules
    ]
    table("As rules", ["", "stage", "for whom", "then"], rules)


def say_factorial(design: Design) -> None:
    """Print what a factorial trial would identify."""
    compared = compare_with_factorial(design)
    rows = [
        [row.regime.label, row.cell, "yes" if row.identified else "no", row.reason]
        for row in compared.rows
    ]
    title = "What a factorial trial of the same options would identify"
    table(title, ["embedded regime", "cell", "identified", "because"], rows)
    for sentence in compared.words:
        say(sentence)


def sized(size: Size, done: "SimulatedPower | None") -> dict[str, Any]:
    """Return one comparison's size and simulated power, for a program."""
    simulated = None if done is None else {
        "n": done.n, "simulations": done.simulations, "power": done.power,
        "standard_error": done.standard_error, "coverage": done.coverage, "mean": done.mean,
        "empty": done.empty, "adjusted": done.adjusted,
    }  # fmt: skip
    return {
        "one": size.one.label, "other": size.other.label, "difference": size.difference,
        "delta": size.delta, "factor": size.factor, "formula": size.formula, "exact": size.exact,
        "alpha": size.alpha, "power": size.power, "simulated": simulated,
        "notes": list(size.notes),
    }  # fmt: skip


def say_power(results: "list[tuple[Size, SimulatedPower | None]]") -> None:
    """Print sizes and simulated powers side by side."""
    rows = []
    for size, done in results:
        simulated = ["-", "not simulated"] if done is None else [
            str(done.n), f"{done.power:.3f} ± {done.standard_error:.3f}"]  # fmt: skip
        rows.append([
            size.label, f"{size.difference:.4g}", f"{size.delta:.3f}", _or_dash(size.factor, ".3f"),
            _or_dash(size.formula, "d"), _or_dash(size.exact, "d"), *simulated,
        ])  # fmt: skip
    first = results[0][0]
    table(
        f"Two-sided level {first.alpha:g}, power {first.power:g}",
        ["comparison", "difference", "delta", "D", "N, formula", "N, model", "n simulated",
         "power, simulated"],
        rows,
    )  # fmt: skip
    for note in dict.fromkeys(note for size, _ in results for note in size.notes):
        say(f"  note: {note}")
    if any(done is None and size.n is not None for size, done in results):
        say(f"  note: trials of more than {MOST_SIMULATED} patients are simulated only with --n")


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def analysed(
    found: "EmbeddedValues", contrasts: "tuple[ValueEstimate, ...]", best: "BestSet"
) -> dict[str, Any]:
    """Return values, differences and the best set, for a program."""
    return {
        "n": len(found.rows.trajectories),
        "method": found.values[0].method,
        "notes": list(found.values[0].notes),
        "paths": {written(path): n for path, n in found.rows.counts().items() if path},
        "regimes": [
            {**_plain(value), "words": regime.words, "followers": value.followers,
             "effective_n": value.effective_n}
            for regime, value in zip(found.regimes, found.values, strict=True)
        ],
        "contrasts": [_plain(one) for one in contrasts],
        "best": {
            "level": best.level, "best": best.best, "kept": list(best.kept),
            "placed": [
                {"label": one.label, "behind": one.behind, "critical": one.critical,
                 "at_least": one.at_least, "kept": one.kept}
                for one in best.placed
            ],
        },
    }  # fmt: skip


def _plain(value: "ValueEstimate") -> dict[str, Any]:
    return {
        "label": value.label, "estimate": value.estimate, "standard_error": value.standard_error,
        "low": value.low, "high": value.high,
    }  # fmt: skip


def say_values(
    found: "EmbeddedValues", contrasts: "tuple[ValueEstimate, ...]", best: "BestSet", *,
    at_once: bool,
) -> None:  # fmt: skip
    """Print values, differences and the best set."""
    outcome = found.rows.design.document.outcome
    of = f"{outcome.label} ({outcome.unit})" if outcome.unit else outcome.label
    level = f"{100 * best.level:g} %"
    kept = set(best.kept)
    rows = [
        [*_numbers(one), str(one.followers), f"{one.effective_n:.1f}",
         "yes" if one.label in kept else "no"]
        for one in found.values
    ]  # fmt: skip
    table(
        f"{of}: mean of all {len(found.rows.trajectories)} had all followed the regime",
        ["embedded regime", "estimate", "standard error", f"{level} interval", "followers",
         "effective n", "may be best"],
        rows,
    )  # fmt: skip
    together = ", all holding together" if at_once else ""
    table(
        f"Differences{together}",
        ["comparison", "estimate", "standard error", f"{level} interval"],
        [_numbers(one) for one in contrasts],
    )
    for note in (found.values[0].method, *found.values[0].notes):
        say(f"  note: {note}")
    say(f"Not significantly worse than the best ({level}): {'; '.join(best.kept)}")


def _numbers(value: "ValueEstimate") -> list[str]:
    interval = f"{value.low:.4g} to {value.high:.4g}"
    return [value.label, f"{value.estimate:.4g}", f"{value.standard_error:.3g}", interval]
