"""The rules of ``rules28`` as a decision table of zen-engine."""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.rules28 import RULES, VARIABLES, Test


def zen_decision() -> Any:
    """Return the decision, loaded and ready; needs the package ``zen-engine``."""
    from zen import ZenEngine

    return ZenEngine().create_decision(json.dumps(graph()))


def graph() -> dict[str, Any]:
    """Return the decision table with one column for each variable; the first row that fits wins."""
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": n, "name": n, "field": n, "type": "expression"} for n in VARIABLES],
        "outputs": [{"id": "out", "name": "out", "field": "action", "type": "expression"}],
        "rules": [
            {"_id": str(at), "out": json.dumps(action), **_cells(tests)}
            for at, (tests, action) in enumerate(RULES)
        ],
    }
    nodes = [
        _node("in", "inputNode"),
        {**_node("table", "decisionTableNode"), "content": table},
        _node("out", "outputNode"),
    ]
    edges = [
        {"id": f"{a}-{b}", "sourceId": a, "targetId": b, "type": "edge"}
        for a, b in (("in", "table"), ("table", "out"))
    ]
    return {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}


def _node(name: str, kind: str) -> dict[str, Any]:
    return {"id": name, "name": name, "type": kind, "position": {"x": 0, "y": 0}}


def _cells(tests: Mapping[str, Test]) -> dict[str, str]:
    return {name: _cell(tests[name]) if name in tests else "" for name in VARIABLES}


def _cell(test: Test) -> str:
    match test:
        case ("yes",):
            return "true"
        case ("no",):
            return "false"
        case ("is", label):
            return json.dumps(label)
        case ("between", low, high):
            return f"[{low}..{high})"
        case (op, bound):
            return f"{op} {bound}"
    raise ValueError(test)
