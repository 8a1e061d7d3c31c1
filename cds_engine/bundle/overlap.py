"""Stages that overlap are found where an example shows it; that none is found proves nothing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, product

from cds_engine.bundle.model import RuleBundle, Stage
from cds_engine.criteria.syntax import Criterion, IntegerForm, OneOf, Threshold, leaves
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.value import Scalar, value_text

MOST = 20_000
"""Examples that are tried for a pair of stages."""


def overlapping_stages(bundle: RuleBundle) -> tuple[str, ...]:
    """Return a line for each pair of stages that one patient can be at, with such a patient.

    The examples lie on the thresholds of the criteria and beside them.
    """
    found = []
    for one, other in combinations(bundle.stages, 2):
        witness = _witness(bundle, one, other)
        if witness is not None:
            said = ", ".join(f"{name}: {value_text(value)}" for name, value in witness.items())
            found.append(
                f"{other.place}: `{other.name}` overlaps with `{one.name}`, for example at {said}; "
                "such a patient gets no advice (several-stages), so let the stages exclude each "
                "other"
            )
    return tuple(found)


def _witness(bundle: RuleBundle, one: Stage, other: Stage) -> Mapping[str, Scalar] | None:
    criteria = [bundle.population, one.when, other.when]
    derived = {item.name: item for item in bundle.derived}
    names = {name for criterion in criteria for name in criterion.names()}
    while more := {r for n in names if n in derived for r in derived[n].reads} - names:
        names |= more
    if any(n in derived and isinstance(derived[n].expression, IntegerForm) for n in names):
        return None
    read = [derived[name].expression for name in names if name in derived]
    base = sorted(names - derived.keys())
    tried = [_values(name, bundle.kinds[name], [*criteria, *read]) for name in base]  # type: ignore[list-item]
    for values in islice(product(*tried), MOST):
        state: dict[str, Scalar | None] = dict(zip(base, values, strict=True))
        for item in bundle.derived:
            if item.name in names:
                state[item.name] = item.expression.evaluate(state, [])  # type: ignore[union-attr]
        if all(criterion.evaluate(state, []) for criterion in criteria):
            return dict(zip(base, values, strict=True))
    return None


def _values(name: str, kind: Kind, criteria: Sequence[Criterion]) -> list[Scalar]:
    if kind.type == "boolean":
        return [True, False]
    found = [leaf for criterion in criteria for leaf in leaves(criterion)]
    if kind.type == "label":
        named = [label for leaf in found if isinstance(leaf, OneOf) and leaf.name == name
                 for label in leaf.labels]  # fmt: skip
        return [*dict.fromkeys([*named, *sorted(kind.labels or ())[:1]])]
    beside: list[Scalar] = [*sorted(set(_beside(name, kind, found)))]
    return beside or [kind.low if kind.low is not None else 0.0]


def _beside(name: str, kind: Kind, found: Sequence[Criterion]) -> Iterator[float]:
    step = 10.0**-kind.digits
    for leaf in found:
        if isinstance(leaf, Threshold) and leaf.name == name:
            for value in (leaf.bound - step, leaf.bound, leaf.bound + step):
                low, high = kind.low, kind.high
                if (low is None or value >= low) and (high is None or value <= high):
                    yield rounded(value, kind.digits)
