"""``replay``: every past decision point of an export decided again, by one version or by two."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.run import ReplayResult
from cds_adapters.cli.figures import variables_named
from cds_adapters.cli.replaying import Options
from cds_adapters.cli.replaying import run as run_replay

if TYPE_CHECKING:
    from cds_engine.replay.figures.settings import FigureSettings


def run(
    data: str,
    bundle: str,
    against: str | None,
    out: Path,
    rules: Path | None,
    settings: Path | None,
    options: Options,
    figures: "FigureSettings",
    *,
    as_json: bool,
) -> int:
    """Write the table, its manifest, the figures and the report."""
    from cds_adapters.report.answers import write_answers

    addresses = [bundle] if against is None else [bundle, against]

    def answer(request: ReplayRequest, result: ReplayResult) -> Sequence[str]:
        told = write_answers(result.out, request.bundles, figures)
        result.manifest.update(told.manifest)
        return told.lines

    return run_replay(
        data, addresses, out, rules, settings, options, as_json=as_json,
        named=variables_named(figures), after=answer,
    )  # fmt: skip
