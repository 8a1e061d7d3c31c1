"""A simulated trial follows its design and its outcome model: every end has its stated mean."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from cds_engine.design.outcomes import OutcomeModel
from cds_engine.design.smart import NON_RESPONDERS, RESPONDERS, DesignQuestionError, Path

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

COVARIATE = "baseline"
"""The column with the baseline covariate, standard normal."""

_KNOTS, _MASS = np.polynomial.hermite_e.hermegauss(101)
_MASS = _MASS / _MASS.sum()


class Simulator:
    """Trials of one design under one outcome model.

    With X ~ N(0, 1) the covariate, response on a path is c X + sqrt(1 - c^2) z > q, where c is
    ``response_rho`` and q gives the stated rate. A continuous outcome at an end is mean + sd (rho
    X* + sqrt(1 - rho^2) z), where X* is X standardised among those who get there, so that mean, sd
    and correlation within the end are exactly those stated. A binary outcome is a coin.

    Args:
        model: what is assumed.
    """

    def __init__(self, model: OutcomeModel) -> None:
        self.model = model
        self.design = model.design
        self._place = {end: at for at, end in enumerate(self.design.ends)}
        self._edge: dict[Path, float] = {}
        self._mean: dict[Path, float] = {}
        self._sd: dict[Path, float] = {}
        self._prepare((), _MASS)

    def _prepare(self, path: Path, mass: Floats) -> None:
        """Find the thresholds of response from here on, and what X is like at the ends."""
        if path in self.model.response:
            rate, c = self.model.response[path], self.model.response_rho
            noise = np.sqrt(1 - c * c)

            def responds(edge: float) -> Floats:
                return np.asarray(ndtr((c * _KNOTS - edge) / noise), dtype=np.float64)

            edge = brentq(lambda q: float(mass @ responds(q)) - rate, -12, 12)
            self._edge[path] = float(edge)
            share = responds(float(edge))
            self._prepare((*path, RESPONDERS), mass * share / rate)
            self._prepare((*path, NON_RESPONDERS), mass * (1 - share) / (1 - rate))
            return
        for child in self.design.children(path):
            self._prepare(child, mass)
        if path in self._place:
            self._mean[path] = mean = float(mass @ _KNOTS)
            self._sd[path] = float(np.sqrt(mass @ (_KNOTS - mean) ** 2))

    def ends(self, n: int, rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
        """Return each patient's end, outcome and covariate; each of shape (n,).

        Args:
            n: how many patients.
            rng: where the noise comes from.
        """
        x = rng.standard_normal(n)
        end = np.empty(n, dtype=np.intp)
        self._follow((), np.arange(n), x, end, rng)
        return end, self._outcome(end, x, rng), x

    def table(self, n: int, seed: int = 0) -> dict[str, NDArray[Any]]:
        """Return a simulated trial as columns: id, covariate, arms, responses, outcome.

        The covariate is left out where it tells nothing. An arm is None for whoever was not
        randomised at the stage; a response is None for whoever was not asked.

        Raises:
            DesignQuestionError: if nobody is asked for.
        """
        if n < 1:
            raise DesignQuestionError(f"{n} patients cannot be simulated; ask for one or more")
        design, document = self.design, self.design.document
        end, outcome, x = self.ends(n, np.random.default_rng(seed))
        columns: dict[str, NDArray[Any]] = {
            document.identifier: np.array([f"{document.design}-{i}" for i in range(n)], object)
        }
        if self.model.rho or self.model.response_rho:
            columns[COVARIATE] = x
        for stage in range(len(design.stages)):
            known = {at: one.arms for at, one in design.randomisations.items()
                     if one.stage == stage}  # fmt: skip
            columns[design.column(stage)] = self._told(end, known)
            for name in self._response_columns(stage):
                answered = {p for p, r in design.responses.items() if r.column == name}
                said = self._told(end, answered)
                columns[name] = np.array([None if w is None else w == RESPONDERS for w in said])
        columns[document.outcome.column] = outcome
        return columns

    def _response_columns(self, stage: int) -> list[str]:
        """Return the columns that tell the response to the arms of a stage."""
        return list(dict.fromkeys(
            one.column for path, one in self.design.responses.items()
            if self.design.randomisations[path[:-1]].stage == stage
        ))  # fmt: skip

    def _told(self, end: Ints, places: Mapping[Path, object] | set[Path]) -> NDArray[Any]:
        """Return each patient's next step at whichever of these paths they passed, or None."""
        word = [
            next((path[k] for k in range(len(path)) if path[:k] in places), None)
            for path in self.design.ends
        ]
        return np.array(word, dtype=object)[end]

    def _follow(
        self, path: Path, rows: Ints, x: Floats, end: Ints, rng: np.random.Generator
    ) -> None:
        if path in self._edge:
            c = self.model.response_rho
            latent = c * x[rows] + np.sqrt(1 - c * c) * rng.standard_normal(len(rows))
            responds = latent > self._edge[path]
            self._follow((*path, RESPONDERS), rows[responds], x, end, rng)
            self._follow((*path, NON_RESPONDERS), rows[~responds], x, end, rng)
        elif path in self.design.randomisations:
            arms = self.design.randomisations[path].arms
            edges = np.cumsum(list(arms.values()))[:-1]
            drawn = np.searchsorted(edges, rng.random(len(rows)), side="right")
            for at, arm in enumerate(arms):
                self._follow((*path, arm), rows[drawn == at], x, end, rng)
        else:
            end[rows] = self._place[path]

    def _outcome(self, end: Ints, x: Floats, rng: np.random.Generator) -> Floats:
        ends, rho = self.design.ends, self.model.rho
        mean = np.array([self.model.mean[one] for one in ends])[end]
        if self.design.document.outcome.kind == "binary":
            return np.asarray(rng.random(len(end)) < mean, dtype=np.float64)
        sd = np.sqrt([self.model.variance[one] for one in ends])[end]
        centre = np.array([self._mean[one] for one in ends])[end]
        scale = np.array([self._sd[one] for one in ends])[end]
        noise = rng.standard_normal(len(end))
        deviation = rho * (x - centre) / scale + np.sqrt(1 - rho**2) * noise
        return np.asarray(mean + sd * deviation, dtype=np.float64)
