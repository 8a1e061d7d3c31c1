"""Estimates are checked like rules, though they only stand beside the advice, deciding nothing."""

from math import isfinite
from typing import TYPE_CHECKING

from cds_engine.bundle import document as doc
from cds_engine.bundle.model import Contrasts, Estimates, Group, Rule, ScoreRule

if TYPE_CHECKING:
    from cds_engine.bundle.check import Compiler

CONSTANT = "constant"
"""The name of a score's constant among the terms of its covariance."""


def checked_estimates(
    compiler: "Compiler", place: str, item: doc.Estimates, rule: Rule
) -> Estimates:
    """Return the checked estimates of a stage; faults go to the bundle's compiler."""
    groups = tuple(
        _group(compiler, f"{place}.groups[{at}]", group) for at, group in enumerate(item.groups)
    )
    contrasts = None
    if item.contrasts is not None:
        contrasts = _contrasts(compiler, f"{place}.contrasts", item.contrasts, rule)
    return Estimates(item, groups, contrasts)


def _group(compiler: "Compiler", place: str, group: doc.Group) -> Group:
    # what is never advised at the stage may have been taken by those who were alike
    known = compiler.actions
    compiler.known_actions(f"{place}.n", group.n, known)
    benefit = group.benefit
    if benefit is not None:
        compiler.known_actions(f"{place}.benefit", (benefit.action, benefit.against), known)
        if not benefit.low <= benefit.estimate <= benefit.high:
            compiler.fault(f"{place}.benefit", "the estimate must lie between `low` and `high`")
    return Group(compiler.criterion(f"{place}.when", group.when), group.n, benefit)


def _contrasts(
    compiler: "Compiler", place: str, item: doc.Contrasts, rule: Rule
) -> Contrasts | None:
    if not isinstance(rule, ScoreRule):
        compiler.fault(place, "has a meaning only beside a rule by scores; remove it")
        return None
    compiler.known_actions(f"{place}.reference", [item.reference], rule.forms)
    for action, term in item.coefficients:
        if action == item.reference or action not in rule.forms:
            compiler.fault(f"{place}.coefficients", f"`{action}` has no contrast with "
                           f"`{item.reference}`; name another action that has a score")  # fmt: skip
        elif term != CONSTANT and term not in rule.names:
            compiler.fault(f"{place}.coefficients", f"`{term}` is no term of the scores")
    rows = {pair: at for at, pair in enumerate(item.coefficients)}
    if len(rows) < len(item.coefficients):
        compiler.fault(f"{place}.coefficients", "a coefficient stands twice")
    lengths = [len(row) for row in item.covariance]
    if lengths != list(range(1, len(item.coefficients) + 1)):
        compiler.fault(
            f"{place}.covariance",
            f"must be a lower triangle of {len(item.coefficients)} rows with 1, 2, ... numbers",
        )
        return None
    for name in set(item.centres) - {term for _, term in item.coefficients}:
        compiler.fault(f"{place}.centres", f"`{name}` is no term of the covariance")
    covariance = tuple(tuple(map(float, row)) for row in item.covariance)
    if not _can_be(covariance):
        compiler.fault(
            f"{place}.covariance",
            "no coefficients can vary like this: a variance is negative, or two of them vary "
            "together more than each does by itself",
        )
    return Contrasts(item.reference, rows, covariance, item.centres)


def _can_be(covariance: tuple[tuple[float, ...], ...]) -> bool:
    """Say whether all is finite, no variance negative and no correlation above 1."""
    variances = [row[-1] for row in covariance]
    if not all(isfinite(x) for row in covariance for x in row) or min(variances, default=0) < 0:
        return False
    return all(
        abs(value) <= (variances[i] * variances[j]) ** 0.5 * (1 + 1e-3)
        for i, row in enumerate(covariance)
        for j, value in enumerate(row[:-1])
    )
