"""Observations that are too old for every variable that reads them are only read when asked for.

A long record holds many readings from before the windows of the variables. They say one thing
alone: that a value is stale rather than absent. Whether a resource can be used at all is still
found out for each one when the record is built.
"""

from collections.abc import Callable, Mapping, Set
from math import inf

from cds_adapters.fhir.codesets import OBSERVATION, VOID
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.resources import Observation
from cds_engine.history.event import Event
from cds_engine.vocabulary.time import Instant

Make = Callable[[Observation, Context, str], list[Event]]


class EarlierReadings:
    """The observations of one record whose events are not made yet.

    Args:
        context: of the record.
        make: makes the events of one.
        as_of: the instant of the decision; what became known later is left to the others.
        horizons: code -> the first instant that a variable may look at, for a reading of it; a
            code that is not in it is read by nothing.
    """

    def __init__(
        self, context: Context, make: Make, as_of: Instant, horizons: Mapping[str, float]
    ) -> None:
        self._context = context
        self._make = make
        self._as_of = as_of
        self._reach = _Reach(horizons)
        self._kept: dict[tuple[str, ...], tuple[set[str], list[tuple[Observation, str]]]] = {}

    def keep(self, resource: Observation, source: str) -> bool:
        """Keep an observation for later; False where its events have to be made now.

        It must have one version only, and be plain enough that making its events cannot fail.
        """
        status = OBSERVATION.get(resource.status)
        at = resource.effective_date_time
        if not status or status in VOID or at is None or resource.focus:
            return False
        if resource.modifier_extension or resource.implicit_rules is not None:
            return False
        context = self._context
        try:
            time = context.times[at]
            said = time if resource.issued is None else context.times[resource.issued]
            _, recorded = context.known(resource.meta, status, said)
        except NotUsedError:
            return False
        own = context.codes(resource.code)
        if not own or recorded > self._as_of or time.start > self._as_of:
            return False
        reach, groups = self._reach[own], [own]
        for part in resource.component:
            codes = context.codes(part.code)
            reach = min(reach, self._reach[codes])
            groups.append(codes)
        if time.end >= reach:
            return False
        held, kept = self._kept.setdefault(own, (set(), []))
        held.update(*groups)
        kept.append((resource, source))
        return True

    def readings(self, codes: Set[str]) -> list[Event]:
        """Return the events of those kept observations that carry one of the codes."""
        return [
            event
            for held, kept in self._kept.values()
            if not codes.isdisjoint(held)
            for resource, source in kept
            for event in self._make(resource, self._context, source)
            if not codes.isdisjoint(event.codes)
        ]


class _Reach(dict[tuple[str, ...], float]):
    """The codes of one reading -> the first instant that any variable may look at for it."""

    def __init__(self, horizons: Mapping[str, float]) -> None:
        self._horizons = horizons

    def __missing__(self, codes: tuple[str, ...]) -> float:
        reach = self[codes] = min([self._horizons.get(code, inf) for code in codes], default=inf)
        return reach
