"""A stage is what is known before one decision, what can be chosen there, and what was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Columns, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySpec:
    """What is known just before the decision of one stage, and what can be chosen there.

    One such specification serves fitting, valuing and export alike.

    Attributes:
        stage: the stage's name.
        variables: the names of H_k, in order; past actions are variables like any other.
        actions: the treatment options, in the order of the columns of every Q_k(h, a).
        feasible: action -> criterion over the variables; one that is not named is always feasible.
        when: criterion that says who has a decision here; None for everybody who has an action.
        action: the table's column with the action taken; ``action_<stage>`` unless given.
        reward: the table's column with U_k; None where only the final outcome counts.
        columns: variable -> column of a wide table, where the two differ.
        randomised: action -> relative probability by design, shared out over the feasible
            actions of each row; None in a cohort, where propensities are estimated.
    """

    stage: str
    variables: tuple[str, ...]
    actions: tuple[str, ...]
    feasible: Mapping[str, str] = field(default_factory=dict)
    when: str | None = None
    action: str = ""
    reward: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    randomised: Mapping[str, float] | None = None

    @property
    def action_column(self) -> str:
        """The table's column with the action taken."""
        return self.action or f"action_{self.stage}"

    def place(self, action: str) -> int:
        """Return the place of an action among the stage's actions.

        Raises:
            EstimationError: if the stage has no such action.
        """
        if action not in self.actions:
            raise EstimationError(
                f"stage {self.stage} has no action {action!r}; it has {', '.join(self.actions)}"
            )
        return self.actions.index(action)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageData:
    """The histories, feasible sets and actions of one stage, a row for every trajectory.

    Attributes:
        spec: what the columns and the actions are.
        columns: H_k, each of shape (n,).
        decided: who has a decision at this stage, shape (n,); a responder may have none.
        action: place of A_k in ``spec.actions``, shape (n,); ``NO_DECISION`` without a decision.
        feasible: shape (n, n_actions); all False without a decision.
        reward: U_k, shape (n,), larger is better; zeros where only the final outcome counts.
        propensity: P(A_k = a | H_k) where it is known by design, shape (n, n_actions); else None.
    """

    spec: HistorySpec
    columns: Columns
    decided: Bools
    action: Ints
    feasible: Bools
    reward: Floats
    propensity: Floats | None = None

    @property
    def rows(self) -> int:
        """How many trajectories there are."""
        return len(self.decided)

    @property
    def n_actions(self) -> int:
        """How many treatment options the stage has."""
        return len(self.spec.actions)

    def take(self, rows: NDArray[Any] | slice) -> "StageData":
        """Return some of the rows, given as row numbers, as a mask or as a slice."""
        known = self.propensity
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            decided=self.decided[rows],
            action=self.action[rows],
            feasible=self.feasible[rows],
            reward=self.reward[rows],
            propensity=None if known is None else known[rows],
        )
