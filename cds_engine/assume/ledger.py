"""The ledger holds the three assumptions, each with its evidence, for a named person to sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cds_engine.assume.balance import LARGE, Difference, largest
from cds_engine.assume.consistency import Mapped
from cds_engine.assume.positivity import ActionOverlap, poor
from cds_engine.estimate.trajectories import Trajectories

Judgement = Literal["by design", "supported", "doubtful"]
COMPLETE = 0.95
"""A smaller share of rows that map to one action makes consistency doubtful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One assumption.

    Attributes:
        assumption: its name.
        statement: what is assumed, about these data.
        evidence: what was measured, each a sentence with its figures.
        judgement: what the figures alone say; whether to rely on it is for whoever signs.
        signed_by, signed_on: empty until a named person signs.
    """

    assumption: str
    statement: str
    evidence: tuple[str, ...]
    judgement: Judgement
    signed_by: str = ""
    signed_on: str = ""

    def document(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return {
            "assumption": self.assumption, "statement": self.statement,
            "evidence": list(self.evidence), "judgement": self.judgement,
            "signed_by": self.signed_by or None, "signed_on": self.signed_on or None,
        }  # fmt: skip


def ledger(
    trajectories: Trajectories,
    rows: Sequence[Mapped],
    overlaps: Sequence[ActionOverlap],
    differences: Sequence[Difference],
    *,
    adjusted_for: Sequence[str] = (),
    flips_at: float | None = None,
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
    """
    return (
        _consistency(rows),
        _positivity(overlaps),
        _exchangeability(trajectories, differences, adjusted_for, flips_at),
    )


def _consistency(rows: Sequence[Mapped]) -> Entry:
    said = tuple(
        f"Stage {one.stage}: {one.one} rows map to exactly one action ({one.share:.1%}), "
        f"{one.none} to none, {one.several} to several."
        for one in rows
    )
    fine = all(one.share >= COMPLETE for one in rows)
    return Entry(
        assumption="consistency",
        statement="What each patient was given is one of the actions of the catalogue, and its "
        "outcome is what that action would have led to.",
        evidence=said,
        judgement="supported" if fine else "doubtful",
    )


def _positivity(overlaps: Sequence[ActionOverlap]) -> Entry:
    said = [
        f"Stage {one.stage}, {one.action}: {one.took} of {one.could} took it, effective n "
        f"{one.effective_n:.0f}, largest weight {one.largest_weight:.1f}, {one.rare:.1%} with a "
        "chance below 5 %."
        for one in overlaps
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
    )


def _exchangeability(
    trajectories: Trajectories, differences: Sequence[Difference], adjusted_for: Sequence[str],
    flips_at: float | None,
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
    judgement: Judgement = "by design" if design else "supported"
    if not design and (after > LARGE or not adjusted_for):
        judgement = "doubtful"
    return Entry(
        assumption="sequential exchangeability",
        statement="Among patients with the same history, who was given which action has nothing "
        "to do with what would become of them.",
        evidence=tuple(said),
        judgement=judgement,
    )


def _flip(gamma: float) -> str:
    if gamma == float("inf"):
        return "No strength of unmeasured confounding that was tried changes the conclusion."
    return (
        f"The conclusion flips if an unmeasured cause shifts the odds of treatment by a factor of "
        f"{gamma:.2f}."
    )
