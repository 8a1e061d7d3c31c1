"""Under a stated outcome model the value of every embedded regime is a finite sum over its ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cds_engine.design.document import AssumptionsDocument
from cds_engine.design.regimes import EmbeddedRegime
from cds_engine.design.smart import RESPONDERS, Design, DesignQuestionError, Path, parsed


@dataclass(frozen=True)
class OutcomeModel:
    """What is assumed of response and outcome on every path of a design.

    Attributes:
        design: the trial.
        response: path -> P(response) of those on it.
        mean: end -> mean outcome there.
        variance: end -> variance of the outcome there.
        rho: correlation of outcome and baseline covariate within every end.
        response_rho: correlation of the covariate with the latent score behind response.
    """

    design: Design
    response: Mapping[Path, float]
    mean: Mapping[Path, float]
    variance: Mapping[Path, float]
    rho: float = 0.0
    response_rho: float = 0.0

    @classmethod
    def of(cls, design: Design) -> "OutcomeModel":
        """Return the model that a design's document states.

        Raises:
            DesignQuestionError: if it states none.
        """
        assume = design.document.assume
        if assume is None:
            raise DesignQuestionError(
                f"design {design.document.design} states no outcome model, on which this rests; "
                "add `assume` with `response`, `mean` and `sd`"
            )
        mean = {parsed(text): float(value) for text, value in assume.mean.items()}
        return cls(
            design,
            {parsed(text): rate for text, rate in assume.response.items()},
            {end: mean[end] for end in design.ends},
            {end: _variance(assume, mean[end]) for end in design.ends},
            assume.rho,
            assume.response_rho,
        )

    @cached_property
    def answers(self) -> Mapping[Path, float]:
        """Path -> probability of its responses, were its arms given to everybody."""
        found = {}
        for path in self.design.nodes:
            product = 1.0
            for step, word in enumerate(path):
                if path[:step] in self.response:
                    rate = self.response[path[:step]]
                    product *= rate if word == RESPONDERS else 1 - rate
            found[path] = product
        return found

    def expected(self, n: float) -> Mapping[Path, float]:
        """Return how many of ``n`` patients are expected on every path."""
        return {
            path: n * self.answers[path] * self.design.chance(path) for path in self.design.nodes
        }

    def value(self, regime: EmbeddedRegime) -> float:
        """Return the mean outcome, had all followed a regime."""
        return sum(self.answers[end] * self.mean[end] for end in regime.ends)

    def spread(self, regime: EmbeddedRegime) -> float:
        """Return the variance of the outcome, had all followed a regime."""
        value = self.value(regime)
        return sum(
            self.answers[end] * (self.variance[end] + (self.mean[end] - value) ** 2)
            for end in regime.ends
        )

    def weight(self, regime: EmbeddedRegime) -> float:
        """Return the mean weight of a regime's followers, had all followed it."""
        return sum(self.answers[end] / self.design.chance(end) for end in regime.ends)

    def asymptotic_variance(
        self, one: EmbeddedRegime, other: EmbeddedRegime, *, adjusted: bool = False
    ) -> float:
        """Return n times the variance of the estimated difference of two regimes, n large.

        It is that of weighted means with known weights: E[(W1 (Y - m1) - W2 (Y - m2))^2].

        Args:
            one: the first regime.
            other: the second.
            adjusted: whether the covariate is adjusted for, which takes rho^2 of the variance
                within ends away.

        Raises:
            DesignQuestionError: if it is adjusted and the covariate tells of response, too.
        """
        if adjusted and self.response_rho:
            raise DesignQuestionError(
                "where the covariate tells of response, what adjustment gains has no closed form; "
                "simulate"
            )
        keep = 1 - self.rho**2 if adjusted else 1.0
        one_value, other_value = self.value(one), self.value(other)
        total = 0.0
        for end in self.design.ends:
            share = self.answers[end] / self.design.chance(end)
            factors = (end in one.ends, -(end in other.ends))
            centre = factors[0] * (self.mean[end] - one_value)
            centre += factors[1] * (self.mean[end] - other_value)
            total += share * (sum(factors) ** 2 * keep * self.variance[end] + centre**2)
        return total


def _variance(assume: AssumptionsDocument, mean: float) -> float:
    return mean * (1 - mean) if assume.sd is None else assume.sd**2
