"""A call ends in a committed audit record and its cards, or in an HTTP error; never in silence."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response

from cds_adapters.cds_hooks.audited import AuditLog, Call, decision_record, error_record
from cds_adapters.cds_hooks.cards import CardContext, Rendered
from cds_adapters.cds_hooks.cors import PATH, HookCors
from cds_adapters.cds_hooks.discovery import PLAIN_OFFER, Discovery, Offer, Service, services_of
from cds_adapters.cds_hooks.drafts import Draft, products_of, products_wanted, read_drafts
from cds_adapters.cds_hooks.feedback import FeedbackLog, feedback_reply, read_feedback
from cds_adapters.cds_hooks.gather import Gathered, gather, record_from, refuse_other_drafts
from cds_adapters.cds_hooks.logs import error_place, log_event
from cds_adapters.cds_hooks.outcomes import RefusalError, Reply
from cds_adapters.cds_hooks.request import AS_OF, HookRequest
from cds_adapters.cds_hooks.site import site_limits, site_map
from cds_adapters.cds_hooks.straight import StraightCalls
from cds_adapters.cds_hooks.transport import read_body, response
from cds_adapters.cds_hooks.upstream import FhirSource, Source
from cds_adapters.clock import Clock, InstantError, parse_instant, system_clock
from cds_adapters.site import Site
from cds_engine.decide.decision import Decision
from cds_engine.decide.regime import Regime
from cds_engine.history.value import History
from cds_engine.vocabulary.time import iso

DECISION = "org.cds-engine.decision"

MOST_AT_ONCE = 256
"""Calls that are worked on side by side; more are told to come again."""


def new_uuid() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())


class HookService:
    """CDS Hooks for a set of regimes.

    Args:
        regimes: the newest version of each.
        audit: where every decision is committed before it is answered.
        feedback: where feedback is kept.
        site: the settings.
        clock: says now; frozen where ``site.as_of`` is set.
        source: where missing data is fetched from; by default the servers that the site lists.
        offer: the hooks that are served, and what the site's record system can do.
    """

    def __init__(
        self,
        regimes: Sequence[Regime],
        audit: AuditLog,
        feedback: FeedbackLog,
        site: Site,
        clock: Clock,
        *,
        source: Source | None = None,
        offer: Offer = PLAIN_OFFER,
    ) -> None:
        self.site = site
        self.new_id: Callable[[], str] = new_uuid
        self._audit = audit
        self._feedback = feedback
        self._clock = clock
        self._source = source or FhirSource(
            site.fhir_servers, site_limits(site), plain_http=site.allow_plain_http
        )
        self._map = site_map(site)
        self._services = services_of(regimes, self._map, offer)
        self._discovery = Discovery(list(self._services.values()))
        self._busy = 0

    def discover(self, if_none_match: str | None = None) -> Reply:
        """Answer ``GET /cds-services``."""
        return self._discovery.reply(if_none_match)

    async def call(self, service_id: str, read: Callable[[], Awaitable[bytes]]) -> Reply:
        """Answer ``POST /cds-services/{id}``; ``read`` brings the body."""
        started = time.perf_counter_ns()
        service = self._services.get(service_id)
        if service is None:
            return self._unknown()
        call = self._new_call(service, started)
        return await self._guarded(call, partial(self._answer, service, call, read))

    async def take_feedback(self, service_id: str, read: Callable[[], Awaitable[bytes]]) -> Reply:
        """Answer ``POST /cds-services/{id}/feedback``."""
        service = self._services.get(service_id)
        if service is None:
            return self._unknown()
        call = self._new_call(service, time.perf_counter_ns())
        return await self._guarded(call, partial(self._keep_feedback, service_id, read))

    async def close(self) -> None:
        """Let go of connections to FHIR servers; call it when the application ends."""
        await self._source.close()

    def _unknown(self) -> Reply:
        known = ", ".join(self._services) or "none"
        return RefusalError(
            404, "not-found", f"there is no such service; there is: {known}"
        ).reply()

    def _new_call(self, service: Service, started: int) -> Call:
        frozen = self.site.as_of is not None
        now = self._clock()
        return Call(
            decision_id=self.new_id(),
            service=service.id,
            regime=service.bundle.regime,
            version=service.bundle.version,
            hook=service.hook.name,
            started=started,
            at=system_clock() if frozen else now,
            as_of=now,
            frozen=frozen,
        )

    async def _guarded(self, call: Call, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Do the work within the deadline; whatever goes wrong becomes an HTTP error."""
        if self._busy >= MOST_AT_ONCE:
            _log_call("refused", call, "error", 503)
            return _overloaded().reply()
        self._busy += 1
        try:
            async with asyncio.timeout(self.site.call_deadline):
                return await work()
        except RefusalError as refusal:
            return await self._refused(call, refusal)
        except TimeoutError:
            return await self._refused(call, _too_late())
        except Exception as error:  # noqa: BLE001 - the one place where faults of ours end as 500
            return await self._failed(call, error)
        finally:
            self._busy -= 1

    async def _answer(
        self, service: Service, call: Call, read: Callable[[], Awaitable[bytes]]
    ) -> Reply:
        body = await read()
        if not self._audit.healthy():
            raise _no_audit()
        request = service.reader.read(
            body, strict=self.site.strict_requests, plain_http=self.site.allow_plain_http
        )
        call.hook_instance = request.hook_instance
        for note in request.lenient:
            log_event(logging.WARNING, "lenient", decision=call.decision_id, note=note)
        self._set_instant(call, request)
        context = self._order_context(service, request)
        wanted = products_wanted(context) if context else []
        gathered = await gather(request, service.queries, call.as_of, self._source, wanted)
        drafts = self._drafts(service, context, gathered)
        at = call.as_of, service.regime.horizons(call.as_of)
        record = record_from(gathered, request.patient_id, self._map, service.of_patient, at)
        history, decision = service.regime.decide(record, call.as_of)
        rendered = service.cards.render(decision, history, self._context(call, request), drafts)
        await self._commit(call, history, decision, rendered)
        _log_call("decided", call, decision.outcome, 200)
        return Reply(200, _encoded(call, decision, rendered))

    async def _keep_feedback(self, service_id: str, read: Callable[[], Awaitable[bytes]]) -> Reply:
        items, faults = read_feedback(await read(), service_id, system_clock())
        try:
            await self._feedback.store_async(items)
        except Exception as error:  # any fault of a store means: not known to be kept
            words = "the feedback could not be stored; send it again later"
            log_event(logging.ERROR, "feedback-lost", error=error_place(error))
            raise RefusalError(503, "no-store", words, headers={"Retry-After": "5"}) from error
        return feedback_reply(faults)

    def _set_instant(self, call: Call, request: HookRequest) -> None:
        if request.as_of is None:
            return
        place = f"extension.{AS_OF}"
        if not self.site.allow_as_of:
            problem = "this service does not let a request set its instant; leave it out"
            raise RefusalError(400, "not-supported", f"{place}: {problem}")
        try:
            call.as_of = parse_instant(request.as_of)
        except InstantError as error:
            raise RefusalError(400, "value", f"{place}: {error}") from None
        call.frozen = True

    def _order_context(self, service: Service, request: HookRequest) -> dict[str, Any] | None:
        """Return the context of an order hook, checked to be the patient's; None for others."""
        if not service.hook.orders:
            return None
        context: dict[str, Any] = msgspec.json.decode(request.context)
        refuse_other_drafts(context, request.patient_id, request.server)
        return context

    def _drafts(
        self, service: Service, context: dict[str, Any] | None, gathered: Gathered
    ) -> list[Draft] | None:
        """Read the drafts; what they order may stand in the patient's data."""
        if context is None:
            return None
        products = products_of(gathered.body)
        return read_drafts(context, service.hook.name, self._map.codes, products)

    def _context(self, call: Call, request: HookRequest) -> CardContext:
        return CardContext(
            decision_id=call.decision_id,
            patient_id=request.patient_id,
            base_url=self.site.public_url,
            hook=call.hook,
            frozen=call.frozen,
            show_abstentions=self.site.show_abstentions,
            uuid=self.new_id,
        )

    async def _commit(
        self, call: Call, history: History, decision: Decision, rendered: Rendered
    ) -> None:
        """Store the record and return after the commit; no audit, no card."""
        record = decision_record(call, history, decision, rendered.receipts, _since(call.started))
        try:
            await self._audit.append_async(record)
        except Exception as error:
            # TimeoutError is not among them: the deadline cancels, which is no Exception.
            place = error_place(error)
            log_event(logging.ERROR, "audit-failed", decision=call.decision_id, error=place)
            raise _no_audit() from error

    async def _refused(self, call: Call, refusal: RefusalError) -> Reply:
        if refusal.security:
            log_event(logging.WARNING, "security", decision=call.decision_id, kind=refusal.security)
        if not refusal.audited:
            _log_call("refused", call, "error", refusal.status)
            return refusal.reply()
        kind = refusal.security or refusal.code
        await self._record_error(call, refusal.status, f"refused: {kind}")
        return refusal.reply(call.decision_id)

    async def _failed(self, call: Call, error: Exception) -> Reply:
        place = error_place(error)
        log_event(logging.ERROR, "failed", decision=call.decision_id, error=place)
        await self._record_error(call, 500, place)
        words = (
            "the service failed and gives no advice; this is not the same as nothing to advise. "
            "Its operators find the reason under this outcome's id"
        )
        return RefusalError(500, "exception", words).reply(call.decision_id)

    async def _record_error(self, call: Call, status: int, error: str) -> None:
        """Record a call without a card; if that fails too the call is an error all the same."""
        _log_call("no-card", call, "error", status)
        record = error_record(call, status, error, _since(call.started))
        try:
            await self._audit.append_async(record)
        except Exception as fault:  # noqa: BLE001 - no card is at stake, and the log has it
            place = error_place(fault)
            log_event(logging.ERROR, "audit-failed", decision=call.decision_id, error=place)


