"""A fitted linear stage is its design and its coefficients; every contrast is a sum of them."""

from dataclasses import dataclass

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.design_matrix import StageDesign
from cds_engine.estimate.stage import HistorySpec, StageData


@dataclass(frozen=True)
class LinearStage:
    """Q(h, a) = m(h)'beta + t(h)'psi_a with learned coefficients.

    Attributes:
        design: the columns.
        coefficients: one for each column, shape (p,).
        n: rows it was fitted to.
    """

    design: StageDesign
    coefficients: Floats
    n: int

    @property
    def spec(self) -> HistorySpec:
        """The stage."""
        return self.design.spec

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients."""
        return self.design.names

    def q(self, h: StageData) -> Floats:
        """Return Q(h, a), shape (n, n_actions); NaN where there is no choice of a."""
        return self.design.values(h, self.coefficients)

    def blips(self, h: StageData) -> Floats:
        """Return t(h)'psi_a, shape (n, n_actions): 0 for the first action of the stage."""
        return self.design.values(h, self.coefficients, main=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """How much more is expected of each action than of a reference action.

    Attributes:
        stage: the stage's name.
        reference: the action that the others are compared with.
        actions: all actions of the stage.
        values: Q(h, a) - Q(h, reference), shape (n, n_actions); larger is better; NaN where
            either is not feasible.
        terms: of a linear model: the tailoring terms.
        coefficients: of a linear model: those of the contrast of each action on the tailoring
            terms, shape (n_actions, terms); zeros for the reference.
        covariance: of ``coefficients`` written row by row, from a bootstrap that refits all
            stages; None without one. Naive standard errors of an earlier stage are far too small
            and are never given.
    """

    stage: str
    reference: str
    actions: tuple[str, ...]
    values: Floats
    terms: tuple[str, ...] | None = None
    coefficients: Floats | None = None
    covariance: Floats | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients, row by row, such as ``add_ace - monitor: sbp``."""
        return contrast_names(self.actions, self.reference, self.terms or ())

    @property
    def standard_errors(self) -> Floats | None:
        """Of ``coefficients``, shape (n_actions, terms); None without a bootstrap."""
        if self.covariance is None or self.terms is None:
            return None
        return np.sqrt(np.diagonal(self.covariance)).reshape(-1, len(self.terms))


def contrast_names(
    actions: tuple[str, ...], reference: str, terms: tuple[str, ...]
) -> tuple[str, ...]:
    """Return a name for each action and term."""
    return tuple(f"{action} - {reference}: {term}" for action in actions for term in terms)


def contrast_map(design: StageDesign, reference: str) -> Floats:
    """Return L such that L @ coefficients are those of all contrasts, row by row.

    Shape (n_actions * terms, size).
    """
    width = len(design.tailoring)
    psi = np.zeros((len(design.spec.actions), width, design.size))
    for action in range(1, len(psi)):
        psi[action, :, design.blip_places(action)] = np.eye(width)
    found: Floats = (psi - psi[design.spec.place(reference)]).reshape(-1, design.size)
    return found


def contrasts_of(
    stage: LinearStage, h: StageData, reference: str, covariance: Floats | None = None
) -> Contrasts:
    """Return the contrasts of a linear stage.

    Args:
        stage: the fitted stage.
        h: histories of this stage.
        reference: the action to compare with.
        covariance: of the stage's coefficients, from a bootstrap that refits all stages.

    Raises:
        EstimationError: if there is no such action, or the covariance is not of this stage.
    """
    design, size = stage.design, stage.design.size
    if covariance is not None and covariance.shape != (size, size):
        raise EstimationError(
            f"stage {stage.spec.stage}: the covariance has the shape {covariance.shape} for "
            f"{size} coefficients; bootstrap this very learner"
        )
    L = contrast_map(design, reference)
    blips = stage.blips(h)
    names = stage.design.basis.names
    return Contrasts(
        stage=stage.spec.stage, reference=reference, actions=stage.spec.actions,
        values=blips - blips[:, [stage.spec.place(reference)]],
        terms=tuple(names[at] for at in design.tailoring),
        coefficients=(L @ stage.coefficients).reshape(-1, len(design.tailoring)),
        covariance=None if covariance is None else L @ covariance @ L.T,
    )  # fmt: skip
