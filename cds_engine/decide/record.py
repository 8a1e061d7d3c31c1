"""What a decision rested on, as plain data from which it can be made again, bit for bit.

Nothing here names a patient: times are kept as distances from the instant of the decision, and
only the rule bundle's own variables are kept.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from cds_engine import SEMANTICS_VERSION
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision
from cds_engine.history.value import Finding, History, Known, Missing, Reading
from cds_engine.vocabulary.value import Scalar, Span

Plain = dict[str, Any]


def history_to_plain(history: History) -> Plain:
    """Return a history as JSON-ready data; ``plain_to_history`` undoes it exactly."""
    return {
        "as_of": history.as_of,
        "deceased": history.deceased,
        "findings": {n: _finding(f, history.as_of) for n, f in history.findings.items()},
        "set_aside": [list(item) for item in history.set_aside],
    }


def plain_to_history(plain: Mapping[str, Any]) -> History:
    """Return the history that was written by ``history_to_plain``."""
    as_of = plain["as_of"]
    findings = {name: _found(item, as_of) for name, item in plain["findings"].items()}
    aside = tuple((source, reason) for source, reason in plain["set_aside"])
    return History(as_of, findings, plain["deceased"], aside)


def decision_to_plain(decision: Decision) -> Plain:
    """Return everything a decision says, as JSON-ready data in a fixed order.

    Two decisions are the same if and only if this data is equal: it is what is stored, digested
    and compared when a decision is made again.
    """
    judgement = decision.judgement
    return {
        "regime": decision.regime,
        "version": decision.version,
        "digest": decision.digest,
        "semantics": SEMANTICS_VERSION,
        "as_of": decision.as_of,
        "outcome": decision.outcome,
        "stage": decision.stage,
        "action": decision.action,
        "candidates": list(decision.candidates),
        "place": judgement.place,
        "reasons": [[r.code, r.text, list(r.variables), r.place] for r in decision.reasons],
        "removed": [[r.action, r.place, r.certain] for r in judgement.removed],
        "unsupported": list(judgement.unsupported),
        "undecided": list(judgement.undecided),
        "path": [[s.role, s.place, s.verdict] for s in judgement.steps],
        "state": {name: _value(value) for name, value in decision.state.items()},
        "notes": list(decision.notes),
    }


def canonical(plain: Plain) -> bytes:
    """Write plain data in one way only: sorted keys, no white space, shortest numbers."""
    return msgspec.json.encode(plain, order="deterministic")


def decide_again(bundle: RuleBundle, history: Mapping[str, Any]) -> tuple[Decision, Plain]:
    """Make the decision of a stored history again; return it with its plain form."""
    decision = decide(bundle, plain_to_history(history))
    return decision, decision_to_plain(decision)


def _finding(finding: Finding, as_of: int) -> Plain:
    readings = [_reading(reading, as_of) for reading in finding.readings]
    if isinstance(finding, Known):
        plain: Plain = {"value": _value(finding.value), "note": finding.note}
    else:
        last = None if finding.last is None else as_of - finding.last
        plain = {"missing": finding.reason, "detail": finding.detail, "last": last}
    plain["readings"] = readings
    return plain


def _reading(reading: Reading, as_of: int) -> list[Any]:
    start, end = reading.start, reading.end
    return [
        reading.source,
        None if start is None else as_of - start,
        None if end is None else as_of - end,
    ]


def _found(plain: Mapping[str, Any], as_of: int) -> Finding:
    readings = tuple(
        Reading(source, *(None if ago is None else as_of - ago for ago in (start, end)))
        for source, start, end in plain["readings"]
    )
    if "missing" in plain:
        last = None if plain["last"] is None else as_of - plain["last"]
        return Missing(plain["missing"], plain["detail"], readings, last)
    return Known(_scalar(plain["value"]), readings, plain["note"])


def _value(value: object) -> object:
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is no value that could have been decided on")
    if not isinstance(value, Span):
        return value
    ends = {"low": value.low, "high": value.high}
    span: Plain = {name: end for name, end in ends.items() if abs(end) != float("inf")}
    return {**span, "low_open": value.low_open, "high_open": value.high_open}


def _scalar(plain: Any) -> Scalar:
    if not isinstance(plain, dict):
        value: Scalar = plain
        return value
    low, high = plain.get("low", float("-inf")), plain.get("high", float("inf"))
    return Span(low, high, plain["low_open"], plain["high_open"])