def add_cds_hooks(app: FastAPI, service: HookService) -> None:
    """Give an application the CDS Hooks endpoints, and CORS where a site has origins."""
    site = service.site

    def body_of(request: Request) -> Callable[[], Awaitable[bytes]]:
        return partial(read_body, request, site.max_body, site.call_deadline / 2)

    async def discover(request: Request) -> Response:
        if request.method in {"GET", "HEAD"}:
            return response(service.discover(request.headers.get("if-none-match")))
        return _no_such_method(request, "GET, HEAD, OPTIONS")

    async def call(request: Request) -> Response:
        if request.method != "POST":
            return _no_such_method(request, "POST, OPTIONS")
        return response(await service.call(request.path_params["id"], body_of(request)))

    async def feedback(request: Request) -> Response:
        if request.method != "POST":
            return _no_such_method(request, "POST, OPTIONS")
        return response(await service.take_feedback(request.path_params["id"], body_of(request)))

    routes = ((PATH, discover), (f"{PATH}/{{id}}", call), (f"{PATH}/{{id}}/feedback", feedback))
    for path, endpoint in routes:
        # Without the slash and with it: a redirect would break a browser's preflight.
        for spelling in (path, f"{path}/"):
            app.add_api_route(
                spelling, endpoint, methods=_METHODS, response_model=None, include_in_schema=False
            )
    app.add_middleware(
        StraightCalls,
        answer=service.call,
        limit=site.max_body,
        patience=site.call_deadline / 2,
    )
    if site.cors_origins:
        app.add_middleware(HookCors, origins=site.cors_origins)


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _no_such_method(request: Request, allowed: str) -> Response:
    headers = {"Allow": allowed}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    words = f"{request.method} is not answered here; allowed: {allowed}"
    return response(RefusalError(405, "not-supported", words, headers=headers).reply())


