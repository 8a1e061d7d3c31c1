"""A linear model of one stage has named columns: main terms, and tailoring terms for each action.

Q(h, a) = m(h)'beta + t(h)'psi_a, with psi = 0 for the reference action, the first that the stage
declares. The columns are m(h), called ``1``, ``sbp``, ``sex[male]``, ..., and for each other action
t(h) where it was taken, called ``add_ace``, ``add_ace:sbp``, ...
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.basis import BLOCK, INTERCEPT, Basis, blocks, the_basis
from cds_engine.estimate.columns import Bools, Floats, Ints, listed
from cds_engine.estimate.least_squares import DependentColumnsError, solve
from cds_engine.estimate.rule import first_best
from cds_engine.estimate.stage import HistorySpec, StageData

Terms = Sequence[str] | Mapping[str, Sequence[str]] | None
"""Variables or products of variables such as ``age:sex``: for all stages, or by the stage's name.
None for all variables of a stage but those that its ``when`` holds constant."""


@dataclass(frozen=True)
class StageDesign:
    """The columns of a linear model of one stage.

    Attributes:
        spec: the stage.
        basis: the columns of H that main terms and tailoring terms are among.
        main: their places in the basis; the intercept is the first.
        tailoring: places of the tailoring terms in the basis; the intercept is the first.
    """

    spec: HistorySpec
    basis: Basis
    main: tuple[int, ...]
    tailoring: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the coefficients."""
        held = self.basis.names
        return tuple(held[at] for at in self.main) + tuple(
            self.action_name(action, held[at])
            for action in self.spec.actions[1:]
            for at in self.tailoring
        )

    @property
    def size(self) -> int:
        """How many coefficients there are."""
        return len(self.main) + len(self.tailoring) * (len(self.spec.actions) - 1)

    @staticmethod
    def action_name(action: str, term: str) -> str:
        """Return what the column of an action and a tailoring term is called."""
        return action if term == INTERCEPT else f"{action}:{term}"

    def blip_places(self, action: int) -> slice:
        """Return where psi of an action other than the first stands among the coefficients."""
        start = len(self.main) + (action - 1) * len(self.tailoring)
        return slice(start, start + len(self.tailoring))

    def by_action(self, coefficients: Floats) -> Floats:
        """Return the coefficients of each action's Q on the basis, shape (n_actions, basis)."""
        shares = np.zeros((len(self.spec.actions), len(self.basis.terms)))
        shares[:, list(self.main)] = coefficients[: len(self.main)]
        for action in range(1, len(self.spec.actions)):
            shares[action, list(self.tailoring)] += coefficients[self.blip_places(action)]
        return shares

    def values(self, h: StageData, coefficients: Floats, *, main: bool = True) -> Floats:
        """Return m(h)'beta + t(h)'psi_a for each row and action, shape (n, n_actions).

        Rows without a decision and actions that are not feasible hold NaN.

        Args:
            h: the histories.
            coefficients: in the order of ``names``.
            main: whether m(h)'beta is a part of it; without it this is the blip.
        """
        shares, basis = self.by_action(coefficients), self.basis
        if not main:
            basis = basis.only(self.tailoring)
            shares = (shares - shares[0])[:, list(self.tailoring)]
        everybody = bool(h.decided.all())
        found = np.empty((h.n_actions, h.rows))
        if not everybody:
            found.fill(np.nan)
        reader, block = basis.reader(h), np.empty((len(basis.terms), BLOCK))
        for some in blocks(None if everybody else np.flatnonzero(h.decided), h.rows):
            count = some.stop - some.start if isinstance(some, slice) else len(some)
            filled = block[:, :count]
            reader.fill(some, filled)
            found[:, some] = shares @ filled
        if not (everybody and h.feasible.all()):
            found[~h.feasible.T] = np.nan
        return found.T

    def differ(self, h: StageData, one: Floats, other: Floats) -> Bools:
        """Return where two sets of coefficients advise different actions, shape (n,)."""
        basis, tail = self.basis.only(self.tailoring), list(self.tailoring)
        shares = [self.by_action(theta) for theta in (one, other)]
        blips = [(part - part[0])[:, tail] for part in shares]
        found = np.zeros(h.rows, dtype=np.bool_)
        reader, block = basis.reader(h), np.empty((len(tail), BLOCK))
        free = bool(h.feasible.all())
        for some in blocks(None if h.decided.all() else np.flatnonzero(h.decided), h.rows):
            feasible = None if free else h.feasible[some]
            filled = block[:, : len(h.decided[some])]
            reader.fill(some, filled)
            ours, theirs = (first_best((psi @ filled).T, feasible)[0] for psi in blips)
            found[some] = ours != theirs
        return found

    def matrix(self, h: StageData, rows: Ints) -> Floats:
        """Return the columns for the actions taken in some rows, shape (rows, size)."""
        basis = self.basis.matrix(h, rows)
        taken = h.action[rows]
        tails = basis[:, self.tailoring]
        with np.errstate(invalid="ignore"):  # infinite values are found and named by who solves
            others = [tails * (taken == action)[:, None] for action in range(1, h.n_actions)]
        return np.hstack([basis[:, self.main], *others])

    def moments(
        self, h: StageData, rows: Ints, y: Sequence[Floats], weights: Floats | None
    ) -> tuple[Floats, Floats]:
        """Return X'WX, shape (size, size), and X'Wy, shape (size, r), a block of rows at a time.

        Args:
            h: the histories.
            rows: which rows to sum over, increasing.
            y: r outcomes, each of shape (n,).
            weights: shape (n,), or None.
        """
        width, others = len(self.basis.terms), self.size - len(self.main)
        both = width + len(y)
        total = np.zeros((both + others, both + others))
        reader, block = self.basis.reader(h), np.empty((both + others, BLOCK))
        for some in blocks(None if len(rows) == h.rows else rows, h.rows):
            action = h.action[some]
            u = block[:, : len(action)]
            reader.fill(some, u[:width])
            for at, one in enumerate(y):
                u[width + at] = one[some]
            with np.errstate(invalid="ignore"):  # infinite values show in the sums
                self._treated(u, action, u[both:])
                # a product with itself takes half the time, which pays for what is not needed
                total += (u if weights is None else u * weights[some]) @ u.T
        return self.normal(total[:both, :both], total[both:, :both])

    def _treated(self, u: Floats, action: Ints, out: Floats) -> None:
        """Write the tailoring terms where each action but the first was taken."""
        at = 0
        for a in range(1, len(self.spec.actions)):
            here = (action == a).astype(np.float64)
            for term in self.tailoring:
                np.multiply(u[term], here, out=out[at])
                at += 1

    def normal(self, everybody: Floats, treated: Floats) -> tuple[Floats, Floats]:
        """Return X'WX and X'Wy from sums of products; leading axes may be anything.

        Args:
            everybody: sum of w (u, y)(u, y)' with u the basis, shape (..., b + r, b + r).
            treated: sum of w t_a (u, y)' for each action but the first, shape (..., tailoring
                terms of all actions, b + r).
        """
        width, main, tail = len(self.basis.terms), list(self.main), list(self.tailoring)
        own = slice(len(main), self.size)
        gram = np.zeros((*everybody.shape[:-2], self.size, self.size))
        gram[..., : len(main), : len(main)] = everybody[..., main, :][..., main]
        gram[..., own, : len(main)] = treated[..., main]
        gram[..., : len(main), own] = np.swapaxes(treated[..., main], -1, -2)
        for a in range(1, len(self.spec.actions)):
            psi = self.blip_places(a)
            start = psi.start - len(main)
            gram[..., psi, psi] = treated[..., start : start + len(tail), :][..., tail]
        cross = np.concatenate([everybody[..., main, width:], treated[..., width:]], axis=-2)
        return gram, cross

    def solved(
        self, h: StageData, rows: Ints, y: Sequence[Floats], weights: Floats | None
    ) -> Floats:
        """Return the least squares coefficients for each y, shape (size, r).

        Raises:
            EstimationError: if there are fewer rows than coefficients, a column is constant, or
                some are combinations of others: with the stage, the columns and the count.
        """
        self.check_counts(h, rows)
        gram, cross = self.moments(h, rows, y, weights)

        def by_rows() -> tuple[Floats, Floats]:
            root = np.ones(len(rows)) if weights is None else np.sqrt(weights[rows])
            right = np.column_stack([one[rows] for one in y])
            X = self.matrix(h, rows)
            if not np.isfinite(X).all():
                raise self.dependent(DependentColumnsError([], []), X)
            return X * root[:, None], right * root[:, None]

        try:
            return solve(gram, cross, by_rows)
        except DependentColumnsError as fault:
            raise self.dependent(fault, self.matrix(h, rows)) from fault

    def check_counts(self, h: StageData, rows: Ints) -> None:
        """Refuse data with fewer rows than coefficients.

        Raises:
            EstimationError: with the stage, the counts and the columns.
        """
        stage = self.spec.stage
        if len(rows) < self.size:
            raise EstimationError(
                f"stage {stage}: {len(rows)} rows cannot carry {self.size} coefficients "
                f"({listed(self.names)}); name fewer main or tailoring terms"
            )
        action = h.action if len(rows) == h.rows else h.action[rows]
        taken = np.bincount(action, minlength=h.n_actions)
        least = len(self.tailoring)
        for name, count in zip(self.spec.actions, taken, strict=True):
            if count < least:
                raise EstimationError(
                    f"stage {stage}: {count} rows took {name!r}, too few for the {least} "
                    "coefficients of its effect; name fewer tailoring terms"
                )

    def dependent(self, fault: DependentColumnsError, X: Floats) -> EstimationError:
        """Return the error for columns that are constant or combinations of others."""
        stage, names = self.spec.stage, self.names
        unfit = sorted({*np.flatnonzero(~np.isfinite(X).all(axis=0))})
        if unfit:
            bad = int(np.count_nonzero(~np.isfinite(X).all(axis=1)))
            return EstimationError(
                f"stage {stage}: {listed([names[at] for at in unfit])} are missing or infinite in "
                f"{bad} rows; complete them or leave them out"
            )
        flat = [at for at in range(1, len(self.main)) if np.ptp(X[:, at]) == 0]
        if flat:
            return EstimationError(
                f"stage {stage}: {listed([names[at] for at in flat])} is constant in all "
                f"{len(X)} rows, so that it cannot be told from the intercept; leave it out"
            )
        parts = [
            f"{names[one]} = a combination of {listed([names[at] for at in on])}"
            if on else f"{names[one]} = 0"
            for one, on in zip(fault.dependent, fault.on, strict=True)
        ]  # fmt: skip
        return EstimationError(
            f"stage {stage}: {len(parts)} of {len(names)} columns add nothing in {len(X)} rows "
            f"({listed(parts, separator='; ')}); leave them out of the main or tailoring terms"
        )


