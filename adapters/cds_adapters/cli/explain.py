"""``explain``: the path of a decision, criterion by criterion, with the values behind it."""

import dataclasses
from pathlib import Path

from cds_adapters.cli.decide import answer
from cds_adapters.cli.output import FINE, print_json, say, table
from cds_adapters.cli.patients import asked
from cds_engine.bundle.model import RuleBundle
from cds_engine.criteria.syntax import Verdict
from cds_engine.decide.explain import Explanation, InputRow
from cds_engine.decide.explain import explain as explain_decision
from cds_engine.vocabulary.time import iso, iso_date
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import NONE

VERDICTS: dict[Verdict, str] = {True: "holds", False: "does not hold", None: "unknown"}


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
    """Print the path and the basis of every patient's decision."""
    question = asked(address, rules, records, chosen, as_of, settings)
    bundle = question.regime.bundle
    for patient, record in question.patients():
        history, decision = question.regime.decide(record, question.as_of)
        explained = explain_decision(bundle, decision, history)
        if as_json:
            path = [dataclasses.asdict(step) for step in explained.steps]
            alternatives = [dataclasses.asdict(other) for other in explained.alternatives]
            print_json({**answer(question, patient, history, decision), "path": path,
                        "alternatives": alternatives})  # fmt: skip
            continue
        label = bundle.actions[decision.action].label if decision.action else ""
        say(f"{patient}, {bundle.identity}, as of {iso(decision.as_of)}")
        say(f"  {decision.outcome}{': ' + label if label else ''}")
        for reason in decision.reasons:
            say(f"  because {reason.text} [{reason.code}]")
        _print(bundle, explained)
    return FINE


def _print(bundle: RuleBundle, explained: Explanation) -> None:
    steps = [[s.title, s.words, VERDICTS[s.verdict], s.place] for s in explained.steps]
    table("Path", ["step", "criterion", "verdict", "place"], steps)
    inputs = [
        [
            row.label,
            f"{_said(bundle, row)} {unit_words(row.unit)}".strip(),
            iso_date(row.start) if row.start is not None else "",
            ", ".join(row.sources),
            row.note,
        ]
        for row in explained.inputs
    ]
    table("Basis", ["input", "value", "date", "sources", "how"], inputs)
    if explained.alternatives:
        others = [[other.label, other.why] for other in explained.alternatives]
        table("Other options", ["option", "why not"], others)


def _said(bundle: RuleBundle, row: InputRow) -> str:
    """Return a value; where it is one of the regime's actions, as that reads."""
    if bundle.variables[row.name].source != "course":
        return row.value
    if row.value == NONE:
        return "nothing yet"
    return bundle.actions[row.value].label if row.value in bundle.actions else row.value
