"""The flow of a SMART as text: a tree with the number of patients on every branch."""

from collections.abc import Iterator, Mapping

from cds_engine.design.regimes import EmbeddedRegime, embedded_regimes
from cds_engine.design.smart import GROUPS, Design, Path

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Counts = Mapping[Path, float]
"""Path -> patients on it; whole numbers were counted, others are expected."""


def flow_text(design: Design, counts: Counts | None = None, *, approximate: bool = False) -> str:
    """Return the flow diagram for a terminal.

    Args:
        design: the trial.
        counts: path -> n; left out unless given.
        approximate: whether the numbers are expected rather than counted.
    """
    lines = [f"Enrolled{number(counts, (), approximate=approximate)}"]
    lines += _branch(design, (), "", counts, approximate=approximate)
    return "\n".join(lines)


def letters(design: Design) -> tuple[tuple[str, EmbeddedRegime], ...]:
    """Return the embedded regimes, each with the letter that stands for it in the diagram."""
    return tuple((letter(at), one) for at, one in enumerate(embedded_regimes(design)))


def letter(at: int) -> str:
    """Return A, B, ... Z, A1, B1, ... for the places 0, 1, ..."""
    turn, rest = divmod(at, len(LETTERS))
    return LETTERS[rest] + (str(turn) if turn else "")


def memberships(design: Design) -> Mapping[Path, str]:
    """Return end -> the letters of the regimes that its patients followed."""
    known = letters(design)
    return {end: " ".join(name for name, one in known if end in one.ends) for end in design.ends}


def number(counts: Counts | None, path: Path, *, approximate: bool) -> str:
    """Return how many are on a path, such as ``, n = 12``; nothing where it is not known."""
    if counts is None or path not in counts:
        return ""
    return f", n {'~' if approximate else '='} {counts[path]:.0f}"


def step(design: Design, path: Path) -> str:
    """Return the last step of a path in words."""
    word = path[-1]
    if word in GROUPS:
        return word.capitalize()
    return design.label(word)


def _branch(
    design: Design, path: Path, indent: str, counts: Counts | None, *, approximate: bool
) -> Iterator[str]:
    children = design.children(path)
    here = design.randomisations.get(path)
    if path in design.responses:
        yield f"{indent}└─ response: {design.responses[path].label}"
        indent += "   "
    elif here is not None:
        title = design.stages[here.stage].title or design.stages[here.stage].stage
        yield f"{indent}└─ R ({title})"
        indent += "   "
    for child in children:
        last = child == children[-1]
        chance = f" ({here.arms[child[-1]]:.3g})" if here is not None else ""
        ends = "" if design.children(child) else f"  [{memberships(design)[child]}]"
        n = number(counts, child, approximate=approximate)
        yield f"{indent}{'└─' if last else '├─'} {step(design, child)}{chance}{n}{ends}"
        yield from _branch(design, child, indent + ("   " if last else "│  "), counts,
                           approximate=approximate)  # fmt: skip
