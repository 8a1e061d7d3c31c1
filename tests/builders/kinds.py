"""Declared names for tests of the criterion language."""

from cds_engine.criteria.parse import parse_criterion
from cds_engine.criteria.syntax import Criterion, Verdict
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import Scalar

KINDS = {
    "age": Kind("number", "age", "a", 0),
    "sbp": Kind("number", "systolic pressure", "mm[Hg]", 1),
    "dbp": Kind("number", "diastolic pressure", "mm[Hg]", 1),
    "steps": Kind("number", "steps", "/d", 0),
    "steps_before": Kind("number", "steps before", "/d", 0),
    "potassium": Kind("number", "potassium", "mmol/L", 2),
    "count": Kind("number", "count", "", 0),
    "pregnant": Kind("boolean", "pregnant"),
    "smoker": Kind("boolean", "smoker"),
    "sex": Kind("label", "sex", labels=frozenset({"female", "male", "other", "unknown"})),
    "step": Kind("label", "step", labels=frozenset({"none", "lifestyle", "add_ace"})),
    "answer": Kind("label", "answer"),
}


def criterion(text: str, *, allow_missing: bool = False) -> Criterion:
    """Read a criterion about the names above."""
    return parse_criterion(text, KINDS, allow_missing=allow_missing)


def verdict(text: str, **values: Scalar | None) -> Verdict:
    """Return what a criterion comes to; what is not named is missing."""
    state: dict[str, Scalar | None] = dict.fromkeys(KINDS)
    for name, value in values.items():
        is_number = isinstance(value, int) and not isinstance(value, bool)
        state[name] = float(value) if is_number else value  # type: ignore[arg-type]
    return criterion(text, allow_missing=True).evaluate(state, [])
