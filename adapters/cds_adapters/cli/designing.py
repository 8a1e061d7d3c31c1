"""``design``: a SMART is shown, simulated, sized and analysed from one YAML file."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds_adapters.cli.extras import need
from cds_adapters.cli.output import (
    CANNOT_READ,
    FINDINGS,
    FINE,
    USAGE,
    complain,
    print_json,
    say,
    table,
)
from cds_engine.bundle.yaml import read_yaml, unsafe_values
from cds_engine.design import (
    Design,
    DesignError,
    DesignQuestionError,
    OutcomeModel,
    Size,
    compare_with_factorial,
    embedded_regimes,
    flow_svg,
    flow_text,
    read_design,
    regime_named,
    size_of,
    sizes,
)
from cds_engine.design.flow import letters
from cds_engine.design.smart import written
from cds_engine.errors import CDSError, RuleBundleError

if TYPE_CHECKING:
    import pandas as pd

    from cds_engine.estimate.best_set import BestSet
    from cds_engine.estimate.embedded import EmbeddedValues
    from cds_engine.estimate.smart_power import SimulatedPower
    from cds_engine.estimate.value import ValueEstimate

LEARN = ("pandas", "scipy", "sklearn")
"""What the extra ``learn`` brings that simulation and analysis need."""
MOST_SIMULATED = 20_000
"""Trials of more patients are sized, but only simulated when `--n` asks for them."""

Told = Callable[[int, int], None]


class InputFileError(CDSError):
    """A design or a trial's table that is not there or cannot be read."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """How the embedded regimes are to be estimated."""

    adjust: tuple[str, ...]
    level: float
    at_once: bool
    weight_missing: bool
    seed: int


def find_design(path: Path) -> Design:
    """Read a design's file.

    Raises:
        DesignError: lists every fault found.
        InputFileError: if there is no such file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputFileError(
            f"{path} cannot be read: {error.strerror}; name a design's YAML file"
        ) from error
    try:
        content = read_yaml(path.name, data)
    except RuleBundleError as error:
        raise DesignError(f"design ({path.name})", error.faults) from error
    if faults := list(unsafe_values(content)):
        raise DesignError(f"design ({path.name})", faults)
    return read_design(content)


def show(path: Path, out: Path | None, n: int | None, data: Path | None, *, as_json: bool) -> int:
    """Print and draw a design; its faults are findings."""
    if n is not None and data is not None:
        complain("--n expects, --table counts; give one of them")
        return USAGE
    try:
        design = find_design(path)
    except DesignError as error:
        if as_json:
            faults = [{"place": f.place, "problem": f.problem} for f in error.faults]
            print_json({"fine": False, "faults": faults})
        else:
            complain(str(error))
        return FINDINGS
    counts = _counts(design, n, data)
    approximate = n is not None
    if out is not None and not _write(out, flow_svg(design, counts, approximate=approximate)):
        return CANNOT_READ
    if as_json:
        print_json(_shown(design, counts))
        return FINE
    say(f"{design.document.title}  ({design.document.design})")
    say()
    say(flow_text(design, counts, approximate=approximate))
    say()
    _say_regimes(design)
    _say_factorial(design)
    if out is not None:
        say(f"flow diagram in {out}")
    return FINE


def simulate(path: Path, out: Path, n: int, seed: int, *, as_json: bool) -> int:
    """Write one simulated trial."""
    need("learn", LEARN)
    from cds_engine.design.simulate import Simulator

    model = OutcomeModel.of(find_design(path))
    columns = Simulator(model).table(n, seed)
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for row in zip(*(values.tolist() for values in columns.values()), strict=True):
                writer.writerow([str(v).lower() if isinstance(v, bool) else v for v in row])
    except OSError as error:
        complain(f"{out} cannot be written: {error.strerror}; name another file")
        return CANNOT_READ
    truth = {one.label: model.value(one) for one in embedded_regimes(model.design)}
    if as_json:
        print_json({"out": str(out), "patients": n, "seed": seed, "truth": truth})
        return FINE
    say(f"{n} patients in {out}")
    rows = [[label, f"{value:.6g}"] for label, value in truth.items()]
    table("True values under the model", ["embedded regime", "value"], rows)
    return FINE


def power(
    path: Path,
    pair: tuple[str | None, str | None],
    n: int | None,
    asked: tuple[float, float],
    simulations: int,
    seed: int,
    *,
    as_json: bool,
) -> int:
    """Size and simulate; a power that falls short of what the size promises is a finding."""
    need("learn", LEARN)
    model = OutcomeModel.of(find_design(path))
    wanted = _wanted(model, pair, asked)
    if wanted is None:
        return USAGE
    results: list[tuple[Size, SimulatedPower | None]] = []
    for number, size in enumerate(wanted):
        patients = n if n is not None else size.n
        if patients is None or (n is None and patients > MOST_SIMULATED):
            results.append((size, None))
            continue
        label = f"{number + 1} of {len(wanted)}"
        with _progress(label, quiet=as_json or not sys.stderr.isatty()) as told:
            results.append((size, _simulated(model, size, patients, simulations, seed, told)))
    short = [size for size, done in results if n is None and done is not None
             and done.power < size.power - 3 * (size.power * (1 - size.power) / simulations) ** 0.5
             ]  # fmt: skip
    if as_json:
        print_json({"comparisons": [_sized(size, done) for size, done in results]})
    else:
        _say_power(results)
    for size in short:
        complain(f"{size.label}: the simulated power falls short of {size.power:g}; the "
                 "assumptions of the formula do not hold here, so add patients")  # fmt: skip
    return FINDINGS if short else FINE


def embedded(path: Path, data: Path, analysis: Analysis, *, as_json: bool) -> int:
    """Estimate and compare the embedded regimes."""
    need("learn", LEARN)
    from cds_engine.estimate.embedded import embedded_values

    if not 0 < analysis.level < 1:
        complain(f"--level {analysis.level:g} is no probability; give one such as 0.95")
        return USAGE
    found = embedded_values(
        _frame(data), find_design(path), covariates=analysis.adjust, level=analysis.level,
        missing="weight" if analysis.weight_missing else "refuse",
    )  # fmt: skip
    contrasts = found.contrasts(at_once=analysis.at_once, random_state=analysis.seed)
    best = found.best(level=analysis.level, random_state=analysis.seed)
    if as_json:
        print_json(_analysed(found, contrasts, best))
    else:
        _say_values(found, contrasts, best, at_once=analysis.at_once)
    return FINE


def _frame(path: Path) -> "pd.DataFrame":
    """Read a trial's table as it is written; only an empty cell is missing."""
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:  # pandas's own errors of reading are ValueErrors
        problem = str(error).splitlines()[0]
        raise InputFileError(
            f"{path} cannot be read as a table: {problem}; name a CSV or Parquet file"
        ) from error


