"""The cases of the reviewed cards; run as a program from ``tests/`` to write them anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.cards import (
    AS_OF,
    AT_THREE_MONTHS,
    SCORED_CARE,
    STEPPED_CARE,
    a_context,
    rendered,
)

from cds_adapters.cds_hooks.drafts import Draft
from cds_engine.history.value import Known, Missing, Reading
from cds_engine.vocabulary.time import DAY

FOLDER = Path(__file__).parents[1] / "golden" / "cards"

_ACE = Draft("MedicationRequest/draft-1", "MedicationRequest", ("rxnorm|29046",), "lisinopril")
_CCB = Draft("MedicationRequest/draft-2", "MedicationRequest", ("rxnorm|17767",), "amlodipine")
_TWO_READINGS = Known(
    152.0,
    tuple(Reading(f"Observation/bp-{n}", AS_OF - n * DAY, AS_OF - n * DAY) for n in (9, 2)),
    "mean of 2 readings",
)
_NO_UNIT = Missing(
    "unit",
    "the unit '<b>mm</b>' has no code and is not in the variable's table",
    (Reading("Observation/bp-9", AS_OF - 9 * DAY, AS_OF - 9 * DAY),),
)

CASES: Mapping[str, Mapping[str, Any]] = {
    "recommendation": {"sbp": _TWO_READINGS},
    "recommendation_demonstration": {"sbp": _TWO_READINGS, "frozen": True},
    "recommendation_after_safeguard": {"sbp": 185.0, "pregnant": True},
    "recommendation_by_scores": {"bundle": SCORED_CARE},
    "equipoise": dict(AT_THREE_MONTHS),
    "no_change": {"sbp": 120.0},
    "abstention_missing": {"sbp": None},
    "abstention_unit": {"sbp": _NO_UNIT, "set_aside": (("Observation/x", "entered-in-error"),)},
    "abstention_safeguard": {"sbp": 165.0, "pregnant": True},
    "order_barred": {"drafts": [_ACE], "pregnant": True},
    "order_not_cleared": {"drafts": [_ACE], "pregnant": None},
    "order_differs": {"drafts": [_CCB]},
    "order_under_no_change": {"drafts": [_CCB], "sbp": 120.0},
    "order_agrees": {"drafts": [_CCB], **AT_THREE_MONTHS},
}


def golden(name: str) -> str:
    """Return the cards of a case as they are kept."""
    case = dict(CASES[name])
    bundle = case.pop("bundle", STEPPED_CARE)
    drafts = case.pop("drafts", None)
    hook = "patient-view" if drafts is None else "order-sign"
    context = a_context(hook, frozen=case.pop("frozen", False))
    _, found = rendered(bundle, context, drafts, **case)
    # details are kept line by line, so that a change can be read
    cards = [{**card, "detail": card["detail"].split("\n")} for card in found.cards]
    return json.dumps(cards, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        (FOLDER / f"{name}.json").write_text(golden(name), "utf-8")
