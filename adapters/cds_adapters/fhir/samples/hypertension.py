"""Stories of stepped care for high blood pressure: advice first, lisinopril at three months.

The visits lie 13 weeks apart. At each one the pressure is taken five minutes in, the decision
falls at fifteen minutes, and what is then ordered is recorded at twenty. Blood was drawn three
days before, and its results are known by the visit.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.chart import DAY, MINUTE, WEEK, Chart, iso
from cds_adapters.fhir.samples.codes import quantity

Level = Literal["high", "normal", "none"]
THREE_MONTHS = 13
SIX_MONTHS = 26
BETWEEN = (timedelta(weeks=6), timedelta(days=136, hours=4))


def uncontrolled(chart: Chart) -> tuple[str, ...]:
    """Tell of advice, then lisinopril, and a pressure that stays high."""
    return _stepped_care(chart, ("high", "high", "high"))


def controlled(chart: Chart) -> tuple[str, ...]:
    """Tell of advice that is enough."""
    return _stepped_care(chart, ("high", "normal", "normal"), drug=False)


def controlled_on_drug(chart: Chart) -> tuple[str, ...]:
    """Tell of advice that is not enough and of lisinopril that is."""
    return _stepped_care(chart, ("high", "high", "normal"))


def between_visits(chart: Chart) -> tuple[str, ...]:
    """Tell the uncontrolled story, but ask between its visits, when no pressure is recent."""
    uncontrolled(chart)
    visits = [chart.opens + later for later in BETWEEN]
    for begins in visits:
        chart.encounter(begins)
    return tuple(iso(begins + 15 * MINUTE) for begins in visits)


def no_pressure(chart: Chart) -> tuple[str, ...]:
    """Tell of a problem list that says hypertension, and of no reading ever."""
    _adult_with_hypertension(chart)
    return tuple(_visit(chart, weeks, "none")[0] for weeks in (0, THREE_MONTHS, SIX_MONTHS))


def pregnant(chart: Chart) -> tuple[str, ...]:
    """Tell of a woman of 34, known to be pregnant before the first visit."""
    chart.person(34, "female")
    chart.condition(codes.HYPERTENSION, _diagnosed(chart))
    chart.condition(codes.PREGNANCY, chart.opens - 3 * DAY)
    return _advice_not_enough(chart, potassium=None)


def high_potassium(chart: Chart) -> tuple[str, ...]:
    """Tell of a potassium of 5.9 when a drug would be next."""
    _adult_with_hypertension(chart)
    return _advice_not_enough(chart, potassium=5.9)


def ace_cough(chart: Chart) -> tuple[str, ...]:
    """Tell of a cough on lisinopril, recorded six weeks before the last visit."""
    visits = uncontrolled(chart)
    chart.intolerance(codes.LISINOPRIL, codes.COUGH, chart.visit_at(SIX_MONTHS) - 6 * WEEK)
    return visits


def normotensive(chart: Chart) -> tuple[str, ...]:
    """Tell of one visit of somebody whose pressure is normal."""
    chart.person(chart.draw.between(40, 75))
    return (_visit(chart, 0, "normal")[0],)


def _stepped_care(chart: Chart, levels: Sequence[Level], drug: bool = True) -> tuple[str, ...]:
    """Tell of three visits: advice at the first and, with ``drug``, lisinopril at the second."""
    problem = _adult_with_hypertension(chart)
    visits = []
    for weeks, level in zip((0, THREE_MONTHS, SIX_MONTHS), levels, strict=True):
        instant, encounter = _visit(chart, weeks, level)
        ordered = chart.visit_at(weeks) + 20 * MINUTE
        if weeks == 0:
            chart.procedure(codes.LIFESTYLE_ADVICE, ordered, encounter)
        if weeks == THREE_MONTHS and drug:
            chart.prescription(codes.LISINOPRIL_10_MG, ordered, encounter, problem)
        visits.append(instant)
    return tuple(visits)


def _advice_not_enough(chart: Chart, potassium: float | None) -> tuple[str, ...]:
    """Tell of two visits with a high pressure and with advice, up to the choice of a drug."""
    first, encounter = _visit(chart, 0, "high")
    chart.procedure(codes.LIFESTYLE_ADVICE, chart.opens + 20 * MINUTE, encounter)
    return first, _visit(chart, THREE_MONTHS, "high", potassium)[0]


def _adult_with_hypertension(chart: Chart) -> str:
    chart.person(chart.draw.between(40, 75))
    return chart.condition(codes.HYPERTENSION, _diagnosed(chart))


def _diagnosed(chart: Chart) -> datetime:
    return chart.opens - chart.draw.between(14, 60) * DAY


def _visit(
    chart: Chart, weeks: int, level: Level, potassium: float | None = None
) -> tuple[str, str]:
    """Add a visit with its bloods and its pressure; return its instant and its Encounter."""
    begins = chart.visit_at(weeks)
    _bloods(chart, begins - 3 * DAY, potassium)
    encounter = chart.encounter(begins)
    if level == "high":
        systolic, diastolic = chart.draw.between(148, 172), chart.draw.between(92, 102)
    else:
        systolic, diastolic = chart.draw.between(108, 126), chart.draw.between(66, 78)
    if level != "none":
        chart.pressure(begins + 5 * MINUTE, systolic, diastolic, encounter)
    return iso(begins + 15 * MINUTE), encounter


def _bloods(chart: Chart, drawn: datetime, potassium: float | None) -> None:
    """Add potassium, creatinine and eGFR, issued two hours after the blood was drawn."""
    issued = drawn + 120 * MINUTE
    kalium = potassium or chart.draw.between(37, 48) / 10
    creatinine = chart.draw.between(70, 95) / 100
    rate = _filtration_rate(creatinine, chart.age, chart.gender)
    for name, code, value in (
        ("potassium", codes.POTASSIUM, quantity(kalium, "mmol/L")),
        ("creatinine", codes.CREATININE, quantity(creatinine, "mg/dL")),
        ("egfr", codes.EGFR, quantity(rate, "mL/min/{1.73_m2}")),
    ):
        chart.measurement(name, codes.LABORATORY, code, drawn, issued, value)


def _filtration_rate(creatinine: float, age: int, gender: str) -> int:
    """Return the MDRD estimate, rounded to a whole number so that no machine differs.

    References:
        Levey et al. (2006), Annals of Internal Medicine 145:247-254.
    """
    rate = 175 * math.pow(creatinine, -1.154) * math.pow(age, -0.203)
    return round(rate * (0.742 if gender == "female" else 1))