def _write(out: Path, text: str) -> bool:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        complain(f"{out} cannot be written: {error.strerror}; name another file")
        return False
    return True


def _counts(design: Design, n: int | None, data: Path | None) -> dict[Any, float] | None:
    if data is not None:
        need("learn", LEARN)
        from cds_engine.estimate.embedded_rows import read_smart

        return dict(read_smart(_frame(data), design, missing_outcomes=True).counts())
    return None if n is None else dict(OutcomeModel.of(design).expected(n))


def _shown(design: Design, counts: dict[Any, float] | None) -> dict[str, Any]:
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


def _say_regimes(design: Design) -> None:
    rows = [[name, one.label, one.words] for name, one in letters(design)]
    table("Embedded regimes", ["", "label", "in words"], rows)
    rules = [
        [name, line.stage, line.when or "all", line.then]
        for name, one in letters(design)
        for line in one.rules
    ]
    table("As rules", ["", "stage", "for whom", "then"], rules)


def _say_factorial(design: Design) -> None:
    compared = compare_with_factorial(design)
    rows = [
        [row.regime.label, row.cell, "yes" if row.identified else "no", row.reason]
        for row in compared.rows
    ]
    title = "What a factorial trial of the same options would identify"
    table(title, ["embedded regime", "cell", "identified", "because"], rows)
    for sentence in compared.words:
        say(sentence)


def _wanted(
    model: OutcomeModel, pair: tuple[str | None, str | None], asked: tuple[float, float]
) -> tuple[Size, ...] | None:
    """Return the comparisons that were asked for; None after a complaint."""
    alpha, target = asked
    one, other = pair
    try:
        if one is None and other is None:
            return sizes(model, alpha=alpha, power=target)
        if one is None or other is None or one == other:
            complain("name two embedded regimes, with --one and --other, or none for all pairs")
            return None
        named = (regime_named(model.design, one), regime_named(model.design, other))
        return (size_of(model, *named, alpha=alpha, power=target),)
    except DesignQuestionError as error:
        complain(str(error))
        return None


def _simulated(
    model: OutcomeModel, size: Size, n: int, simulations: int, seed: int, told: Told | None
) -> "SimulatedPower":
    from cds_engine.estimate.smart_power import simulated_power

    return simulated_power(
        model, size.one, size.other, n, alpha=size.alpha, simulations=simulations, seed=seed,
        told=told,
    )  # fmt: skip


@contextmanager
def _progress(label: str, *, quiet: bool) -> Iterator[Told | None]:
    """Show how many trials are simulated, with the time left; nothing where ``quiet``."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("comparison {task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _sized(size: Size, done: "SimulatedPower | None") -> dict[str, Any]:
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


def _say_power(results: "list[tuple[Size, SimulatedPower | None]]") -> None:
    rows = []
    for size, done in results:
        shown = ["-", "not simulated"] if done is None else [
            str(done.n), f"{done.power:.3f} ± {done.standard_error:.3f}"]  # fmt: skip
        rows.append([
            size.label, f"{size.difference:.4g}", f"{size.delta:.3f}", _or_dash(size.factor, ".3f"),
            _or_dash(size.formula, "d"), _or_dash(size.exact, "d"), *shown,
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


def _analysed(
    found: "EmbeddedValues", contrasts: "tuple[ValueEstimate, ...]", best: "BestSet"
) -> dict[str, Any]:
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


def _say_values(
    found: "EmbeddedValues", contrasts: "tuple[ValueEstimate, ...]", best: "BestSet", *,
    at_once: bool,
) -> None:  # fmt: skip
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
