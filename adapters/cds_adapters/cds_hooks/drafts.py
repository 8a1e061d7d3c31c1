"""The draft orders of an order hook, read leniently: a field that is missing is no error."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cds_adapters.fhir.decode import DecodedBundle
from cds_adapters.fhir.references import local_reference
from cds_adapters.fhir.resources import Medication
from cds_engine.vocabulary.code import short_code

ORDER_HOOKS = frozenset({"order-select", "order-sign"})
"""Hooks that carry draft orders."""

_WITHDRAWN = frozenset({"cancelled", "stopped", "revoked", "entered-in-error", "completed"})
_NO_CODES: Mapping[str, tuple[str, ...]] = {}

Products = Mapping[str, Sequence[Mapping[str, Any]]]
"""``Medication/id``, or an address -> the concepts that say what the product is."""

_NO_PRODUCTS: Products = {}
_NOT_FOUND = "it refers to a product that was not sent and could not be fetched"
_NO_CODE = "what it orders is given in words, or by a code without its system, or not at all"


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft order.

    Attributes:
        reference: ``Type/id`` of the draft; empty where it has no id.
        resource_type: its FHIR type.
        codes: what is ordered, ``system|code``, local codes translated besides.
        text: what is ordered, in the client's words; may hold anything.
        do_not_perform: True where it asks that something is *not* done.
        selected: False where the clinician did not select it just now (order-select).
        unread: why nobody can tell what it orders, in words without record values; empty if one
            can.
    """

    reference: str
    resource_type: str
    codes: tuple[str, ...]
    text: str = ""
    do_not_perform: bool = False
    selected: bool = True
    unread: str = ""


def products_of(body: DecodedBundle) -> Products:
    """Return the products among what was gathered, by every name that a draft may use."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for resource in body.resources:
        if isinstance(resource, Medication):
            concept = msgspec.json.decode(msgspec.json.encode(resource.code))
            found.setdefault(f"Medication/{resource.id}", []).extend(_objects(concept))
    return found | {url: found[name] for url, name in body.urls.items() if name in found}


def products_wanted(context: Mapping[str, Any]) -> list[str]:
    """Return the references to products that the draft orders do not bring with them."""
    bundle = _Bundle(context.get("draftOrders"))
    return [
        target
        for order in bundle.all
        if (target := _product(order)) and not bundle.targets(order, target)
    ]


def read_drafts(
    context: Mapping[str, Any],
    hook: str,
    codes: Mapping[str, tuple[str, ...]] = _NO_CODES,
    products: Products = _NO_PRODUCTS,
) -> list[Draft]:
    """Return the prescriptions and service requests among a hook's draft orders.

    Orders that were withdrawn are left out. For order-select only what ``selections`` names is
    selected; where it names nothing that is there, everything counts as selected, so that a client
    that writes its references differently does not silence the safeguards.

    Args:
        context: the hook's context as it came.
        hook: the hook's name.
        codes: local code -> the standard codes it stands for, both ``system|code``.
        products: those that came with the patient's data, or were fetched.
    """
    bundle = _Bundle(context.get("draftOrders"))
    chosen = _selections(context) if hook == "order-select" else None
    if chosen is not None and not any(bundle.names(i) & chosen for i in range(len(bundle.all))):
        chosen = None
    drafts = []
    for index, resource in enumerate(bundle.all):
        kind = resource.get("resourceType")
        if kind not in ("MedicationRequest", "ServiceRequest"):
            continue
        if _text(resource.get("status")) in _WITHDRAWN:
            continue
        concepts, resolved = bundle.concepts(resource, products)
        found = tuple(dict.fromkeys(_codes(concepts, codes)))
        readable = any(not code.startswith("|") for code in found)
        drafts.append(
            Draft(
                _reference(resource),
                kind,
                found,
                next((text for text in map(_concept_text, concepts) if text), ""),
                resource.get("doNotPerform") is True,
                chosen is None or bool(bundle.names(index) & chosen),
                _NOT_FOUND if not resolved else "" if readable else _NO_CODE,
            )
        )
    return drafts


class _Bundle:
    """The resources of a Bundle, with the names by which others may point to them."""

    def __init__(self, content: object) -> None:
        entries = _objects(_object(content).get("entry"))
        held = [(_object(e.get("resource")), e.get("fullUrl")) for e in entries]
        self.all = [resource for resource, _ in held if resource]
        self._urls = [url for resource, url in held if resource]

    def names(self, index: int) -> set[str]:
        """Return every reference that can mean a resource."""
        resource, url = self.all[index], self._urls[index]
        found = {_reference(resource), url if isinstance(url, str) else ""}
        found.add(_text(resource.get("id")))
        return found - {""}

    def concepts(
        self, order: Mapping[str, Any], products: Products
    ) -> tuple[tuple[Mapping[str, Any], ...], bool]:
        """Return what an order is for, and whether the product it refers to was found.

        That is its own words and those of the product.
        """
        field = "code" if order["resourceType"] == "ServiceRequest" else "medicationCodeableConcept"
        own = _objects(order.get(field))
        target = _product(order)
        if not target:
            return tuple(own), True
        held = self.targets(order, target)
        if held or target.startswith("#"):
            concepts = [concept for item in held for concept in _objects(item.get("code"))]
            return (*own, *concepts), bool(held)
        local = local_reference(target, "Medication") or target
        product = products.get(target, products.get(local))
        return (*own, *(product or ())), product is not None

    def targets(self, order: Mapping[str, Any], target: str) -> list[Mapping[str, Any]]:
        """Return what a reference means among what an order contains or comes with."""
        if target.startswith("#"):
            held = _objects(order.get("contained"))
            return [item for item in held if item.get("id") == target[1:]]
        meant = {target, local_reference(target, "Medication") or target}
        return [one for i, one in enumerate(self.all) if meant & self.names(i)]


def _product(order: Mapping[str, Any]) -> str:
    return _text(_object(order.get("medicationReference")).get("reference"))


def _selections(context: Mapping[str, Any]) -> set[str] | None:
    named = context.get("selections")
    if not isinstance(named, list):
        return None
    texts = [_text(item) for item in named]
    # some clients write absolute references
    return {*texts, *("/".join(text.split("/")[-2:]) for text in texts)} - {""}


def _codes(
    concepts: tuple[Mapping[str, Any], ...], local: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for concept in concepts:
        for coding in _objects(concept.get("coding")):
            bare = _text(coding.get("code"))
            if bare:
                code = short_code(_text(coding.get("system")), bare)
                yield code
                yield from local.get(code, ())


def _concept_text(concept: Mapping[str, Any]) -> str:
    texts = [concept.get("text"), *(c.get("display") for c in _objects(concept.get("coding")))]
    return next((text for text in map(_text, texts) if text), "")


def _reference(resource: Mapping[str, Any]) -> str:
    kind, own = _text(resource.get("resourceType")), _text(resource.get("id"))
    return f"{kind}/{own}" if kind and own else ""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list; an object by itself counts as a list of one."""
    many = value if isinstance(value, list) else [value]
    return [item for item in many if isinstance(item, dict)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
