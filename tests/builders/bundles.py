"""Rule bundles as document dicts with good defaults, and the vocabulary that drawn ones share."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle

Document = dict[str, Any]

DIGITS: Mapping[str, int] = {"n0": 0, "m0": 0, "n1": 1, "n2": 2, "huge": 0}
"""Numbers of the drawn vocabulary -> their digits."""
FLAGS = ("b0", "b1", "b2")
LABELS: Mapping[str, tuple[str, ...]] = {
    "letter": ("a", "b", "is it in", "not"),
    "sex": ("female", "male", "other", "unknown"),
    "step": ("none", "a0", "a1", "keep"),
}
ACTIONS = ("a0", "a1", "a2", "a3", "keep")


def bundle_of(document: Mapping[str, Any]) -> RuleBundle:
    """Return the checked rule bundle of a document."""
    return read_bundle({"bundle.yaml": json.dumps(document).encode()})


def a_document(**fields: Any) -> Document:
    """Return a small valid document; given fields replace those of the same name."""
    return {
        "regime": "drawn",
        "version": "1.0.0",
        "title": "A drawn regime",
        "aim": {"outcome": "n0", "better": "lower"},
        "population": "true",
        "variables": variables(),
        "actions": {name: {"label": name, "change": name != "keep"} for name in ACTIONS},
        "stages": [a_stage([{"when": "b0", "then": "a0"}, {"otherwise": "keep"}])],
        **fields,
    }


def a_stage(rule: Any, name: str = "only", when: str = "true") -> Document:
    """Return a stage that offers exactly the actions that its rule names."""
    return {"stage": name, "when": when, "choose": sorted(actions_of(rule)), "rule": rule}


def actions_of(rule: Any) -> set[str]:
    """Return the actions that a rule, as written in a document, names."""
    if isinstance(rule, dict):
        return set(rule["scores"])
    named: set[str] = set()
    for branch in rule:
        for field in ("then", "otherwise", "instead"):
            value: str | Sequence[str] = branch.get(field, ())
            named |= {value} if isinstance(value, str) else set(value)
        named |= actions_of(branch.get("rule", ()))
    return named


def variables(**derived: Mapping[str, Any]) -> Document:
    """Return the definitions of the drawn vocabulary, with derived variables added."""
    observed = {"from": "observation", "codes": ["loinc|1-1"]}
    found: Document = {n: {**observed, "unit": "1", "digits": d} for n, d in DIGITS.items()}
    for name in FLAGS:
        found[name] = {"from": "condition", "codes": ["snomed|1"], "absent": "unknown"}
    answers = {f"loinc|LA{at}": label for at, label in enumerate(LABELS["letter"])}
    found["letter"] = {**observed, "answers": answers}
    found["sex"] = {"from": "patient.sex"}
    found["step"] = {"from": "course", "take": "latest_action"}
    return {**found, **derived}
