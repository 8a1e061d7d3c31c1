"""No column counts twice, and no history holds what comes after its decision."""

from collections.abc import Iterator, Sequence

from cds_engine.errors import Fault
from cds_engine.estimate.stage import HistorySpec


def counted_twice(specs: Sequence[HistorySpec], outcome: str, *, long: bool) -> Iterator[Fault]:
    """Yield a fault for each reward that is in the sum already.

    What is optimised is the sum of the rewards and the outcome. In a long table, where ``long``,
    stages share a reward's column, since each has its own row.
    """
    whose: dict[str, str] = {}
    for spec in specs:
        if spec.reward is None:
            continue
        place = f"{spec.stage}.{spec.reward}"
        if spec.reward == outcome:
            yield Fault(place, "is the stage's reward and the outcome, so that it would count "
                        "twice in their sum; leave the reward out, or name another "
                        "outcome")  # fmt: skip
        elif not long and spec.reward in whose:
            yield Fault(place, f"is the reward of stage {whose[spec.reward]} too, so that it would "
                        "count twice; give each stage its own")  # fmt: skip
        whose.setdefault(spec.reward, spec.stage)


def foreseen(
    specs: Sequence[HistorySpec], outcome: str, weights: str | None = None
) -> Iterator[Fault]:
    """Yield a fault for each variable that is not known before its decision."""
    for at, spec in enumerate(specs):
        barred = {outcome: "the outcome"} | ({weights: "the sample weights"} if weights else {})
        for later in reversed(specs[at:]):
            barred[later.action_column] = f"the action of stage {later.stage}"
            if later.reward is not None:
                barred.setdefault(later.reward, f"the reward of stage {later.stage}")
        for variable in spec.variables:
            column = spec.columns.get(variable, variable)
            if column in barred:
                yield not_before(spec.stage, column, barred[column])


def not_before(stage: str, column: str, what: str) -> Fault:
    """Return the fault of a variable that reads a column which no history may hold."""
    return Fault(f"{stage}.{column}", f"is {what}, which is not part of what is known before the "
                 "decision; leave the variable out of the history")  # fmt: skip
