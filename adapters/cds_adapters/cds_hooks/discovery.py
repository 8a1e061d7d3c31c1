"""The discovery document is written once, when the service starts, and has one digest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from cds_adapters.cds_hooks.cards import CardRenderer
from cds_adapters.cds_hooks.hooks import SERVED, Hook, checked_hooks
from cds_adapters.cds_hooks.outcomes import JSON, Reply
from cds_adapters.cds_hooks.prefetch import PLAIN_SYSTEM, Query, RecordSystem, prefetch_queries
from cds_adapters.cds_hooks.request import RequestReader
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.regime import Regime

SPECIFICATION = "2.0.1"
"""The version of CDS Hooks that is implemented."""

RULE = "org.cds-engine.rule"


@dataclass(frozen=True, slots=True)
class Service:
    """One regime at one hook.

    Attributes:
        of_patient: the variables that are read from the Patient itself.
        reader: reads its requests.
    """

    id: str
    hook: Hook
    regime: Regime
    queries: tuple[Query, ...]
    cards: CardRenderer
    of_patient: tuple[str, ...] = field(default=())
    reader: RequestReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keys = [query.key for query in self.queries]
        object.__setattr__(self, "reader", RequestReader(self.hook, keys))

    @property
    def bundle(self) -> RuleBundle:
        """The rule bundle that decides."""
        return self.regime.bundle


@dataclass(frozen=True, slots=True)
class Offer:
    """What is served beyond the regimes.

    Attributes:
        hooks: at which hooks; those of the specification, or a site's own.
        system: what the site's record system can do.
    """

    hooks: tuple[Hook, ...] = SERVED
    system: RecordSystem = PLAIN_SYSTEM


PLAIN_OFFER = Offer()


def services_of(
    regimes: Sequence[Regime], site: SiteMap, offer: Offer = PLAIN_OFFER
) -> dict[str, Service]:
    """Return service id -> service; a regime that orders nothing has none at order hooks."""
    found: dict[str, Service] = {}
    for regime in sorted(regimes, key=lambda regime: regime.bundle.regime):
        bundle = regime.bundle
        queries = prefetch_queries(bundle, site, offer.system)
        cards = CardRenderer(bundle)
        orders = any(action.order for action in bundle.actions.values())
        for hook in checked_hooks(offer.hooks):
            if hook.orders and not orders:
                continue
            service_id = f"{bundle.regime}-{hook.name}"
            found[service_id] = Service(
                service_id, hook, regime, queries, cards, queries[0].variables
            )
    return found


class Discovery:
    """The answer to ``GET /cds-services``: the same bytes for the same rules."""

    def __init__(self, services: Sequence[Service]) -> None:
        document = {"services": [_entry(service) for service in services]}
        self.body = msgspec.json.encode(document)
        self.etag = f'"{sha256(self.body).hexdigest()[:32]}"'

    def reply(self, if_none_match: str | None) -> Reply:
        """Return the document, or 304 where the client has it already."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        held = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
        if self.etag in held or "*" in held:
            return Reply(304, b"", JSON, headers)
        return Reply(200, self.body, JSON, headers)


def _entry(service: Service) -> dict[str, Any]:
    bundle = service.bundle
    about = bundle.document.description or bundle.document.title
    return {
        "hook": service.hook.name,
        "title": bundle.document.title,
        "description": f"{about.strip()} Asked when {service.hook.when}.",
        "id": service.id,
        "prefetch": {query.key: query.template for query in service.queries},
        "usageRequirements": _requirements(service),
        "version": SPECIFICATION,
        "hookVersion": service.hook.version,
        "extension": {
            RULE: {"regime": bundle.regime, "version": bundle.version, "digest": bundle.digest}
        },
    }


def _requirements(service: Service) -> str:
    optional = [query.key for query in service.queries if not query.required]
    words = (
        "Every prefetch key, or fhirServer with fhirAuthorization. A search without results is an "
        "empty Bundle; a key that could not be filled is left out."
    )
    if optional:
        words += (
            f" Without {', '.join(optional)} the call is answered, but nothing is decided that "
            "rests on them."
        )
    return words
