"""Worlds write variables and actions as a rule bundle's YAML would, with codes that exist.

Where no standard code says what is meant, the code is of the project's own system ``LOCAL``, so
that nobody takes it for a standard one.
"""

from collections.abc import Mapping
from typing import Any

LOCAL = "https://cds-engine.example/codes"
"""Code system of what has no standard code."""

Document = dict[str, Any]

AGE: Document = {"from": "patient.age", "label": "Age", "unit": "a", "plausible": [0, 120]}
STEP: Document = {
    "from": "course", "label": "Latest step of the regime", "take": "latest_action",
}  # fmt: skip
WEEKS_ON_STEP: Document = {
    "from": "course", "label": "Whole weeks since that step began", "take": "elapsed", "unit": "wk",
}  # fmt: skip


def measured(
    label: str, code: str, unit: str, digits: int, plausible: tuple[float, float], **more: Any
) -> Document:
    """Return a variable read from observations: the latest of 30 days, unless told otherwise."""
    return {
        "from": "observation", "label": label, "codes": [code], "unit": unit, "take": "latest",
        "within": "P30D", "plausible": list(plausible), "digits": digits, **more,
    }  # fmt: skip


def on_the_list(label: str, code: str) -> Document:
    """Return a condition that is present if it is on the problem list, and else not."""
    return {"from": "condition", "label": label, "codes": [code], "absent": False}


def ordered(
    label: str, kind: str, resource: str, code: str, text: str, dosage: str | None = None
) -> Document:
    """Return an action that is ordered, and recognised, by one code."""
    order = {"resource": resource, "code": code, "text": text}
    if dosage:
        order["dosage"] = dosage
    return {"label": label, "kind": kind, "order": order, "seen_as": [code]}


def unchanged(label: str) -> Document:
    """Return an action that leaves treatment as it is."""
    return {"label": label, "kind": "monitor", "change": False}


def displays(actions: Mapping[str, Document], more: Mapping[str, str]) -> dict[str, str]:
    """Return code -> display for the catalogue's orders and what else is named."""
    found = {one["order"]["code"]: one["order"]["text"] for one in actions.values()
             if "order" in one}  # fmt: skip
    return {**found, **more}
