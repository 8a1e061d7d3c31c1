"""How many patients a comparison of two regimes needs: by the formula, and by the model."""

from dataclasses import dataclass
from itertools import combinations
from math import ceil, sqrt
from statistics import NormalDist

from cds_engine.design.outcomes import OutcomeModel
from cds_engine.design.regimes import EmbeddedRegime, embedded_regimes
from cds_engine.design.smart import DesignQuestionError

_NORMAL = NormalDist()


def formula_size(
    delta: float, factor: float, *, rho: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return N = 4 (z_{1-alpha/2} + z_{power})^2 / delta^2 x D x (1 - rho^2), rounded up.

    It compares two embedded regimes with different first arms, two-sided. It assumes that the
    variance of the outcome around the regime's mean is the same for responders and non-responders,
    and a large trial. D is 2 if all are randomised again, 2 - r if non-responders of both arms
    are, (3 - r)/2 if those of one are, all probabilities being 1/2 and r the response rate;
    ``design_factor`` gives it for any design.

    Args:
        delta: difference of the regimes' means over the outcome's standard deviation.
        factor: D.
        rho: correlation of the outcome with a baseline covariate that is adjusted for.
        alpha: two-sided level of the test.
        power: probability of finding the difference.

    Raises:
        DesignQuestionError: if a number is outside its range.

    References:
        Oetting et al. (2011), in Causality and Psychopathology, Oxford University Press.
        Seewald et al. (2020), Statistical Methods in Medical Research 29.
    """
    _check(alpha, power)
    if not abs(delta) > 0 or not factor > 0 or not abs(rho) < 1:
        raise DesignQuestionError(
            f"no size follows from a difference of {delta:g}, a factor of {factor:g} and a "
            f"correlation of {rho:g}; the first two must not be 0, the last be within -1 and 1"
        )
    return ceil(4 * _needed(alpha, power) / delta**2 * factor * (1 - rho**2))


def design_factor(model: OutcomeModel, one: EmbeddedRegime, other: EmbeddedRegime) -> float:
    """Return D: the mean weight of the two regimes' followers, averaged, over 2.

    With coins at both randomisations of both arms it is (2 r + 4 (1 - r)) / 2 = 2 - r.
    """
    return (model.weight(one) + model.weight(other)) / 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many patients one comparison needs.

    Attributes:
        one: the first regime.
        other: the second.
        difference: of their means.
        delta: that over sqrt of the mean of their variances.
        factor: D of the formula; None where it does not apply.
        formula: N of the formula; None where it does not apply.
        exact: N from the variance that the outcome model implies; None without closed form.
        alpha: two-sided level.
        power: that was asked for.
        notes: why a number is missing, and where the formula's assumptions do not hold.
    """

    one: EmbeddedRegime
    other: EmbeddedRegime
    difference: float
    delta: float
    factor: float | None
    formula: int | None
    exact: int | None
    alpha: float
    power: float
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The comparison in words."""
        return f"{self.one.label} minus {self.other.label}"

    @property
    def n(self) -> int | None:
        """The formula's N, or the model's where the formula does not apply."""
        return self.exact if self.formula is None else self.formula


def sizes(model: OutcomeModel, *, alpha: float = 0.05, power: float = 0.8) -> tuple[Size, ...]:
    """Return the size of every comparison of two embedded regimes."""
    pairs = combinations(embedded_regimes(model.design), 2)
    return tuple(size_of(model, one, other, alpha=alpha, power=power) for one, other in pairs)


def size_of(
    model: OutcomeModel,
    one: EmbeddedRegime,
    other: EmbeddedRegime,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Size:
    """Return how many patients the comparison of two regimes needs under an outcome model.

    The formula is given where the regimes have no follower in common. Where rho is not 0, both
    numbers are those of an analysis that adjusts for the covariate.

    Raises:
        DesignQuestionError: if alpha or power is no probability that can be asked for.
    """
    _check(alpha, power)
    difference = model.value(one) - model.value(other)
    spread = (model.spread(one) + model.spread(other)) / 2
    shared = set(one.ends) & set(other.ends)
    none = abs(difference) <= 1e-12 * sqrt(spread)
    notes = ["the means are equal under the model, so that no size finds a difference"] * none
    notes += ["the formula is for regimes with different first arms; these share followers"] * bool(
        shared
    )
    factor = None if shared else design_factor(model, one, other)
    formula = exact = None
    delta = 0.0 if none else difference / sqrt(spread)
    if not none and factor is not None:
        formula = formula_size(delta, factor, rho=model.rho, alpha=alpha, power=power)
    if not none and model.rho and model.response_rho:
        notes.append("the covariate tells of response too, so that the model has no closed form")
    elif not none:
        variance = model.asymptotic_variance(one, other, adjusted=bool(model.rho))
        exact = ceil(_needed(alpha, power) * variance / difference**2)
    return Size(
        one=one, other=other, difference=difference, delta=delta, factor=factor, formula=formula,
        exact=exact, alpha=alpha, power=power, notes=tuple(notes),
    )  # fmt: skip


def asymptotic_power(
    model: OutcomeModel, one: EmbeddedRegime, other: EmbeddedRegime, n: int, *, alpha: float = 0.05
) -> float:
    """Return the power of the two-sided test with ``n`` patients, n large.

    Raises:
        DesignQuestionError: as ``OutcomeModel.asymptotic_variance``.
    """
    variance = model.asymptotic_variance(one, other, adjusted=bool(model.rho))
    shift = (model.value(one) - model.value(other)) / sqrt(variance / n)
    edge = _NORMAL.inv_cdf(1 - alpha / 2)
    return _NORMAL.cdf(shift - edge) + _NORMAL.cdf(-shift - edge)


def _needed(alpha: float, power: float) -> float:
    return (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)) ** 2


def _check(alpha: float, power: float) -> None:
    if not 0 < alpha < 1 or not alpha < power < 1:
        raise DesignQuestionError(
            f"a power of {power:g} at the level {alpha:g} cannot be asked for; give "
            "0 < alpha < power < 1, such as 0.05 and 0.8"
        )