def _encoded(call: Call, decision: Decision, rendered: Rendered) -> bytes:
    said = {
        "id": call.decision_id,
        "outcome": decision.outcome,
        "stage": decision.stage,
        "action": decision.action,
        "regime": decision.regime,
        "version": decision.version,
        "digest": decision.digest,
        "as_of": iso(decision.as_of),
    }
    extension = {DECISION: {name: value for name, value in said.items() if value is not None}}
    return msgspec.json.encode({"cards": rendered.cards, "extension": extension})


def _log_call(event: str, call: Call, outcome: str, status: int) -> None:
    """Write the one line of a call; ``duration`` is in microseconds."""
    log_event(
        logging.INFO,
        event,
        decision=call.decision_id,
        service=call.service,
        outcome=outcome,
        status=status,
        duration=_since(call.started),
    )


def _since(started: int) -> int:
    return (time.perf_counter_ns() - started) // 1_000


def _no_audit() -> RefusalError:
    words = "the decision could not be recorded, and without a record there is no card; call again"
    return RefusalError(503, "no-store", words, headers={"Retry-After": "5"})


def _too_late() -> RefusalError:
    words = "the call could not be answered in time; call again"
    return RefusalError(503, "timeout", words, audited=True, headers={"Retry-After": "1"})


def _overloaded() -> RefusalError:
    words = "too many calls are being worked on; call again in a second"
    return RefusalError(503, "throttled", words, headers={"Retry-After": "1"})
