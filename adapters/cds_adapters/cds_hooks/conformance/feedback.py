"""Section F: what the feedback endpoint must take, where there is one."""

import uuid
from typing import Any

import httpx

from cds_adapters.cds_hooks.conformance.report import Report, status_fault

_REFUSED = (400, 422)
_TAKEN = (200, 202, 204)


def check_feedback(report: Report, url: str, client: httpx.Client) -> None:
    """Post feedback about a card that was never sent."""
    item = {
        "card": str(uuid.uuid4()),
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": str(uuid.uuid4())}],
        "outcomeTimestamp": "2026-01-01T00:00:00Z",
    }
    first = _post(client, url, item)
    what = "feedback on a card that is not known is taken, or answered with 404"
    if first.status_code in {404, 405, 501}:
        report.skip(100, "feedback is answered with 200 or 204", "it is not offered")
        return
    report.check(105, what, status_fault(first, (*_TAKEN, 400), "an unknown card"))
    second = _post(client, url, item)
    same = status_fault(second, (first.status_code,), "the same item again")
    report.check(104, "the same item can be sent again", same)
    overridden = {**item, "outcome": "overridden"}
    del overridden["acceptedSuggestions"]
    answer = _post(client, url, overridden)
    faults = status_fault(answer, (first.status_code,), "overridden without a reason")
    report.check(103, "an override needs no reason", faults)
    for field in ("card", "outcome", "outcomeTimestamp"):
        lacking = {name: value for name, value in item.items() if name != field}
        refused = status_fault(_post(client, url, lacking), _REFUSED, f"without {field}")
        report.check(101, "card, outcome and outcomeTimestamp are required", refused)
    nothing = client.post(url, json={"feedback": "x"})
    faults = status_fault(nothing, _REFUSED, "no list")
    report.check(100, "a body that is no feedback is 400", faults)


def _post(client: httpx.Client, url: str, item: dict[str, Any]) -> httpx.Response:
    return client.post(url, json={"feedback": [item]})
