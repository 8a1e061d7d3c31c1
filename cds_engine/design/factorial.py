"""A factorial trial randomises all at the start, so that no option can wait for a response."""

from dataclasses import dataclass
from itertools import product
from math import prod

from cds_engine.design.regimes import EmbeddedRegime, embedded_regimes
from cds_engine.design.smart import GROUPS, NON_RESPONDERS, RESPONDERS, Design, Path, written


@dataclass(frozen=True, slots=True)
class FactorialRow:
    """One embedded regime beside the factorial trial.

    Attributes:
        regime: the regime.
        cell: the cell of the factorial trial that a reader would take for it.
        identified: whether the mean of that cell is the regime's value.
        reason: why, or why not.
    """

    regime: EmbeddedRegime
    cell: str
    identified: bool
    reason: str


@dataclass(frozen=True, slots=True)
class FactorialComparison:
    """A SMART beside the factorial trial with the same options.

    Attributes:
        factors: the options of every stage, all randomised at baseline.
        rows: one for each embedded regime.
        lost: ends of the SMART that no cell of the factorial trial holds.
        foreign: cells of the factorial trial whose sequence the SMART never gives.
        words: what a reader must know, in sentences.
    """

    factors: tuple[tuple[str, ...], ...]
    rows: tuple[FactorialRow, ...]
    lost: tuple[Path, ...]
    foreign: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]


def compare_with_factorial(design: Design) -> FactorialComparison:
    """Say which embedded regimes a factorial trial cannot identify.

    The factorial trial that a reader would think of has one factor for each stage, with the
    stage's options as levels, and randomises every patient to one level of each at baseline.
    """
    factors = tuple(design.arms(stage) for stage in range(len(design.stages)))
    rows = tuple(_row(design, regime) for regime in embedded_regimes(design))
    given = {_arms(design, end) for end in design.ends}
    cells = tuple(product(*factors))
    lost = tuple(end for end in design.ends if _arms(design, end) not in cells)
    foreign = tuple(cell for cell in cells if cell not in given)
    return FactorialComparison(factors, rows, lost, foreign, _words(design, rows, lost, factors))


def _row(design: Design, regime: EmbeddedRegime) -> FactorialRow:
    sequences = tuple(dict.fromkeys(_arms(design, end) for end in regime.ends))
    longest = max(sequences, key=len)
    cell = " + ".join(design.label(arm) for arm in longest)
    short = [end for end in regime.ends if len(_arms(design, end)) < len(design.stages)]
    if len(sequences) == 1 and not short:
        return FactorialRow(regime, cell, True, "everybody gets the same, whatever their response")
    if short:
        who = " and ".join(dict.fromkeys(_called(design, end) for end in short))
        reason = f"{who} get nothing more; in every cell they would get a further option"
    else:
        reason = "what is given depends on response; in a cell everybody gets the same"
    return FactorialRow(regime, cell, False, reason)


def _arms(design: Design, path: Path) -> tuple[str, ...]:
    """Return the arms on a path, without the answers."""
    return tuple(word for at, word in enumerate(path) if path[:at] in design.randomisations)


def _called(design: Design, end: Path) -> str:
    if end[-1] in GROUPS:
        return end[-1] if len(end) == 2 else f"{end[-1]} to {design.label(end[-2])}"
    return f"those on {design.label(end[-1])}"


def _words(
    design: Design,
    rows: tuple[FactorialRow, ...],
    lost: tuple[Path, ...],
    factors: tuple[tuple[str, ...], ...],
) -> tuple[str, ...]:
    size = " x ".join(str(len(levels)) for levels in factors)
    none = sum(not row.identified for row in rows)
    cells = prod(map(len, factors))
    said = [
        f"The {size} factorial trial has {cells} cells; it randomises all at baseline.",
        f"It does not identify {none} of the {len(rows)} embedded regimes.",
    ]
    if lost:
        ends = "; ".join(written(end) for end in lost)
        said.append(f"It has no cell for: {ends}.")
    if any(end[-1] in (RESPONDERS, NON_RESPONDERS) for end in lost):
        said.append(
            "If the later option is held back until response is known, those who are meant to get "
            "it can be compared as in the SMART, but those who should have been left alone got an "
            "option as well, so that their outcome without it was never seen."
        )
    if design.responses:
        said.append(
            "If both start at once, response is itself an effect of the later option: to select "
            "by it compares people whom the second factor has made different."
        )
    return tuple(said)
