"""A chart is a drawing with the table of exactly the numbers that it draws."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and its table.

    Attributes:
        key: its name on the page; ids begin with it.
        title: what it shows, in words.
        svg: one SVG element.
        head: what stands in the columns of the table.
        rows: the plotted numbers as text, a row for each mark.
    """

    key: str
    title: str
    svg: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of a forest plot.

    Attributes:
        label: whose estimate.
        estimate: NaN where it is refused; ``note`` says why.
        low, high: its interval.
        crude: the number without adjustment, drawn hollow; None where there is none.
        group: the heading under which it stands; marks of a group follow each other.
        note: stands in the place of a refused estimate.
        extra: further cells of its row in the table.
    """

    label: str
    estimate: float
    low: float
    high: float
    crude: float | None = None
    group: str = ""
    note: str = ""
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A line, with a band where ``low`` and ``high`` are given; all of one length."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A place on an axis that means something, such as a cut point."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar, with an interval where there is one.

    Attributes:
        label: what is counted.
        value: how long the bar is.
        text: what is written at its end; the value unless given.
        low, high: an interval.
        extra: further cells of its row in the table.
    """

    label: str
    value: float
    text: str = ""
    low: float | None = None
    high: float | None = None
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in bins; a second group, if any, hangs down from the line."""

    label: str
    counts: Sequence[float]
    others: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """One period of a control chart, with its own limits."""

    label: str
    value: float
    centre: float
    low: float
    high: float
    n: int

    @property
    def outside(self) -> bool:
        """Whether it lies outside its limits."""
        return not self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """What was predicted of a group, and what was observed in it, each with its interval.

    Attributes:
        low, high: of what was observed.
        sure: of what was predicted; None where it is not told.
    """

    predicted: float
    observed: float
    low: float
    high: float
    n: int
    sure: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """A standardised difference before and after weighting."""

    label: str
    before: float
    after: float
    group: str = ""
