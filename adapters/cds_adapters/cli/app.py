"""All commands of ``cds-engine`` with their options; each hands over to the module that does it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import cds_engine
from cds_adapters.cli.design import design_app

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
app.add_typer(design_app, name="design", rich_help_panel=None)

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
Without = Annotated[
    list[str] | None,
    typer.Option(
        help="Leave out a source record, as MedicationRequest/1: a replay leaves out what the "
        "visit itself ordered (key.withheld), for it is what was decided; repeatable."
    ),
]
Settings = Annotated[Path | None, typer.Option("--site", help="TOML file with the settings.")]
Database = Annotated[str | None, typer.Option("--database", help="SQLAlchemy URL of the audit.")]

Data = Annotated[
    str, typer.Argument(help="Folder or file of NDJSON, Bundles or events; a path or any URL.")
]
Replayed = Annotated[str, typer.Option("--bundle", help="The version to replay; as for `show`.")]
WasReplayed = Annotated[
    str, typer.Option("--bundle", help="The version that was replayed; as for `show`.")
]
Against = Annotated[
    str | None, typer.Option("--against", help="A second version to compare it with.")
]
Finished = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder that a replay wrote, its --out.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for what comes out; made if absent.")]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="Only encounters of this class, as AMB; repeatable."),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only encounters of this type, as snomed|1; repeatable."),
]
AtInstant = Annotated[
    str, typer.Option("--instant", help="Decide at the `start` or the `end` of the encounter.")
]
Offset = Annotated[str | None, typer.Option(help="How long after that, as PT1H.")]
First = Annotated[
    str | None, typer.Option("--first", help="A schedule instead of encounters: first instant.")
]
Last = Annotated[str | None, typer.Option("--last", help="The schedule's last instant.")]
Every = Annotated[str | None, typer.Option("--every", help="The schedule's step, as P3M.")]
Window = Annotated[
    str | None, typer.Option(help="How long after it an action counts as taken; P30D.")
]
Horizon = Annotated[
    str | None, typer.Option(help="When the outcome is measured; as the bundle's aim says.")
]
HorizonFrom = Annotated[
    str | None,
    typer.Option(help="Count it from each `decision`, or the `start`; as the bundle's aim says."),
]
Tolerance = Annotated[str | None, typer.Option(help="How far from it a measurement may be; P30D.")]
DataUntil = Annotated[
    str | None, typer.Option(help="When the records end; the export's time or last encounter.")
]
Recheck = Annotated[
    float, typer.Option(help="Share of rows decided again by the scalar evaluator.")
]
Seed = Annotated[int, typer.Option(help="Draws those rows.")]
Engine = Annotated[
    str, typer.Option(help="`joblib`, processes of this machine; or `spark`, see --master.")
]
Master = Annotated[
    str | None,
    typer.Option(help="Spark's master: local[2], spark://host:7077, yarn or k8s://..."),
]
Jobs = Annotated[int, typer.Option(min=1, help="Processes; they change nothing but the time.")]
By = Annotated[
    list[str] | None,
    typer.Option("--by", help="A variable whose subgroups are looked at; repeatable."),
]
AdjustFor = Annotated[
    list[str] | None,
    typer.Option(help="Adjust for these variables alone, rather than for all; repeatable."),
]
LeastN = Annotated[float, typer.Option(min=1, help="Refuse a value of fewer effective followers.")]
MostDeaths = Annotated[
    float,
    typer.Option(min=0, max=1, help="Refuse every value where a larger share died too early."),
]
SmallCell = Annotated[int, typer.Option(min=1, help="Hold back counts of subgroups below this.")]
MaxDamaged = Annotated[
    float, typer.Option(min=0, max=1, help="Share of damaged lines above which the run ends.")
]
Complete = Annotated[
    list[str] | None,
    typer.Option(help="A resource type that no patient has, in a complete export; repeatable."),
]
AcceptCut = Annotated[
    bool, typer.Option("--accept-cut", help="Go on without what a cut file may have held.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Take the place of another replay in --out.")
]


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
    patients: Annotated[
        Path | None, typer.Option(help="Folder of FHIR records to show at /patients/ID?as_of=.")
    ] = None,
    replays: Annotated[
        Path | None, typer.Option(help="Folder of replays to show at /replays.")
    ] = None,
    site: Settings = None,
) -> None:
    """Serve CDS Hooks recommendations and the pages."""
    from cds_adapters.cli.serve import run

    given = {
        "host": host, "port": port, "rules": rules, "database": database, "as_of": as_of,
        "allow_as_of": allow_as_of or None, "cors_origins": cors_origin or None,
        "fhir_servers": fhir_server or None, "allow_plain_http": allow_plain_http or None,
        "patients": patients, "replays": replays,
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
    without: Without = None,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show what was known about each patient, variable by variable."""
    from cds_adapters.cli.history import run

    told = run(bundle, rules, records, patient, as_of, site, without=without or [], as_json=as_json)
    raise typer.Exit(told)


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
    world: Annotated[
        str | None,
        typer.Option("--world", help="Patients of a world with known truth, and their table."),
    ] = None,
    extra: Annotated[
        int,
        typer.Option(help="With --world: further Observations for each patient.", min=0),
    ] = 0,
    bundles: Annotated[
        bool, typer.Option("--bundles", help="One transaction Bundle a patient, not NDJSON.")
    ] = False,
    stories: Annotated[
        bool, typer.Option("--list", help="Print the stories, messes and worlds, and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write sample FHIR R4 patients, with messes made on purpose, or those of a simulated world."""
    from cds_adapters.cli.simulate import run, run_world

    if world is not None and not stories:
        raise typer.Exit(
            run_world(world, out, count, seed, mess or [], extra, bundles=bundles, as_json=as_json)
        )
    raise typer.Exit(
        run(out, count, seed, mess or [], extra, bundles=bundles, stories=stories, as_json=as_json)
    )


@app.command()
def cohort(
    data: Data,
    bundle: Replayed,
    out: Out,
    classes: Classes = None,
    types: Types = None,
    instant: AtInstant = "start",
    offset: Offset = None,
    first: First = None,
    last: Last = None,
    every: Every = None,
    window: Window = None,
    horizon: Horizon = None,
    horizon_from: HorizonFrom = None,
    tolerance: Tolerance = None,
    data_until: DataUntil = None,
    recheck: Recheck = 0.01,
    seed: Seed = 0,
    engine: Engine = "joblib",
    master: Master = None,
    jobs: Jobs = 1,
    max_damaged: MaxDamaged = 0.01,
    complete: Complete = None,
    accept_cut: AcceptCut = False,
    overwrite: Overwrite = False,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write the decision-point table of an export: histories, decisions, actions, outcomes."""
    from cds_adapters.cli.extras import REPLAY, need

    need("replay", REPLAY)
    from cds_adapters.cli.cohort import run
    from cds_adapters.cli.replaying import Options

    options = Options(
        classes or [], types or [], instant, offset, first, last, every, window, horizon,
        horizon_from, tolerance, data_until, recheck, seed, jobs, max_damaged, complete or [],
        accept_cut, engine, master, overwrite,
    )  # fmt: skip
    raise typer.Exit(run(data, bundle, out, rules, site, options, as_json=as_json))


@app.command()
def replay(
    data: Data,
    bundle: Replayed,
    out: Out,
    against: Against = None,
    classes: Classes = None,
    types: Types = None,
    instant: AtInstant = "start",
    offset: Offset = None,
    first: First = None,
    last: Last = None,
    every: Every = None,
    window: Window = None,
    horizon: Horizon = None,
    horizon_from: HorizonFrom = None,
    tolerance: Tolerance = None,
    data_until: DataUntil = None,
    by: By = None,
    adjust_for: AdjustFor = None,
    least_n: LeastN = 50.0,
    small_cell: SmallCell = 10,
    most_deaths: MostDeaths = 0.1,
    recheck: Recheck = 0.01,
    seed: Seed = 0,
    engine: Engine = "joblib",
    master: Master = None,
    jobs: Jobs = 1,
    max_damaged: MaxDamaged = 0.01,
    complete: Complete = None,
    accept_cut: AcceptCut = False,
    overwrite: Overwrite = False,
    rules: Rules = None,
    site: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Decide every past decision point of an export again, by one version or by two."""
    from cds_adapters.cli.extras import REPLAY, need

    need("replay", REPLAY)
    from cds_adapters.cli.figures import figure_settings
    from cds_adapters.cli.replay import run
    from cds_adapters.cli.replaying import Options

    options = Options(
        classes or [], types or [], instant, offset, first, last, every, window, horizon,
        horizon_from, tolerance, data_until, recheck, seed, jobs, max_damaged, complete or [],
        accept_cut, engine, master, overwrite,
    )  # fmt: skip
    asked = replace(figure_settings(by, adjust_for, least_n, small_cell, most_deaths), seed=seed)
    told = run(data, bundle, against, out, rules, site, options, asked, as_json=as_json)
    raise typer.Exit(told)


@app.command()
def figures(
    folder: Finished,
    bundle: WasReplayed,
    against: Against = None,
    by: By = None,
    adjust_for: AdjustFor = None,
    least_n: LeastN = 50.0,
    small_cell: SmallCell = 10,
    most_deaths: MostDeaths = 0.1,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Make the figures and the report of a finished replay anew, without its data."""
    from cds_adapters.cli.extras import REPLAY, need

    need("replay", REPLAY)
    from cds_adapters.cli.figures import figure_settings, run

    asked = figure_settings(by, adjust_for, least_n, small_cell, most_deaths)
    raise typer.Exit(run(folder, bundle, against, rules, asked, as_json=as_json))


Study = Annotated[Path, typer.Argument(help="A study file, or the folder that holds study.yaml.")]


@app.command()
def fit(
    study: Study,
    out: Out,
    jobs: Jobs = 1,
    as_json: AsJson = False,
) -> None:
    """Learn a regime from a study and write it as a rule bundle with its evidence."""
    from cds_adapters.cli.fit import fit as run

    raise typer.Exit(run(study, out, jobs, as_json=as_json))


@app.command()
def assume(
    study: Study,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a report there, one HTML file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure whether the assumptions hold in a study's data, before any number is believed."""
    from cds_adapters.cli.fit import assume as run

    raise typer.Exit(run(study, out, as_json=as_json))


@app.command()
def value(
    study: Study,
    bundle: Annotated[
        str | None, typer.Option("--bundle", help="A rule bundle to value on the study's data.")
    ] = None,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the mean outcome under a rule bundle, every fixed regime and usual care."""
    from cds_adapters.cli.fit import value as run

    raise typer.Exit(run(study, bundle, rules, as_json=as_json))


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
