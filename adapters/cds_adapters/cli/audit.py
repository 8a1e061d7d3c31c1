"""``audit``: one record in full, or the whole chain verified and every decision made again."""

import json
from pathlib import Path
from typing import Any

from cds_adapters.cli.explain import VERDICTS
from cds_adapters.cli.output import CANNOT_READ, FINDINGS, FINE, complain, print_json, say, table
from cds_adapters.site import read_site
from cds_adapters.storage.database import open_database
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.records import AuditRecord, Feedback
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_adapters.storage.verify import reevaluate as make_again
from cds_adapters.storage.verify import verify as verify_chain
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.explain import explain
from cds_engine.decide.record import Plain, decide_again, plain_to_history
from cds_engine.history.value import Known
from cds_engine.vocabulary.time import iso
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import Span, value_text


def show(decision: str, settings: Path | None, given: dict[str, Any], *, as_json: bool) -> int:
    """Print one record; 3 if there is none of that id."""
    site = read_site(settings, given)
    store = AuditReader(open_database(site.database, create=False))
    record = store.get(decision)
    if record is None:
        complain(f"no decision {decision} in this database; check the id and --database")
        return CANNOT_READ
    feedback = store.feedback_for(decision)
    if as_json:
        print_json(_plain(record, feedback))
    else:
        _print(record, feedback, Shelf(site.rules or shipped_rules()).by_digest(record.digest))
    return FINE


def verify(settings: Path | None, given: dict[str, Any], *, reevaluate: bool, as_json: bool) -> int:
    """Verify the chain; on request make every decision again."""
    import dataclasses

    site = read_site(settings, given)
    store = AuditReader(open_database(site.database, create=False))
    chain = verify_chain(store)
    shelf = Shelf(site.rules or shipped_rules())
    again = make_again(store, shelf.by_digest) if reevaluate else None
    fine = chain.sound and (again is None or again.complete)
    if as_json:
        print_json({"ok": fine, "chain": dataclasses.asdict(chain),
                    "reevaluation": dataclasses.asdict(again) if again else None})  # fmt: skip
    else:
        say(str(chain))
        if again:
            say(str(again))
    return FINE if fine else FINDINGS


def _plain(record: AuditRecord, feedback: tuple[Feedback, ...]) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": iso(record.at),
        "as_of": iso(record.as_of),
        "frozen": record.frozen,
        "source": record.source,
        "hook": record.hook,
        "service": record.service,
        "status": record.status,
        "outcome": record.outcome,
        "bundle": {"regime": record.regime, "version": record.version, "digest": record.digest},
        "engine": record.engine,
        "semantics": record.semantics,
        "duration_us": record.duration,
        "cards": [{"uuid": c.uuid, "suggestions": list(c.suggestions)} for c in record.cards],
        "feedback": [
            {
                "at": iso(item.at),
                "card": item.card,
                "outcome": item.outcome,
                "accepted": list(item.accepted),
                "reason": item.reason or None,
                "comment": item.comment or None,
            }
            for item in feedback
        ],
        "error": record.error or None,
        "history": json.loads(record.history) if record.history else None,
        "decision": json.loads(record.decision) if record.decision else None,
    }


def _print(record: AuditRecord, feedback: tuple[Feedback, ...], bundle: RuleBundle | None) -> None:
    plain = _plain(record, feedback)
    history, decision = plain.pop("history"), plain.pop("decision")
    plain["bundle"] = f"{record.regime}@{record.version}, digest {record.digest or 'none'}"
    plain["cards"] = [f"card {card.uuid}" for card in record.cards]
    plain.pop("feedback")
    table("", ["field", "value"], [[k, _text(v)] for k, v in plain.items() if v not in (None, [])])
    if decision:
        _print_decision(decision, history, bundle)
        _print_known(history, bundle)
    _print_feedback(record, feedback)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value_text(value) if isinstance(value, bool) else str(value)


def _print_decision(decision: Plain, history: Plain, bundle: RuleBundle | None) -> None:
    """Print what came of it; a bundle that is no longer there leaves names instead of labels."""
    labels = {} if bundle is None else {n: a.label for n, a in bundle.actions.items()}
    if decision["action"]:
        say(f"Action: {labels.get(decision['action'], decision['action'])}")
    elif decision["candidates"]:
        say(f"Possible: {', '.join(labels.get(name, name) for name in decision['candidates'])}")
    for code, text, _, place in decision["reasons"]:
        say(f"Reason: {text} [{code}{', ' + place if place else ''}]")
    steps = [[role, place, place, VERDICTS[verdict]] for role, place, verdict in decision["path"]]
    if bundle is None:
        say("The rule bundle is not in the rules directory, so its criteria cannot be shown.")
    else:
        again, _ = decide_again(bundle, history)
        explained = explain(bundle, again, plain_to_history(history)).steps
        words = {(step.role, step.place): (step.title, step.words) for step in explained}
        steps = [
            [*words.get((role, place), (role, "")), place, verdict]
            for role, _, place, verdict in steps
        ]
    table("Path", ["step", "criterion", "place", "verdict"], steps)


def _print_known(history: Plain, bundle: RuleBundle | None) -> None:
    findings = plain_to_history(history).findings
    rows = []
    for name, found in findings.items():
        kind = bundle.kinds.get(name) if bundle else None
        if isinstance(found, Known):
            unit = unit_words(kind.unit) if kind and isinstance(found.value, float | Span) else ""
            said = f"{value_text(found.value)} {unit}".strip()
        else:
            said = f"missing ({found.reason}): {found.detail}"
        label = kind.label if kind else name
        rows.append([label, said, ", ".join(reading.source for reading in found.readings)])
    table("Known then", ["input", "value", "sources"], rows)


def _print_feedback(record: AuditRecord, feedback: tuple[Feedback, ...]) -> None:
    if not feedback:
        if record.cards:
            say("Feedback: none so far")
        return
    rows = [
        [iso(item.at), item.outcome, item.reason_display or item.reason, item.comment]
        for item in feedback
    ]
    table("Feedback", ["when", "what was done", "reason", "comment"], rows)
