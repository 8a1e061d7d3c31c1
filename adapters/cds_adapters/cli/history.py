"""``history``: what was known about each patient, variable by variable."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cds_adapters.cli.output import FINE, USAGE, complain, print_json, table
from cds_adapters.cli.patients import asked, identity
from cds_adapters.withheld import withheld
from cds_engine.estimate.near_names import did_you_mean
from cds_engine.history.event import Record
from cds_engine.history.value import Finding, History, Known
from cds_engine.vocabulary.time import iso
from cds_engine.vocabulary.value import value_text


def run(
    address: str,
    rules: Path | None,
    records: Path,
    chosen: str | None,
    as_of: str | None,
    settings: Path | None,
    *,
    without: Sequence[str] = (),
    as_json: bool,
) -> int:
    """Print the history of every patient asked for, ``without`` the source records named."""
    question = asked(address, rules, records, chosen, as_of, settings)
    kinds = question.regime.bundle.kinds
    patients: Iterable[tuple[str, Record]] = question.patients()
    if without:
        patients = list(patients)
        if unmet := _unmet(without, patients):
            complain(unmet)
            return USAGE
    for patient, whole in patients:
        record, left_out = withheld(whole, without)
        found = question.regime.history(record, question.as_of)
        units = {name: kinds[name].unit for name in found.findings}
        if as_json:
            told = {"without": list(left_out)} if without else {}
            print_json({"patient": patient, "bundle": identity(question),
                        **as_data(found, units), **told})  # fmt: skip
        else:
            rows = [_row(name, f, units[name]) for name, f in found.findings.items()]
            title = f"{patient} as of {iso(found.as_of)}"
            title += f" without {', '.join(left_out)}" if left_out else ""
            table(title, ["variable", "value", "time", "sources", "note"], rows)
    return FINE


def _unmet(without: Sequence[str], patients: Iterable[tuple[str, Record]]) -> str:
    """Return the words on what is in nobody's record; empty where all is in somebody's."""
    held = {event.source for _, record in patients for event in record.events}
    lines = [
        f"--without: no record of these patients is `{name}`"
        + (did_you_mean(name, sorted(held)) or "; name it as `sources` does, type and id")
        for name in without
        if name not in held
    ]
    return "\n".join(lines)


def as_data(history: History, units: dict[str, str]) -> dict[str, Any]:
    """Return a history as JSON-ready data."""
    return {
        "as_of": iso(history.as_of),
        "deceased": history.deceased,
        "variables": {
            name: _plain(finding, units[name]) for name, finding in history.findings.items()
        },
        "set_aside": [{"source": s, "reason": why} for s, why in history.set_aside],
    }


def _plain(finding: Finding, unit: str) -> dict[str, Any]:
    sources = [
        {"source": r.source, "time": None if r.start is None else iso(r.start)}
        for r in finding.readings
    ]
    if isinstance(finding, Known):
        plain: dict[str, Any] = {"value": value_text(finding.value)}
        if unit:
            plain["unit"] = unit
        if finding.note:
            plain["note"] = finding.note
    else:
        plain = {"missing": finding.reason, "note": finding.detail}
        if finding.last is not None:
            plain["last_known"] = iso(finding.last)
    return {**plain, "sources": sources} if sources else plain


def _row(name: str, finding: Finding, unit: str) -> list[str]:
    times = [r.start for r in finding.readings if r.start is not None]
    when = iso(max(times)) if times else ""
    sources = ", ".join(r.source for r in finding.readings)
    if isinstance(finding, Known):
        return [name, f"{value_text(finding.value)} {unit}".strip(), when, sources, finding.note]
    return [name, f"missing: {finding.reason}", when, sources, finding.detail]
