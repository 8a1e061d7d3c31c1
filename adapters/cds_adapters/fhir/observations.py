"""An observation becomes one event for its own answer and one for every answered component.

A component carries its own codes and answer, and the panel's status and times. An observation
without any answer is still an event, without a value: it was asked, and that is no reading.
"""

from cds_adapters.fhir.answers import NOTHING, Answer, read_answer
from cds_adapters.fhir.codesets import OBSERVATION, VOID, unfit
from cds_adapters.fhir.context import Context, no_codes
from cds_adapters.fhir.elements import Meta
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.resources import Observation
from cds_engine.history.event import Event, Time


def observation_events(resource: Observation, context: Context, source: str) -> list[Event]:
    """Return the events of one observation."""
    status = OBSERVATION.get(resource.status) or unfit(resource.status, OBSERVATION)
    if resource.focus:
        raise NotUsedError("it is about something else than the patient (focus)")
    moments = _effective(resource, context)
    if resource.issued is not None:
        said: Time | None = context.times[resource.issued]
    else:
        said = _said(moments, context, resource.meta)
    version, recorded = context.known(resource.meta, status, said)
    answers = _void(resource, context) if status in VOID else _answers(resource, context)
    if len(moments) > 1:
        answers = [(codes, _unclear(answer)) for codes, answer in answers]
    # by place, in the order of Event's fields: names would take half of the time again
    return [
        Event("observation", codes, time, recorded, source, version, status, value, unit, problem)
        for time in map(_counts_at, moments)
        for codes, (value, unit, problem) in answers
    ]


def _answers(resource: Observation, context: Context) -> list[tuple[tuple[str, ...], Answer]]:
    if not resource.component:
        return [(context.codes(resource.code) or no_codes(), read_answer(resource, context))]
    found = []
    for part in resource.component:
        answer = read_answer(part, context)
        if answer is not NOTHING and (codes := context.codes(part.code)):
            found.append((codes, _UNREADABLE if part.modifier_extension else answer))
    own = read_answer(resource, context)
    if own is NOTHING and found:
        return found
    codes = context.codes(resource.code)
    if not codes and not found:
        no_codes()
    return [(codes, own), *found] if codes else found


_UNREADABLE: Answer = (
    None,
    None,
    "the component has a modifier extension that is not understood",
)


def _void(resource: Observation, context: Context) -> list[tuple[tuple[str, ...], Answer]]:
    groups = [context.codes(part.code) for part in resource.component]
    return [(context.merged([context.codes(resource.code), *groups]), NOTHING)]


def _unclear(answer: Answer) -> Answer:
    if answer is NOTHING:
        return answer
    return None, None, "it was at several times, and the record does not say which its value is of"


_Moment = tuple[Time | None, Time | None]


def _said(moments: list[_Moment], context: Context, meta: Meta | None) -> Time | None:
    """Return when it became known, as far as its own times tell: at the last that is no plan."""
    times = [said for moment in moments if (said := context.said(*moment, meta)) is not None]
    stored = context.stored(meta)
    past = [time for time in times if stored is not None and time.end <= stored.end]
    if past:
        return max(past, key=lambda time: time.end)
    return min(times, key=lambda time: time.start, default=None)


def _counts_at(moment: _Moment) -> Time | None:
    """Return when it counts: what was found over a period can be known at its end, not before."""
    start, end = moment
    backwards = start is not None and end is not None and end.end < start.start
    return start if end is None or backwards else end


def _effective(resource: Observation, context: Context) -> list[_Moment]:
    """Return when it was true, once or several times, and, of a period, when that ended."""
    if resource.effective_date_time is not None:
        return [(context.times[resource.effective_date_time], None)]
    if resource.effective_period is not None:
        return [context.when(None, resource.effective_period)]
    if resource.effective_instant is not None:
        return [(context.times[resource.effective_instant], None)]
    if resource.effective_timing is not None and resource.effective_timing.event:
        texts = dict.fromkeys(resource.effective_timing.event)
        return [(context.times[text], None) for text in texts]
    return [(None, None)]