def the_design(h: StageData, main: Terms = None, tailoring: Terms = None) -> StageDesign:
    """Return the columns of a linear model of one stage.

    Args:
        h: the histories that the model will be fitted to.
        main: main terms; None for all variables.
        tailoring: terms whose effect depends on the action; None for the main terms.

    Raises:
        EstimationError: if a term names no variable of the stage.
    """
    mains = the_terms(main, h)
    tails = mains if tailoring is None else the_terms(tailoring, h)
    basis = the_basis(tuple(dict.fromkeys((*mains, *tails))), h)
    return StageDesign(h.spec, basis, _places(basis, mains, h), _places(basis, tails, h))


def _places(basis: Basis, names: Sequence[str], h: StageData) -> tuple[int, ...]:
    wanted = set(the_basis(names, h).terms)
    return tuple(at for at, term in enumerate(basis.terms) if term in wanted)


def the_terms(terms: Terms, h: StageData) -> tuple[str, ...]:
    """Return the names of the terms of one stage.

    Raises:
        EstimationError: if they are not named for this stage.
    """
    if terms is None:
        return tuple(name for name in h.spec.variables if not _fixed(name, h))
    if isinstance(terms, str):
        raise EstimationError(f"terms are a sequence of names; {terms!r} is one text")
    if isinstance(terms, Mapping):
        if h.spec.stage not in terms:
            raise EstimationError(
                f"no terms are named for stage {h.spec.stage}; they are for {', '.join(terms)}"
            )
        return tuple(terms[h.spec.stage])
    return tuple(terms)


def _fixed(name: str, h: StageData) -> bool:
    """Return whether the criterion that opens a stage leaves one value of a variable."""
    if h.spec.when is None or not re.search(rf"\b{re.escape(name)}\b", h.spec.when):
        return False
    held = h.columns[name][h.decided]
    return len(held) > 0 and bool((held == held[0]).all())
