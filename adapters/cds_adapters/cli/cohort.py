"""``cohort``: the decision-point table of an export, alone; it is what regimes are fitted on."""

from pathlib import Path

from cds_adapters.cli.replaying import Options
from cds_adapters.cli.replaying import run as run_replay


def run(
    data: str,
    bundle: str,
    out: Path,
    rules: Path | None,
    settings: Path | None,
    options: Options,
    *,
    as_json: bool,
) -> int:
    """Write ``decisions.parquet`` and what goes with it."""
    return run_replay(data, [bundle], out, rules, settings, options, as_json=as_json)
