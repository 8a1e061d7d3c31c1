"""``figures``: the answers of a finished replay, made anew from its table and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cds_adapters.cli.output import FINE, USAGE, complain, print_json, say
from cds_adapters.cli.replaying import bundle_files
from cds_adapters.cli.usage import ADJUST_FOR, BY, UsageError, check_named
from cds_engine.bundle.read import read_bundle
from cds_engine.replay.figures.settings import FigureSettings


def run(
    out: Path,
    bundle: str,
    against: str | None,
    rules: Path | None,
    settings: FigureSettings,
    *,
    as_json: bool,
) -> int:
    """Write the figures and the report as the replay would have, had it been asked for these."""
    from cds_adapters.bulk.alone import alone_in
    from cds_adapters.bulk.finished import finished_manifest
    from cds_adapters.report.answers import write_answers

    addresses = [bundle] if against is None else [bundle, against]
    files = tuple(bundle_files(address, rules) for address in addresses)
    read = [read_bundle(dict(one)) for one in files]
    try:
        check_named(read[0], variables_named(settings), (), {})
    except UsageError as fault:
        complain(str(fault))
        return USAGE
    manifest = finished_manifest(out, read)
    with alone_in(out):
        told = write_answers(out, files, replace(settings, seed=manifest["settings"]["seed"]))
    if as_json:
        print_json({"out": str(out), **told.manifest})
    else:
        for line in told.lines:
            say(line)
    return FINE


def figure_settings(
    by: Sequence[str] | None,
    adjust_for: Sequence[str] | None,
    least_n: float,
    small_cell: int,
    most_deaths: float,
) -> FigureSettings:
    """Return the options of the figures as the engine knows them."""
    return FigureSettings(
        least_effective_n=least_n,
        smallest_cell=small_cell,
        most_deaths=most_deaths,
        subgroups=tuple(by or ()),
        adjust_for=None if adjust_for is None else tuple(adjust_for),
    )


def variables_named(settings: FigureSettings) -> dict[str, Sequence[str]]:
    """Return the options that name variables, with the names."""
    return {BY: settings.subgroups, ADJUST_FOR: settings.adjust_for or ()}
