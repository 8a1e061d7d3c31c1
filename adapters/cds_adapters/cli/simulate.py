"""``simulate``: sample FHIR R4 patients on disk, with the messes of real records on purpose."""

from pathlib import Path

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


def run(
    out: Path | None,
    count: int,
    seed: int,
    messes: list[str],
    *,
    bundles: bool,
    stories: bool,
    as_json: bool,
) -> int:
    """Write the patients, or list what can be written."""
    if stories:
        return _list(as_json=as_json)
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


def _bundle_files(patients: list[SamplePatient]) -> dict[str, str]:
    return {f"{p.id}.json": to_json(to_transaction_bundle(p)) + "\n" for p in patients}


def _list(*, as_json: bool) -> int:
    if as_json:
        print_json({
            "stories": {name: story.description for name, story in STORIES.items()},
            "messes": {name: mess.what for name, mess in MESSES.items()},
        })  # fmt: skip
        return FINE
    table("Stories", ["story", "what happens"], [[n, s.description] for n, s in STORIES.items()])
    table(
        "Messes",
        ["mess", "what it does", "what a reader must do"],
        [[n, m.what, m.reader] for n, m in MESSES.items()],
    )
    return FINE
