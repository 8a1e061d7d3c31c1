"""A prefetch key is in one of five states, and only a complete answer is data.

Absent, failed (an OperationOutcome), cut short (a next link, or as many results as were asked
for) are not "none found"; ``null`` and an empty Bundle are.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import msgspec
from msgspec import Raw, Struct, structs

from cds_adapters.cds_hooks.prefetch import Query
from cds_adapters.fhir.decode import DecodedBundle, decode_bundle, distinct, whole_body
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError, NotUsedError
from cds_adapters.fhir.resources import (
    USED_TYPES,
    AnyResource,
    Encounter,
    Observation,
    OperationOutcome,
    Procedure,
    UsedResource,
)
from cds_adapters.fhir.times import read_time
from cds_adapters.fhir.troubles import Trouble
from cds_engine.errors import CDSError
from cds_engine.history.event import Time
from cds_engine.vocabulary.time import Instant

_HARMLESS = frozenset({"information", "warning", "success"})
_NOT_ALL = frozenset(
    {
        "incomplete",
        "transient",
        "timeout",
        "throttled",
        "exception",
        "lock-error",
        "no-store",
        "too-costly",
    }
)
"""Issue codes that mean results are lacking, however lightly a server takes it."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """Why a key is not satisfied, in words without patient values.

    Attributes:
        begun: the first page, where there is one.
        next_link: where the second one is.
    """

    why: str
    begun: DecodedBundle | None = None
    next_link: str | None = None


NOT_SENT = Lacking("was not sent")


class MalformedAnswerError(CDSError):
    """An answer that is no FHIR at all."""


class _Typed(Struct, rename="camel"):
    resource_type: str | None = None


_typed = msgspec.json.Decoder(_Typed | None)


def read_answer(raw: Raw | None, query: Query, as_of: Instant) -> DecodedBundle | Lacking:
    """Return what a client sent for a key, or why that does not satisfy it.

    Raises:
        MalformedAnswerError: for what is neither a resource nor null.
    """
    if raw is None:
        return NOT_SENT
    return _judged(read_page(raw, query), query, as_of)


def judge_answer(body: AnyResource | None, query: Query, as_of: Instant) -> DecodedBundle | Lacking:
    """Return what ``read_answer`` does, of a body that was decoded with the request."""
    kind = None if body is None else type(body).__name__
    return _judged(_checked(whole_body(body), query, lambda: kind), query, as_of)


def _judged(page: DecodedBundle | Lacking, query: Query, as_of: Instant) -> DecodedBundle | Lacking:
    if isinstance(page, Lacking):
        return page
    if page.next_link is not None:
        return Lacking("is only the first page of its search", page, page.next_link)
    if query.count is not None and _may_be_cut(page, query) and not _covers(page, query, as_of):
        return Lacking("is cut short: there may be more results than were sent")
    return page


def read_page(raw: Raw | bytes, query: Query) -> DecodedBundle | Lacking:
    """Return one answer to a query, whether or not another page follows."""
    try:
        page = decode_bundle(raw, unique=True)
    except FHIRError as fault:
        if _is_untyped(raw):
            return _wrong_type(query)
        raise MalformedAnswerError(str(fault)) from None
    return _checked(page, query, lambda: _kind_in(raw))


def _kind_in(raw: Raw | bytes) -> str | None:
    typed = _typed.decode(raw)
    return None if typed is None else typed.resource_type


def _checked(
    page: DecodedBundle, query: Query, kind: Callable[[], str | None]
) -> DecodedBundle | Lacking:
    """Return a page if it answers the query; ``kind`` says what it calls itself."""
    if page.outcomes and _failed(page.outcomes):
        return Lacking("is, or holds, an OperationOutcome: the search failed")
    if page.short:
        return Lacking(page.short)
    if _is_of_other_types(page, query):
        return _wrong_type(query)
    if len(page.resources) <= 1:
        return _if_of_right_type(kind(), page, query)
    return page


def _failed(outcomes: Iterable[OperationOutcome]) -> bool:
    """Say whether a server reports more than a remark; an outcome without issues is no remark."""
    return any(
        not outcome.issue
        or any(i.severity not in _HARMLESS or i.code in _NOT_ALL for i in outcome.issue)
        for outcome in outcomes
    )


def _if_of_right_type(
    kind: str | None, page: DecodedBundle, query: Query
) -> DecodedBundle | Lacking:
    """Tell an answer that holds little or nothing from one that is something else."""
    if kind is None or kind == "Bundle":
        return page
    if kind == "OperationOutcome":
        return Lacking("is an OperationOutcome: the search failed")
    if query.count is None and kind == query.resource:
        return page
    return _wrong_type(query)


def _wrong_type(query: Query) -> Lacking:
    wanted = query.resource if query.count is None else f"Bundle of {query.resource} resources"
    return Lacking(f"is no {wanted}")


def _is_untyped(raw: Raw | bytes) -> bool:
    """Tell an object that does not say what it is, such as ``{}``, from what is no FHIR at all."""
    try:
        typed = _typed.decode(raw)
        refuse_duplicate_keys(bytes(raw))  # the type may stand twice, once as null
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, FHIRError):
        return False
    return typed is not None and typed.resource_type is None


def _may_be_cut(page: DecodedBundle, query: Query) -> bool:
    """Say whether a page without a next link may yet not be all: some clients do not page."""
    return is_short(page.resources, page.troubles, page.total, query)


def is_short(
    resources: Iterable[UsedResource],
    troubles: Collection[Trouble],
    total: int | None,
    query: Query,
) -> bool:
    """Say whether a search without a further page may have more results than it gave.

    A total below what was given counts something else, and proves nothing; then a search is whole
    only if it gave fewer results than were asked for.
    """
    matches = _of_type(resources, query)
    if total is not None:
        found = distinct(matches, troubles)
        if total < 0 or total >= found:
            return total != found
    return query.count is not None and len(matches) + len(troubles) >= query.count


def _is_of_other_types(page: DecodedBundle, query: Query) -> bool:
    """Say whether there is something in an answer, and none of it is what was asked for."""
    if page.troubles or not (page.resources or page.others):
        return False
    expected = query.resource
    for resource in page.resources:
        kind = type(resource).__name__
        # a search for prescriptions may include the medications
        if kind == expected or (kind == "Medication" and expected.startswith(kind)):
            return False
    return True


def _covers(page: DecodedBundle, query: Query, as_of: Instant) -> bool:
    """Say whether the newest results, which is all there is, reach back past the window."""
    if query.window is None or page.troubles:
        return False
    starts: list[Instant] = []
    for resource in _of_type(page.resources, query):
        time = _time_of(resource)
        if time is None or (starts and time.start > starts[-1]):
            return False  # not sorted by date, so that what is missing need not be older
        starts.append(time.start)
        last = time.end
    return bool(starts) and last < query.window.before(as_of)


def _of_type(resources: Iterable[UsedResource], query: Query) -> list[UsedResource]:
    kind = USED_TYPES.get(query.resource)
    return [resource for resource in resources if type(resource) is kind]


def _time_of(resource: UsedResource) -> Time | None:
    match resource:
        case Observation():
            period = resource.effective_period
            text = resource.effective_date_time or resource.effective_instant
            text = text or (period.end if period else None)  # where it counts
        case Procedure():
            text, period = resource.performed_date_time, resource.performed_period
        case Encounter():
            text, period = None, resource.period
        case _:
            return None
    text = text or (period.start if period else None)
    try:
        return None if text is None else read_time(text)
    except NotUsedError:
        return None


def without_links(page: DecodedBundle) -> DecodedBundle:
    """Return a page whose next link has been followed."""
    return structs.replace(page, next_link=None)
