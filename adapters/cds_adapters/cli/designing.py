"""``design``: a SMART is shown, simulated, sized and analysed from one YAML file."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds_adapters.cli.design_words import (
    MOST_SIMULATED,
    analysed,
    say_factorial,
    say_power,
    say_regimes,
    say_values,
    shown,
    sized,
)
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
    embedded_regimes,
    flow_svg,
    flow_text,
    read_design,
    regime_named,
    size_of,
    sizes,
)
from cds_engine.errors import CDSError, RuleBundleError

if TYPE_CHECKING:
    import pandas as pd

    from cds_engine.estimate.smart_power import SimulatedPower

LEARN = ("pandas", "scipy", "sklearn")
"""What the extra ``learn`` brings that simulation and analysis need."""

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
        print_json(shown(design, counts))
        return FINE
    say(f"{design.document.title}  ({design.document.design})")
    say()
    say(flow_text(design, counts, approximate=approximate))
    say()
    say_regimes(design)
    say_factorial(design)
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
        print_json({"comparisons": [sized(size, done) for size, done in results]})
    else:
        say_power(results)
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
        print_json(analysed(found, contrasts, best))
    else:
        say_values(found, contrasts, best, at_once=analysis.at_once)
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
