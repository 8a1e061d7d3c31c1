"""``fit``, ``assume`` and ``value``: what a statistician asks of a study."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds_adapters.cli.bundles import find_bundle, folder_of
from cds_adapters.cli.output import CANNOT_READ, FINDINGS, FINE, complain, print_json, say, table
from cds_adapters.studies import load_study
from cds_engine.assume.balance import balance, largest
from cds_engine.assume.positivity import overlap, poor
from cds_engine.bundle.model import RuleBundle
from cds_engine.estimate.bundle_rule import BundleRule
from cds_engine.estimate.comparison import ValueTable, value_table
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.fit.evidence import Source, value_document
from cds_engine.fit.fit import CARE, STEPS, Progress, fit_study
from cds_engine.fit.fixed import fixed_rules
from cds_engine.fit.learned_from import EVIDENCE, learned_from
from cds_engine.fit.marks import marked

if TYPE_CHECKING:
    from cds_engine.fit.fit import Fit


def fit(study_file: Path, out: Path, jobs: int, *, as_json: bool) -> int:
    """Fit a study and write its rule bundle, its evidence and its report."""
    from cds_adapters.report.fit import NAME, fit_report  # draws, which only a report needs

    study, frame, source = load_study(study_file)
    with _progress(quiet=as_json or not sys.stderr.isatty(), more=1) as told:
        found = fit_study(study, frame, source, n_jobs=jobs, progress=told)
        if told is not None:
            told("report", len(STEPS) + 1, len(STEPS))
        report = fit_report(found, source).encode()
    files = {**found.exported.files, "study.yaml": _study_bytes(study_file), NAME: report}
    out.mkdir(parents=True, exist_ok=True)
    for name, written in files.items():
        (out / name).write_bytes(written)
    if as_json:
        print_json(_summary(found, out))
    else:
        _say(found, out)
    return FINE


def assume(study_file: Path, out: Path | None = None, *, as_json: bool) -> int:
    """Measure the assumptions of a study; poor positivity and poor balance are findings."""
    study, frame, source = load_study(study_file)
    if out is not None:
        from cds_adapters.report.fit import assumptions_report

        report = assumptions_report(study, frame, source).encode()
        try:
            out.write_bytes(report)
        except OSError as error:
            complain(f"{out} cannot be written: {error.strerror}; name another file")
            return CANNOT_READ
    trajectories, notes = study_trajectories(study, frame, skeleton(study))
    how = study.method.propensity
    overlaps, shares = overlap(trajectories, how)
    differences = balance(trajectories, shares)
    problems = poor(overlaps)
    before, after = largest(differences)
    if as_json:
        print_json({
            "overlap": [{name: getattr(one, name) for name in one.__slots__} for one in overlaps],
            "balance": [{name: getattr(one, name) for name in one.__slots__}
                        for one in differences],
            "problems": list(problems), "notes": list(notes),
        })  # fmt: skip
        return FINDINGS if problems else FINE
    for problem in problems:
        say(f"POOR   {problem}")
    table(
        "Overlap: how well the data cover each action",
        ["stage", "action", "could", "took", "effective n", "largest weight", "chance < 5 %"],
        [[one.stage, one.action, str(one.could), str(one.took), f"{one.effective_n:.0f}",
          f"{one.largest_weight:.1f}", f"{one.rare:.1%}"] for one in overlaps],
    )  # fmt: skip
    say(f"Largest standardised difference: {before:.2f} before weighting, {after:.2f} after.")
    for note in notes:
        say(f"note: {note}")
    if out is not None:
        say(f"report written to {out}")
    return FINDINGS if problems else FINE


def value(study_file: Path, address: str | None, rules: Path | None, *, as_json: bool) -> int:
    """Value a rule bundle on a study's data, beside every fixed regime and usual care."""
    study, frame, source = load_study(study_file)
    bare = skeleton(study)
    trajectories, _ = study_trajectories(study, frame, bare)
    regimes: dict[str, Any] = {}
    in_sample: list[str] = []
    if address is not None:
        bundle = find_bundle(address, rules)
        regimes[bundle.identity] = tuple(BundleRule(bundle, s.at) for s in study.learned)
        in_sample += [bundle.identity] if _learned_here(bundle, address, rules, source) else []
    found = value_table(
        trajectories, regimes, fixed=fixed_rules(study, trajectories), usual=CARE,
        propensity=study.method.propensity,
        n_folds=study.method.folds, missing=study.outcome.missing, random_state=study.seed,
        level=study.method.level,
    )  # fmt: skip
    found = marked(found, in_sample)
    if as_json:
        print_json([value_document(row.value) for row in found.rows])
    else:
        _say_values(found, trajectories.outcome_name)
    return FINE


def _learned_here(bundle: RuleBundle, address: str, rules: Path | None, source: Source) -> bool:
    """Say whether a bundle's evidence names the study's table, or the records behind it.

    The study file alone does not tell: it may be used again beside other patients.
    """
    if EVIDENCE not in bundle.manifest:
        return False
    known = learned_from((folder_of(bundle, address, rules) / EVIDENCE).read_bytes())
    return known is not None and known.is_of(source.data_digest, source.records)


def _study_bytes(path: Path) -> bytes:
    return (path / "study.yaml" if path.is_dir() else path).read_bytes()


def _summary(found: "Fit", out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "bundle": found.exported.bundle.identity,
        "digest": found.exported.bundle.digest,
        "values": [value_document(row.value) for row in found.values.rows],
        "assumptions": [entry.document() for entry in found.ledger],
        "parity": found.exported.certificate.document(),
        "notes": list(found.notes),
    }


def _say(found: "Fit", out: Path) -> None:
    bundle = found.exported.bundle
    _say_values(found.values, found.trajectories.outcome_name)
    for entry in found.ledger:
        say("; ".join((f"{entry.assumption}: {entry.judgement}", *entry.whys)))
    for note in found.notes:
        complain(f"note: {note}")
    compared = sum(one.training + one.boundary + one.random
                   for one in found.exported.certificate.stages)  # fmt: skip
    cases = len(bundle.cases.cases) if bundle.cases else 0
    say(f"{bundle.identity} decides as fitted on all {compared} histories compared; {cases} cases")
    say(f"written to {out}; digest {bundle.digest}")


def _say_values(found: ValueTable, outcome: str) -> None:
    table(
        f"Mean {outcome}; {found.better} is better",
        ["regime", "value", "interval", "crude", "minus usual care", "interval", "effective n"],
        [[row.value.label, f"{row.value.estimate:.5g}", _ends(row.value.low, row.value.high),
          f"{row.crude.estimate:.5g}" if row.crude else "",
          *_gain(row.value, found), f"{row.value.effective_n:.0f}"] for row in found.rows],
    )  # fmt: skip
    for note in dict.fromkeys(f"{r.value.label}: {n}" for r in found.rows for n in r.value.notes):
        say(f"note: {note}")


def _gain(one: Any, found: ValueTable) -> tuple[str, str]:
    gain = one.minus(found.usual)
    return f"{gain.estimate:+.4g}", _ends(gain.low, gain.high)


def _ends(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"


@contextmanager
def _progress(*, quiet: bool, more: int = 0) -> Iterator[Progress | None]:
    """Show the steps with the time left, ``more`` of them to follow; nothing where ``quiet``."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    left = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    bars = Bars(TextColumn("{task.description}"), BarColumn(), *left, console=Console(stderr=True))
    with bars:
        task = bars.add_task("begin", total=None)

        def show(step: str, at: int, total: int) -> None:
            bars.update(task, description=step, completed=at - 1, total=total + more)

        yield show
