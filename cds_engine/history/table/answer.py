"""A column of findings: a value or the reason why there is none, and who has still to be asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.table.columns import Bools, Bytes
from cds_engine.history.value import Finding, Known, MissingReason
from cds_engine.vocabulary.value import Scalar, Span

REASONS: tuple[MissingReason, ...] = get_args(MissingReason)
"""The reasons in their order; in a column of reasons, 1 is the first of them and 0 is none."""

_REASON = {reason: place for place, reason in enumerate(REASONS, 1)}


def reason_code(reason: MissingReason) -> int:
    """Return the number that stands for a reason in a column."""
    return _REASON[reason]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one variable came to, a row for each decision point.

    Attributes:
        values: float64 for a number, bool for yes or no, and for a label its place in
            ``categories``. What stands in a missing row, or in one with a span, does not count.
        reasons: why there is no value, see ``REASONS``; 0 where there is one.
        categories: the labels; empty for numbers and for yes or no.
        spans: row -> the span that its number is known to lie in.
        refereed: rows that the scalar history was asked about.
    """

    values: NDArray[Any]
    reasons: Bytes
    categories: tuple[str, ...] = ()
    spans: Mapping[int, Span] = field(default_factory=dict)
    refereed: Bools | None = None

    @property
    def missing(self) -> Bools:
        """Where there is no value."""
        return self.reasons > 0

    def at(self, row: int) -> Scalar | MissingReason:
        """Return the value in one row, or the reason there is none; for tests and for reading."""
        if self.reasons[row]:
            return REASONS[int(self.reasons[row]) - 1]
        if row in self.spans:
            return self.spans[row]
        if self.categories:
            return self.categories[int(self.values[row])]
        number: float | bool = self.values[row].item()
        return number


class Answer:
    """Findings in the making: rows in the order of the work, some of them in doubt."""

    __slots__ = ("categories", "doubt", "reasons", "spans", "values")

    def __init__(
        self,
        values: NDArray[Any],
        reasons: Bytes | None = None,
        doubt: Bools | None = None,
        categories: tuple[str, ...] = (),
    ) -> None:
        rows = len(values)
        self.values = values
        self.reasons = np.zeros(rows, dtype=np.uint8) if reasons is None else reasons
        self.doubt = np.zeros(rows, dtype=np.bool_) if doubt is None else doubt
        self.categories = categories
        self.spans: dict[int, Span] = {}

    def lack(self, where: Bools, reason: MissingReason) -> None:
        """Say that the value is missing in some rows, unless it was said before."""
        np.copyto(self.reasons, _REASON[reason], where=where & (self.reasons == 0))

    def fill(self, at: NDArray[np.intp], other: "Answer") -> None:
        """Take over the answers to some of the rows."""
        self.values[at], self.reasons[at] = other.values, other.reasons
        self.doubt[at] = other.doubt

    def put(self, row: int, finding: Finding) -> None:
        """Take over what the scalar history found."""
        if not isinstance(finding, Known):
            self.reasons[row] = _REASON[finding.reason]
            return
        self.reasons[row] = 0
        if isinstance(finding.value, Span):
            self.spans[row] = finding.value
        elif self.categories:
            self.values[row] = self.categories.index(str(finding.value))
        else:
            self.values[row] = finding.value

    def findings(self, order: NDArray[np.intp] | None) -> Findings:
        """Return the findings with the rows put back to where they came from."""
        if order is None:
            return Findings(self.values, self.reasons, self.categories, self.spans, self.doubt)
        values, reasons = np.empty_like(self.values), np.empty_like(self.reasons)
        doubt = np.empty_like(self.doubt)
        values[order], reasons[order], doubt[order] = self.values, self.reasons, self.doubt
        spans = {int(order[row]): span for row, span in self.spans.items()}
        return Findings(values, reasons, self.categories, spans, doubt)
