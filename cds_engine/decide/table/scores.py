"""Scores over a block are one matrix product, exact or with a bound on its error."""

from fractions import Fraction
from math import lcm

import numpy as np

from cds_engine.bundle.model import RuleBundle, ScoreRule, Stage
from cds_engine.decide.table.block import Block
from cds_engine.decide.table.columns import Bools, Floats
from cds_engine.decide.table.decisions import Fate, Fates
from cds_engine.decide.table.plan import Plan
from cds_engine.decide.table.stages import Facts, StageTable
from cds_engine.decide.table.sums import LIMIT, Scaled, any_missing


class ScoreTable(StageTable):
    """A stage whose rule is scores.

    Facts, in this order: for each safeguard whether it bites; for each whether it certainly does;
    for each support criterion whether it is false; whether one is unknown; whether a score that
    is compared lacks an input; for each option whether it is compared and near the best.
    """

    def __init__(
        self, bundle: RuleBundle, stage: Stage, rule: ScoreRule, plan: Plan, fates: Fates
    ) -> None:
        super().__init__(bundle, stage, plan, fates)
        self.rule = rule
        self.support = [(item.actions, plan.node(item.when)) for item in rule.support]
        self.scores = Scores(rule, stage.choose, plan)
        self.width = 2 * len(self.guards) + len(self.support) + 2 + len(stage.choose)

    def facts(self, block: Block, here: Bools) -> Facts:
        """Compare, for each row, the options that are neither barred nor unsupported."""
        guards = [node.truth(block) for _, node in self.guards]
        support = [node.truth(block) for _, node in self.support]
        false = [~possible for _, possible in support]
        unknown = block.nowhere()
        for true, possible in support:
            unknown |= possible > true
        left_out = [self._left_out(action, guards, false, block) for action in self.stage.choose]
        missing, near = self.scores.compare(block, here, left_out)
        return [
            *(possible for _, possible in guards), *(true for true, _ in guards),
            *false, unknown, missing, *near,
        ]  # fmt: skip

    def fate(self, facts: int) -> Fate:
        """Return what the referee says where these facts hold."""
        barred, certain = self.barred(facts, 0), self.barred(facts, len(self.guards))
        at = 2 * len(self.guards)
        unsupported = frozenset().union(
            *(actions for n, (actions, _) in enumerate(self.support) if facts >> at + n & 1)
        )
        at += len(self.support)
        unknown, missing = facts >> at & 1, facts >> at + 1 & 1
        feasible = [action for action in self.stage.choose if action not in certain]
        compared = tuple(action for action in feasible if action not in unsupported)
        name = self.stage.name
        if unknown:
            return Fate("abstention", "missing", name, None, compared)
        if not feasible:
            return Fate("abstention", "safeguard", name)
        if not compared or (len(compared) < len(feasible) and len(compared) < 2):
            return Fate("abstention", "positivity-unsupported", name, None, compared)
        if len(compared) > 1 and missing:
            return Fate("abstention", "missing", name, None, compared)
        near = [a for n, a in enumerate(self.stage.choose) if facts >> at + 2 + n & 1]
        # nothing is near the best only where a sum overflowed, and such rows are the referee's
        chosen = compared if len(compared) == 1 else tuple(near) or compared
        if not barred.isdisjoint(chosen):
            return Fate("abstention", "safeguard", name, None, chosen)
        return self.advise(chosen)

    def _left_out(
        self, action: str, guards: list[tuple[Bools, Bools]], false: list[Bools], block: Block
    ) -> Bools | None:
        masks = [t for (g, _), (t, _) in zip(self.guards, guards, strict=True) if action in g.never]
        masks += [f for (a, _), f in zip(self.support, false, strict=True) if action in a]
        if not masks:
            return None
        mask = block.nowhere()
        for part in masks:
            mask |= part
        return mask


