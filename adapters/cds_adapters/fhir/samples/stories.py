"""Every story has a name, one sentence of description, and a function that tells it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from cds_adapters.fhir.samples import activity, hypertension
from cds_adapters.fhir.samples.chart import Chart
from cds_adapters.fhir.samples.draw import Draw
from cds_adapters.fhir.samples.patient import SamplePatient


@dataclass(frozen=True, slots=True)
class Story:
    """A clinical course; ``tell`` writes it into a chart and returns the instants to decide at."""

    name: str
    description: str
    tell: Callable[[Chart], tuple[str, ...]]


_STORIES = (
    Story(
        "htn-uncontrolled",
        "High at all three visits; lifestyle advice at the first, lisinopril from the second.",
        hypertension.uncontrolled,
    ),
    Story(
        "htn-controlled",
        "High at the first visit; lifestyle advice brings it under control at 3 and 6 months.",
        hypertension.controlled,
    ),
    Story(
        "htn-controlled-on-drug",
        "High at the first visit and at 3 months; lisinopril brings it under control at 6 months.",
        hypertension.controlled_on_drug,
    ),
    Story(
        "htn-between-visits",
        "Uncontrolled, asked about at 6 and at 19.5 weeks, with no reading in the last 30 days.",
        hypertension.between_visits,
    ),
    Story(
        "htn-no-pressure",
        "Hypertension on the problem list and three visits, but never a blood pressure reading.",
        hypertension.no_pressure,
    ),
    Story(
        "htn-pregnant",
        "A woman of 34 with hypertension, pregnant throughout, uncontrolled at 3 months.",
        hypertension.pregnant,
    ),
    Story(
        "htn-high-potassium",
        "Uncontrolled at 3 months, with a potassium of 5.9 mmol/L.",
        hypertension.high_potassium,
    ),
    Story(
        "htn-ace-cough",
        "Uncontrolled on lisinopril, with a cough from it recorded before the visit at 6 months.",
        hypertension.ace_cough,
    ),
    Story(
        "normotensive",
        "An adult without hypertension, one visit, normal blood pressure.",
        hypertension.normotensive,
    ),
    Story(
        "activity-responder",
        "Sedentary; coached from the first visit; 20 to 30 % more daily steps at 8 weeks.",
        activity.responder,
    ),
    Story(
        "activity-nonresponder",
        "Sedentary; coached from the first visit; 1 to 5 % more daily steps at 8 weeks.",
        activity.nonresponder,
    ),
    Story(
        "activity-exactly-ten-percent",
        "Sedentary; coached; mean daily steps 5000 at first and 5500, 10 % more, at 8 weeks.",
        activity.exactly_ten_percent,
    ),
    Story(
        "activity-start",
        "Sedentary; one visit with a week of daily steps, no coaching yet.",
        activity.start,
    ),
    Story(
        "activity-sedentary-no-steps",
        "Sedentary; coached from the first visit; not one step count, at either visit.",
        activity.no_steps,
    ),
)

STORIES: Mapping[str, Story] = MappingProxyType({story.name: story for story in _STORIES})


def sample_patient(
    story: str, number: int = 0, seed: int = 2026, start: str = "2025-01-06"
) -> SamplePatient:
    """Return the ``number``-th patient of a story whose first visit is on the day ``start``.

    The story fixes the course and what is high or low; number and seed vary age, sex, hour of
    day and the exact values.

    >>> sample_patient("htn-controlled").visits[0][:10]
    '2025-01-06'
    """
    if story not in STORIES:
        raise ValueError(f"no story {story!r}; the stories are {', '.join(STORIES)}")
    chart = Chart(f"{story}-{number}", date.fromisoformat(start), Draw(seed, story, number))
    visits = STORIES[story].tell(chart)
    return SamplePatient(chart.patient_id, story, tuple(chart.resources), visits)
