"""All commands of ``cds-engine`` with their options; each hands over to the module that does it."""

from pathlib import Path
from typing import Annotated

import typer

import cds_engine

app = typer.Typer(
    name="cds-engine",
    help="Serve, prove and replay dynamic treatment regimes as rule bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
audit_app = typer.Typer(help="Read and verify the audit records.", no_args_is_help=True)
vocab_app = typer.Typer(
    help="Compare a bundle's vocabulary with a site's records.", no_args_is_help=True
)
app.add_typer(audit_app, name="audit", rich_help_panel=None)
app.add_typer(vocab_app, name="vocab", rich_help_panel=None)

Bundle = Annotated[
    str, typer.Argument(help="A folder with bundle.yaml, or regime@version, or a regime's name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rules = Annotated[
    Path | None, typer.Option("--rules", help="Directory of rule bundles; the shipped ones.")
]
Records = Annotated[
    Path, typer.Option("--records", help="NDJSON folder or file, FHIR Bundle, folder of Bundles.")
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="The instant to decide for, as 2025-06-01T12:00:00Z.")
]
Patient = Annotated[str | None, typer.Option("--patient", help="Only the patient of this id.")]
Settings = Annotated[Path | None, typer.Option("--site", help="TOML file with the settings.")]
Database = Annotated[str | None, typer.Option("--database", help="SQLAlchemy URL of the audit.")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Serve, prove and replay dynamic treatment regimes as rule bundles."""
    if show:
        typer.echo(cds_engine.__version__)
        raise typer.Exit


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the service; 0 takes a free one.")] = 8000,
    once: Annotated[bool, typer.Option("--once", help="End after the sample requests.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the service, send it real requests on generated patients, print the cards."""
    from cds_adapters.cli.demo import run

    raise typer.Exit(run(port, once=once, as_json=as_json))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    rules: Rules = None,
    database: Database = None,
    as_of: AsOf = None,
    allow_as_of: Annotated[
        bool, typer.Option("--allow-as-of", help="Let requests set the instant; demonstrations.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Origin that browsers may call from; repeatable.")
    ] = None,
    fhir_server: Annotated[
        list[str] | None, typer.Option(help="FHIR base URL to fetch from; repeatable.")
    ] = None,
    allow_plain_http: Annotated[
        bool, typer.Option("--allow-plain-http", help="Accept http:// FHIR servers (development).")
    ] = False,
    site: Settings = None,
) -> None:
    """Serve CDS Hooks recommendations and the pages."""
    from cds_adapters.cli.serve import run

    given = {
        "host": host, "port": port, "rules": rules, "database": database, "as_of": as_of,
        "allow_as_of": allow_as_of or None, "cors_origins": cors_origin or None,
        "fhir_servers": fhir_server or None, "allow_plain_http": allow_plain_http or None,
    }  # fmt: skip
    raise typer.Exit(run(site, given))


@app.command()
def doctor(
    url: Annotated[str | None, typer.Option(help="Ask a running service for its health.")] = None,
    rules: Rules = None,
    database: Database = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check that the parts work here: rules, database, settings, clock; or a running service."""
    from cds_adapters.cli.doctor import run

    raise typer.Exit(run(url, site, {"rules": rules, "database": database}, as_json=as_json))


@app.command()
def conformance(
    url: Annotated[str, typer.Argument(help="Base URL of a CDS Hooks service.")],
    as_json: AsJson = False,
) -> None:
    """Probe a running CDS Hooks service against the specification, line by line."""
    from cds_adapters.cli.conform import run

    raise typer.Exit(run(url, as_json=as_json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of bundle.yaml, for editors."""
    from cds_engine.bundle.read import bundle_schema

    typer.echo(bundle_schema())


@app.command()
def check(bundle: Bundle, rules: Rules = None, as_json: AsJson = False) -> None:
    """Read a rule bundle and list every fault in it."""
    from cds_adapters.cli.bundles import check as run

    raise typer.Exit(run(bundle, rules, as_json=as_json))


@app.command()
def test(bundle: Bundle, rules: Rules = None, as_json: AsJson = False) -> None:
    """Decide a bundle's own cases and compare them with what its authors expect."""
    from cds_adapters.cli.bundles import test as run

    raise typer.Exit(run(bundle, rules, as_json=as_json))


@app.command()
def show(bundle: Bundle, rules: Rules = None, as_json: AsJson = False) -> None:
    """Show a rule bundle in words."""
    from cds_adapters.cli.bundles import show as run

    raise typer.Exit(run(bundle, rules, as_json=as_json))


@app.command()
def diff(old: Bundle, new: Bundle, rules: Rules = None, as_json: AsJson = False) -> None:
    """Say what changed between two rule bundles."""
    from cds_adapters.cli.bundles import diff as run

    raise typer.Exit(run(old, new, rules, as_json=as_json))


@app.command()
def decide(
    bundle: Bundle,
    records: Records,
    patient: Patient = None,
    as_of: AsOf = None,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Decide for every patient of some FHIR records."""
    from cds_adapters.cli.decide import run

    raise typer.Exit(run(bundle, rules, records, patient, as_of, site, as_json=as_json))


@app.command()
def explain(
    bundle: Bundle,
    records: Records,
    patient: Patient = None,
    as_of: AsOf = None,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show the path and the basis of the decision for each patient."""
    from cds_adapters.cli.explain import run

    raise typer.Exit(run(bundle, rules, records, patient, as_of, site, as_json=as_json))


@app.command()
def history(
    bundle: Bundle,
    records: Records,
    patient: Patient = None,
    as_of: AsOf = None,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show what was known about each patient, variable by variable."""
    from cds_adapters.cli.history import run

    raise typer.Exit(run(bundle, rules, records, patient, as_of, site, as_json=as_json))


@app.command()
def prefetch(
    bundle: Bundle,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Print the prefetch templates that a bundle's variables need."""
    from cds_adapters.cli.prefetch import run

    raise typer.Exit(run(bundle, rules, site, as_json=as_json))


@app.command()
def simulate(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write into; made if absent.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many patients.", min=1)] = 14,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 2026,
    mess: Annotated[
        list[str] | None, typer.Option(help="A mess to make on purpose; repeatable, or `all`.")
    ] = None,
    bundles: Annotated[
        bool, typer.Option("--bundles", help="One transaction Bundle a patient, not NDJSON.")
    ] = False,
    stories: Annotated[
        bool, typer.Option("--list", help="Print the stories and messes there are, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write sample FHIR R4 patients, with messes made on purpose."""
    from cds_adapters.cli.simulate import run

    raise typer.Exit(
        run(out, count, seed, mess or [], bundles=bundles, stories=stories, as_json=as_json)
    )


@vocab_app.command("check")
def vocab_check(
    bundle: Bundle,
    records: Records,
    rules: Rules = None,
    site: Settings = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Validate every resource with full FHIR R4B models.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which variables were found for how many patients, in which units, and what was not."""
    from cds_adapters.cli.vocab import run

    raise typer.Exit(run(bundle, rules, records, site, strict=strict, as_json=as_json))


@audit_app.command("show")
def audit_show(
    decision: Annotated[str, typer.Argument(help="The id of a decision, as cards show it.")],
    database: Database = None,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show one audit record: what was known, what was decided, and why."""
    from cds_adapters.cli.audit import show as run

    raise typer.Exit(run(decision, site, {"database": database, "rules": rules}, as_json=as_json))


@audit_app.command("verify")
def audit_verify(
    database: Database = None,
    rules: Rules = None,
    site: Settings = None,
    reevaluate: Annotated[
        bool, typer.Option("--reevaluate", help="Make every stored decision again and compare.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify the chain of audit records; with --reevaluate, every decision too."""
    from cds_adapters.cli.audit import verify as run

    given = {"database": database, "rules": rules}
    raise typer.Exit(run(site, given, reevaluate=reevaluate, as_json=as_json))
