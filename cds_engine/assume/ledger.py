"""The ledger holds the three assumptions, each with its evidence, for a named person to sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cds_engine.assume.balance import LARGE, Difference, largest
from cds_engine.assume.consistency import Mapped
from cds_engine.assume.positivity import ActionOverlap, poor
from cds_engine.estimate.trajectories import Trajectories

Judgement = Literal["by design", "supported", "no problem measured", "doubtful"]
"""What figures alone can say; none can support that nothing unrecorded moved treatment."""
COMPLETE = 0.95
"""A smaller share of rows that map to one action makes consistency doubtful."""
WEAK = 2.0
"""Where a weaker hidden cause could reverse the result, exchangeability is doubtful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One assumption.

    Attributes:
        assumption: its name.
        statement: what is assumed, about these data.
        evidence: what was measured, each a sentence with its figures.
        judgement: what the figures alone say; whether to rely on it is for whoever signs.
        whys: why it is doubtful, each in words with its figure and limit; empty where it is not.
        signed_by, signed_on: empty until a named person signs.
    """

    assumption: str
    statement: str
    evidence: tuple[str, ...]
    judgement: Judgement
    whys: tuple[str, ...] = ()
    signed_by: str = ""
    signed_on: str = ""

    def document(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return {
            "assumption": self.assumption, "statement": self.statement,
            "evidence": list(self.evidence), "judgement": self.judgement,
            "signed_by": self.signed_by or None, "signed_on": self.signed_on or None,
        }  # fmt: skip


def ledger(  # noqa: PLR0913 - what was measured, and what was said of what cannot be
    trajectories: Trajectories,
    rows: Sequence[Mapped],
    overlaps: Sequence[ActionOverlap],
    differences: Sequence[Difference],
    *,
    adjusted_for: Sequence[str] = (),
    flips_at: float | None = None,
    unheld: Sequence[str] = (),
    unseen: Sequence[str] = (),
) -> tuple[Entry, ...]:
    """Return the three entries.

    Args:
        trajectories: the data.
        rows: how rows map to actions.
        overlaps: how well each action is covered.
        differences: balance before and after weighting.
        adjusted_for: the authors' reasons why the history is enough.
        flips_at: the Gamma by which unmeasured confounding must shift the odds of treatment for
            the conclusion to flip; None if it was not computed, infinite if nothing flips it.
        unheld: what was adjusted for when the regime was learned, and cannot be here.
        unseen: why actions may have been taken that the data do not show as such, in words.
    """
    return (
        _consistency(rows, unseen),
        _positivity(overlaps),
        _exchangeability(trajectories, differences, adjusted_for, flips_at, unheld),
    )


def _consistency(rows: Sequence[Mapped], unseen: Sequence[str] = ()) -> Entry:
    said = tuple(
        f"Stage {one.stage}: {one.one} rows map to exactly one action ({one.share:.1%}), "
        f"{one.none} to none, {one.several} to several."
        for one in rows
    )
    whys = tuple(
        f"only {one.share:.1%} of the patients at {one.stage} were given exactly one action (below "
        f"{COMPLETE:.0%} we call it doubtful)"
        for one in rows
        if not one.share >= COMPLETE
    )
    whys += tuple(unseen)
    return Entry(
        assumption="consistency",
        statement="What each patient was given is one of the actions of the catalogue, and its "
        "outcome is what that action would have led to.",
        evidence=(*(f"{one[0].upper()}{one[1:]}." for one in unseen), *said),
        judgement="doubtful" if whys else "supported",
        whys=whys,
    )


def _positivity(overlaps: Sequence[ActionOverlap]) -> Entry:
    said = [
        f"Stage {one.stage}, {one.action}: {one.took} of {one.could} took it, effective n "
        f"{one.effective_n:.0f}, largest weight {one.largest_weight:.1f}, {one.rare:.1%} with a "
        "chance below 5 %."
        for one in overlaps
        if one.could
    ]
    said += [
        f"Stage {one.stage}, {one.action}: possible only if {one.why}, which rules it out for "
        f"{one.ruled_out}."
        for one in overlaps
        if one.ruled_out
    ]
    problems = poor(overlaps)
    return Entry(
        assumption="positivity",
        statement="Every patient could have been given each action that was feasible.",
        evidence=(*problems, *said),
        judgement="doubtful" if problems else "supported",
        whys=problems,
    )


def _exchangeability(
    trajectories: Trajectories, differences: Sequence[Difference], adjusted_for: Sequence[str],
    flips_at: float | None, unheld: Sequence[str],
) -> Entry:  # fmt: skip
    design = all(h.propensity is not None for h in trajectories.stages)
    columns = "; ".join(
        f"{h.spec.stage}: {', '.join(sorted(h.spec.variables))}" for h in trajectories.stages
    )
    before, after = largest(differences)
    said = [
        f"Largest standardised difference {before:.2f} before weighting, {after:.2f} after.",
        *adjusted_for,
    ]
    if design:
        said.insert(0, "The actions were randomised with known probabilities.")
    else:
        said.insert(0, f"The history that was adjusted for is {columns}.")
    if flips_at is not None:
        said.append(_flip(flips_at))
    whys = () if design else hidden(after, flips_at, adjusted_for, unheld)
    judgement: Judgement = "by design" if design else "no problem measured"
    return Entry(
        assumption="sequential exchangeability",
        statement="Among patients with the same history, who was given which action has nothing "
        "to do with what would become of them.",
        evidence=tuple(said),
        judgement="doubtful" if whys else judgement,
        whys=whys,
    )


def hidden(
    after: float, flips_at: float | None, adjusted_for: Sequence[str], unheld: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return why what is recorded may not explain who was treated how; nothing if no figure says.

    Args:
        after: the largest standardised difference after weighting.
        flips_at: as for ``ledger``.
        adjusted_for: the authors' reasons why the history is enough.
        unheld: as for ``ledger``. It is warned of by itself; here it stands only if nothing else
            does.
    """
    found = []
    if flips_at is not None and flips_at < WEAK:
        found.append(
            f"a hidden cause that shifts the odds of treatment by a factor of {flips_at:.2f} could "
            f"reverse the result (below {WEAK:g} we call it doubtful)"
        )
    if after > LARGE:
        found.append(f"after weighting the largest standardised difference is still {after:.2f} "
                     f"(above {LARGE:g} we call it doubtful)")  # fmt: skip
    if unheld and not found:
        found.append(f"the study adjusted for {', '.join(unheld)}, which the rule bundle does not "
                     "hold")  # fmt: skip
    if not adjusted_for and not found:
        found.append("nobody has said why the recorded history explains who was treated how; no "
                     "figure can")  # fmt: skip
    return tuple(found)


def _flip(gamma: float) -> str:
    if gamma == float("inf"):
        return "No strength of unmeasured confounding that was tried changes the conclusion."
    return (
        f"The conclusion flips if an unmeasured cause shifts the odds of treatment by a factor of "
        f"{gamma:.2f}."
    )
