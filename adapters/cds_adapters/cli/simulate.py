"""``simulate``: made-up FHIR R4 patients on disk.

Either samples, with the messes of real records on purpose, or the patients of a world with known
truth, together with the table that a trial or a cohort study of them would analyse.
"""

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cds_adapters.cli.output import CANNOT_READ, FINE, USAGE, complain, print_json, say, table
from cds_adapters.fhir.samples import (
    MESSES,
    STORIES,
    SamplePatient,
    sample_patients,
    to_json,
    to_ndjson,
    to_transaction_bundle,
)
from cds_adapters.fhir.worlds import world_patients, write_bundles, write_ndjson
from cds_engine.simulate import WORLDS

if TYPE_CHECKING:
    from cds_engine.simulate import World

TABLE, DECISIONS = "table.csv", "decisions.csv"
"""Files beside the records: the analysis table, and when which decision was made."""


def run(
    out: Path | None,
    count: int,
    seed: int,
    messes: list[str],
    extra: int,
    *,
    bundles: bool,
    stories: bool,
    as_json: bool,
) -> int:
    """Write the patients, or list what can be written."""
    if stories:
        return _list(as_json=as_json)
    if extra:
        complain("--extra goes with --world; name a world, or leave it out")
        return USAGE
    if out is None:
        complain("name the folder to write into with --out, or ask for --list")
        return USAGE
    wanted = tuple(MESSES) if messes == ["all"] else tuple(messes)
    unknown = [name for name in wanted if name not in MESSES]
    if unknown:
        complain(f"no mess {', '.join(unknown)}; there is {', '.join(sorted(MESSES))}")
        return USAGE
    patients = list(sample_patients(count, seed, wanted))
    files = _bundle_files(patients) if bundles else to_ndjson(patients)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        complain(f"{out} cannot be written: {error.strerror}; name another folder")
        return CANNOT_READ
    if as_json:
        print_json({"out": str(out), "patients": len(patients), "files": sorted(files)})
    else:
        say(f"{len(patients)} patients in {len(files)} files in {out}")
    return FINE


def run_world(
    name: str,
    out: Path | None,
    count: int,
    seed: int,
    messes: list[str],
    extra: int,
    *,
    bundles: bool,
    as_json: bool,
) -> int:
    """Write the records of a world's patients, their table, and the instants of the decisions."""
    if name not in WORLDS:
        complain(f"no world {name}; there is {', '.join(WORLDS)}")
        return USAGE
    if messes:
        complain("a world's records are clean, else they were not its table; leave out --mess")
        return USAGE
    if out is None:
        complain("name the folder to write into with --out, or ask for --list")
        return USAGE
    try:
        files = _write_world(WORLDS[name](), out, count, seed, extra, bundles=bundles)
    except OSError as error:
        complain(f"{out} cannot be written: {error.strerror}; name another folder")
        return CANNOT_READ
    if as_json:
        print_json({"out": str(out), "world": name, "patients": count, "files": sorted(files)})
    else:
        say(f"{count} patients in {len(files)} files in {out}; the table is {TABLE}")
    return FINE


def _write_world(
    world: "World", out: Path, count: int, seed: int, extra: int, *, bundles: bool
) -> list[str]:
    """Write part after part, so that memory does not grow with the number of patients."""
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        table, decisions = (
            csv.writer(
                files.enter_context((out / name).open("w", encoding="utf-8", newline="")),
                lineterminator="\n",
            )
            for name in (TABLE, DECISIONS)
        )
        decisions.writerow(["id", "stage", "as_of", "action"])

        def patients() -> Iterator[SamplePatient]:
            for number, part in enumerate(world.parts(count, seed)):
                if not number:
                    table.writerow(["id", *part.columns])
                columns = [values.tolist() for values in part.columns.values()]
                taken = [part.columns[stage.action] for stage in world.stages]
                for row, patient in enumerate(world_patients(part, extra)):
                    table.writerow([patient.id, *(_cell(values[row]) for values in columns)])
                    for stage, as_of, action in zip(
                        world.stages, patient.visits, taken, strict=True
                    ):
                        decisions.writerow([patient.id, stage.name, as_of, _cell(action[row])])
                    yield patient

        written = (write_bundles if bundles else write_ndjson)(patients(), out)
    return [*written, TABLE, DECISIONS]


def _cell(value: Any) -> Any:
    """Write a value as it is recorded: whole numbers without a point, nothing for None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _bundle_files(patients: list[SamplePatient]) -> dict[str, str]:
    return {f"{p.id}.json": to_json(to_transaction_bundle(p)) + "\n" for p in patients}


def _list(*, as_json: bool) -> int:
    if as_json:
        print_json({
            "stories": {name: story.description for name, story in STORIES.items()},
            "messes": {name: mess.what for name, mess in MESSES.items()},
            "worlds": {name: make().title for name, make in WORLDS.items()},
        })  # fmt: skip
        return FINE
    table("Stories", ["story", "what happens"], [[n, s.description] for n, s in STORIES.items()])
    table(
        "Messes",
        ["mess", "what it does", "what a reader must do"],
        [[n, m.what, m.reader] for n, m in MESSES.items()],
    )
    table("Worlds", ["world", "what it is"], [[n, make().title] for n, make in WORLDS.items()])
    return FINE
