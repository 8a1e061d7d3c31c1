"""Stories of digital activity coaching: a week of step counts before, and one after eight weeks.

A responder is somebody whose mean daily steps rose enough, by a rule's own threshold; each
story fixes the rise exactly, so that thresholds can be tested from both sides.
"""

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.chart import DAY, MINUTE, Chart, iso
from cds_adapters.fhir.samples.codes import quantity

EIGHT_WEEKS = 8
DAYS_COUNTED = 7


def responder(chart: Chart) -> tuple[str, ...]:
    """Tell of a rise by 20 to 30 %."""
    return _coached(chart, 100 * chart.draw.between(35, 60), chart.draw.between(20, 30))


def nonresponder(chart: Chart) -> tuple[str, ...]:
    """Tell of a rise by 1 to 5 %."""
    return _coached(chart, 100 * chart.draw.between(35, 60), chart.draw.between(1, 5))


def exactly_ten_percent(chart: Chart) -> tuple[str, ...]:
    """Tell of a mean of 5000 that became 5500."""
    return _coached(chart, 5000, 10)


def start(chart: Chart) -> tuple[str, ...]:
    """Tell of a first visit with a week of step counts, before any coaching."""
    _sedentary_adult(chart)
    _steps(chart, 0, 100 * chart.draw.between(35, 60))
    return (_visit(chart, 0)[0],)


def no_steps(chart: Chart) -> tuple[str, ...]:
    """Tell of coaching without a single step count."""
    return _coached(chart, None, 0)


def _coached(chart: Chart, mean: int | None, rise: int) -> tuple[str, ...]:
    """Tell of coaching ordered at the first visit and of a rise by ``rise`` % at the second."""
    problem = _sedentary_adult(chart)
    if mean is not None:
        _steps(chart, 0, mean)
    first, encounter = _visit(chart, 0)
    ordered = chart.opens + 20 * MINUTE
    chart.service(codes.EXERCISE_EDUCATION, ordered, encounter, problem)
    if mean is not None:
        _steps(chart, EIGHT_WEEKS, mean * (100 + rise) // 100)
    return first, _visit(chart, EIGHT_WEEKS)[0]


def _sedentary_adult(chart: Chart) -> str:
    chart.person(chart.draw.between(25, 70))
    return chart.condition(codes.SEDENTARY, chart.opens - chart.draw.between(14, 60) * DAY)


def _visit(chart: Chart, weeks: int) -> tuple[str, str]:
    begins = chart.visit_at(weeks)
    return iso(begins + 15 * MINUTE), chart.encounter(begins)


def _steps(chart: Chart, weeks: int, mean: int) -> None:
    """Add the counts of the seven days before a visit, each stamped at the end of its day."""
    midnight = chart.visit_at(weeks).replace(hour=0, minute=0)
    for days, count in enumerate(chart.draw.around(mean, mean // 4, DAYS_COUNTED)):
        at = midnight - days * DAY - MINUTE
        value = quantity(count, "/d", "steps/day")
        chart.measurement("steps", codes.ACTIVITY, codes.STEPS, at, at + MINUTE, value)
