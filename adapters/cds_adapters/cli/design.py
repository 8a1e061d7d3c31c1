"""The ``design`` commands with their options; each hands over to ``designing``."""

from pathlib import Path
from typing import Annotated

import typer

design_app = typer.Typer(
    help="Draw, simulate and size a SMART, and analyse its embedded regimes.",
    no_args_is_help=True,
)

DesignFile = Annotated[Path, typer.Argument(help="The design's file, YAML.", metavar="DESIGN")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.", min=0)]


@design_app.command("show")
def show(
    design: DesignFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the flow diagram there, as SVG.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Show how many of so many are expected.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--table", help="Count a trial's table, CSV or Parquet, instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a design, draw its flow, list its embedded regimes and what a factorial trial loses."""
    from cds_adapters.cli.designing import show as run

    raise typer.Exit(run(design, out, n, data, as_json=as_json))


@design_app.command("simulate")
def simulate(
    design: DesignFile,
    out: Annotated[Path, typer.Option("--out", help="Write the table there, as CSV.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many patients.")] = 300,
    seed: Seed = 2026,
    as_json: AsJson = False,
) -> None:
    """Write the table of a trial that follows the design and its assumed outcome model."""
    from cds_adapters.cli.designing import simulate as run

    raise typer.Exit(run(design, out, n, seed, as_json=as_json))


@design_app.command("power")
def power(
    design: DesignFile,
    one: Annotated[
        str | None, typer.Option("--one", help="Only this embedded regime, by its label ...")
    ] = None,
    other: Annotated[str | None, typer.Option("--other", help="... against this one.")] = None,
    n: Annotated[
        int | None, typer.Option("--n", min=2, help="Simulate so many patients, not as sized.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Two-sided level of the test.")] = 0.05,
    target: Annotated[float, typer.Option("--power", help="Power to size for.")] = 0.8,
    simulations: Annotated[int, typer.Option(min=1, help="Simulated trials of each.")] = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Size every comparison by formula, and simulate its power with so many patients."""
    from cds_adapters.cli.designing import power as run

    raise typer.Exit(
        run(design, (one, other), n, (alpha, target), simulations, seed, as_json=as_json)
    )


@design_app.command("embedded")
def embedded(
    design: DesignFile,
    data: Annotated[
        Path, typer.Argument(help="The trial's table, CSV or Parquet.", metavar="TABLE")
    ],
    adjust: Annotated[
        list[str] | None, typer.Option(help="Adjust for this baseline column; repeatable.")
    ] = None,
    level: Annotated[float, typer.Option(help="Of the intervals and of the best set.")] = 0.95,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Let the contrasts' intervals hold all together.")
    ] = False,
    weight_missing: Annotated[
        bool, typer.Option("--weight-missing", help="Weight for missing outcomes; else refused.")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate the embedded regimes from a trial's table, compare them, name the best set."""
    from cds_adapters.cli.designing import Analysis
    from cds_adapters.cli.designing import embedded as run

    analysis = Analysis(tuple(adjust or ()), level, at_once, weight_missing, seed)
    raise typer.Exit(run(design, data, analysis, as_json=as_json))
