"""``replay``: every past decision point of an export decided again, by one version or by two."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from cds_adapters.bulk.run import ReplayResult
from cds_adapters.cli.replaying import Options
from cds_adapters.cli.replaying import run as run_replay

ANSWERS = "cds_adapters.bulk.answers"
"""The module that turns the table into figures and a report.

Its ``write_answers(out: Path) -> None`` reads ``decisions.parquet`` and ``manifest.json`` from the
folder and writes ``figures.json`` and ``report.html`` beside them.
"""


def run(
    data: str,
    bundle: str,
    against: str | None,
    out: Path,
    rules: Path | None,
    settings: Path | None,
    options: Options,
    *,
    as_json: bool,
) -> int:
    """Write the table, its manifest and, where they can be made, figures and report."""
    addresses = [bundle] if against is None else [bundle, against]
    return run_replay(
        data, addresses, out, rules, settings, options, as_json=as_json, after=_answer
    )


def _answer(result: ReplayResult) -> None:
    if find_spec(ANSWERS) is not None:
        import_module(ANSWERS).write_answers(result.out)