class Scores:
    """The scores of all options as one matrix product.

    Every score is brought to one divisor, so that scores and margin are whole numbers.
    """

    def __init__(self, rule: ScoreRule, choose: tuple[str, ...], plan: Plan) -> None:
        forms = [rule.forms[action] for action in choose]
        self.terms = list(dict.fromkeys((n, d) for form in forms for n, d, _ in form.terms))
        self.numbers = [plan.number(name) for name, _ in self.terms]
        self.reads = [[self.terms.index((n, d)) for n, d, _ in form.terms] for form in forms]
        self.divisor = lcm(rule.margin.denominator, *(form.divisor for form in forms))
        self.margin = int(rule.margin * self.divisor)
        self.constants = [form.constant * (self.divisor // form.divisor) for form in forms]
        self.weights = [[0] * len(forms) for _ in self.terms]
        for column, form in enumerate(forms):
            for name, digits, weight in form.terms:
                row = self.terms.index((name, digits))
                self.weights[row][column] = weight * (self.divisor // form.divisor)

    def compare(
        self, block: Block, here: Bools, left_out: list[Bools | None]
    ) -> tuple[Bools, list[Bools]]:
        """Return where a compared score lacks an input, and which options are near the best."""
        pairs = zip(self.numbers, self.terms, strict=True)
        parts = [number.scaled(block, digits) for number, (_, digits) in pairs]
        missing = block.nowhere()
        for reads, out in zip(self.reads, left_out, strict=True):
            gap = any_missing([parts[at] for at in reads])
            if gap is not None:
                missing |= gap if out is None else gap > out
        values, error = self._product(block, parts)
        for column, out in enumerate(left_out):
            if out is not None:
                values[out, column] = -np.inf
        return missing, self._near(block, here > missing, values, error)

    def _product(self, block: Block, parts: list[Scaled]) -> tuple[Floats, Floats | None]:
        """Return the scores, and how far each may be off (None where they are exact)."""
        shape = (len(parts), len(self.constants))
        matrix = np.empty((block.rows, len(parts)))
        for at, part in enumerate(parts):
            matrix[:, at] = part.values
        if self._largest(parts) < LIMIT:
            whole = np.array(self.weights, dtype=np.float64).reshape(shape)
            return matrix @ whole + np.array(self.constants, dtype=np.float64), None
        weights = np.array([self._rounded(w) for row in self.weights for w in row]).reshape(shape)
        constants = np.array([self._rounded(c) for c in self.constants])
        for part in parts:
            if part.largest >= LIMIT:
                block.mark_doubtful(np.abs(part.values) >= LIMIT)
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(matrix) @ np.abs(weights) + np.abs(constants)
            return matrix @ weights + constants, size * ((len(parts) + 3) * 2.0**-52)

    def _near(self, block: Block, here: Bools, values: Floats, error: Floats | None) -> list[Bools]:
        """Return for each option whether it is within the margin of the best."""
        top = values.max(axis=1)
        margin = float(self.margin) if error is None else self._rounded(self.margin)
        near = (values >= (top - margin)[:, None]) & (values > -np.inf)
        if error is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                slack = 4 * error.max(axis=1) + (np.abs(top) + margin) * 2.0**-50
                sure = np.abs(values - (top - margin)[:, None]) > slack[:, None]
            sure[np.arange(block.rows), values.argmax(axis=1)] = True
            block.mark_doubtful(here > sure.all(axis=1))
        return [near[:, column] for column in range(near.shape[1])]

    def _rounded(self, whole: int) -> float:
        return float(Fraction(whole, self.divisor))

    def _largest(self, parts: list[Scaled]) -> float:
        """Return a bound on all sums of magnitudes and on the margin, in whole numbers."""
        if any(part.largest >= LIMIT for part in parts):
            return float("inf")
        sizes = [abs(constant) for constant in self.constants]
        for row, part in zip(self.weights, parts, strict=True):
            sizes = [size + abs(w) * int(part.largest) for size, w in zip(sizes, row, strict=True)]
        largest = max(*sizes, self.margin)
        return float(min(largest, 10**16))
