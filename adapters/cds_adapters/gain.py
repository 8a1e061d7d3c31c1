"""What the data behind a rule said of patients like this one, in words for a clinician."""

from collections.abc import Iterator

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.benefit import Benefit, benefit_of
from cds_engine.decide.decision import Decision
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import number_text


def gain_words(bundle: RuleBundle, decision: Decision) -> Iterator[str]:
    """Yield a sentence each on the benefit, its interval, and how many were alike.

    Nothing where the rule was not fitted, or where there is no advice.
    """
    found = benefit_of(bundle, decision)
    if found is None:
        return
    if found.estimate is not None and found.against is not None:
        yield _benefit(bundle, found, found.against, found.estimate)
    if found.similar:
        counts = ", ".join(f"{n} {_took(bundle, action)}" for action, n in found.similar.items())
        yield f"Similar patients in the data: {counts}."
    else:
        yield "No group of similar patients is known."
    yield found.method


def _benefit(bundle: RuleBundle, found: Benefit, against: str, estimate: float) -> str:
    better = bundle.document.aim.better
    word = better if estimate >= 0 else {"higher": "lower", "lower": "higher"}[better]
    unit = f" {unit_words(found.unit)}" if found.unit else ""
    text = (
        f"{found.outcome}: expected {figure_text(abs(estimate))}{unit} {word} than with "
        f"“{bundle.actions[against].label}”"
    )
    if found.low is None or found.high is None:
        return f"{text}."
    text += (
        f" (better by {figure_text(estimate)}, {found.level:.0%} interval "
        f"{figure_text(found.low)} to {figure_text(found.high)})."
    )
    if found.low <= 0 <= found.high:
        text += " The interval holds no difference, too."
    return text


def figure_text(value: float) -> str:
    """Return a number with three significant digits and no exponent.

    >>> figure_text(153.24), figure_text(0.4219), figure_text(-5.0)
    ('153', '0.422', '-5')
    """
    return number_text(float(f"{value:.2e}"))


def _took(bundle: RuleBundle, action: str) -> str:
    return f"“{bundle.actions[action].label}”"
