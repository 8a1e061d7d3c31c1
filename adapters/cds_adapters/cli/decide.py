"""``decide``: one line for each patient, with the outcome, its reasons and its basis."""

from pathlib import Path
from typing import Any

from cds_adapters.cli.output import FINE, complain, print_json, say, table
from cds_adapters.cli.patients import Asked, asked, identity
from cds_engine.decide.decision import Decision
from cds_engine.decide.explain import InputRow, explain
from cds_engine.history.value import History
from cds_engine.vocabulary.time import iso


def run(
    address: str,
    rules: Path | None,
    records: Path,
    chosen: str | None,
    as_of: str | None,
    settings: Path | None,
    *,
    as_json: bool,
) -> int:
    """Decide for every patient asked for, and print what came of it."""
    question = asked(address, rules, records, chosen, as_of, settings)
    rows: list[list[str]] = []
    for patient, record in question.patients():
        history, decision = question.regime.decide(record, question.as_of)
        if as_json:
            print_json(answer(question, patient, history, decision))
        else:
            advice = decision.action or ", ".join(decision.candidates)
            reasons = "; ".join(reason.text for reason in decision.reasons)
            rows.append([patient, decision.outcome, decision.stage or "", advice, reasons])
    if not as_json and rows:
        title = f"{question.regime.bundle.identity} as of {iso(question.as_of)}"
        table(title, ["patient", "outcome", "stage", "action", "reasons"], rows)
    elif not as_json:
        say(f"no patient in {records}" + (f" has the id {chosen}" if chosen else ""))
    if not rows and chosen and not as_json:
        complain("name a patient by the id of the Patient resource")
    return FINE


def answer(question: Asked, patient: str, history: History, decision: Decision) -> dict[str, Any]:
    """Return one patient's answer as JSON-ready data."""
    explained = explain(question.regime.bundle, decision, history)
    return {
        "patient": patient,
        "outcome": decision.outcome,
        "stage": decision.stage,
        "action": decision.action,
        "candidates": list(decision.candidates),
        "reasons": [
            {"code": r.code, "text": r.text, "variables": list(r.variables)}
            for r in decision.reasons
        ],
        "basis": [basis(row) for row in explained.inputs],
        "bundle": identity(question),
        "as_of": iso(decision.as_of),
        "set_aside": [{"source": s, "reason": why} for s, why in history.set_aside],
    }


def basis(row: InputRow) -> dict[str, Any]:
    """Return one input of a decision as JSON-ready data."""
    found: dict[str, Any] = {"variable": row.name, "value": row.value}
    if row.unit:
        found["unit"] = row.unit
    if row.start is not None:
        found["time"] = iso(row.start)
    if row.sources:
        found["sources"] = list(row.sources)
    if row.reason:
        found["missing"] = row.reason
    if row.note:
        found["note"] = row.note
    if row.derived:
        found["derived"] = row.derived
    return found
