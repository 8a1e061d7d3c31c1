"""Cases are drawn at and around every boundary; what they expect is what the estimator says."""

from collections.abc import Iterator, Mapping
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.estimate.export.probe import ABSTAIN, ELSEWHERE, Probe
from cds_engine.vocabulary.value import number_text

Document = dict[str, Any]


def cases_of(bundle: RuleBundle, probe: Probe) -> Iterator[Document]:
    """Yield the typical patient, both sides of every boundary, and each input gone missing."""
    typical = probe.typical()
    yield _case(bundle, probe, f"{probe.stage}: a typical patient", typical)
    for name, below, above in probe.boundaries(typical):
        for word, state in (("up to", below), ("from", above)):
            value = number_text(float(state[name]))
            if probe.answers([state]) != [ELSEWHERE]:
                yield _case(bundle, probe, f"{probe.stage}: {name} {word} {value}", state)
    for name in probe.tailoring:
        if name in bundle.base_variables and _matters(probe, typical, name):
            expect = {"outcome": "abstention", "reason": "missing"}
            yield {"case": f"{probe.stage}: {name} is missing", "given": {**typical, name: None},
                   "expect": expect}  # fmt: skip


def _case(bundle: RuleBundle, probe: Probe, title: str, state: Mapping[str, Any]) -> Document:
    [wanted] = probe.answers([state])
    return {
        "case": title,
        "given": dict(state),
        "expect": _expectation(bundle, probe.stage, wanted),
    }


def _expectation(bundle: RuleBundle, stage: str, wanted: frozenset[str]) -> Document:
    if wanted == ABSTAIN:
        return {"outcome": "abstention", "stage": stage}
    if len(wanted) > 1:
        options = next(one.choose for one in bundle.stages if one.name == stage)
        return {"outcome": "equipoise", "stage": stage,
                "candidates": [action for action in options if action in wanted]}  # fmt: skip
    [action] = wanted
    outcome = "recommendation" if bundle.actions[action].change else "no_change"
    return {"outcome": outcome, "stage": stage, "action": action}


def _matters(probe: Probe, state: Mapping[str, Any], name: str) -> bool:
    """Say whether a missing value leaves the advice open: scores need every term they have."""
    if probe.scores is not None:
        return True
    return any(variable == name for variable, _, _ in probe.boundaries(state))
