"""A request's body becomes a HookRequest, or a refusal that names the field and the cure.

Unknown fields are ignored, whatever they hold. Prefetch stays undecoded: only what was asked for
is looked at, later and once.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, defstruct

from cds_adapters.cds_hooks.hooks import Hook
from cds_adapters.cds_hooks.outcomes import IssueCode, RefusalError
from cds_adapters.fhir.decode import may_contain
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.resources import AnyResource
from cds_adapters.fhir.whole import lost_nothing

AS_OF = "org.cds-engine.as-of"
"""The request extension that sets the instant of one call, where a site allows it."""

T = TypeVar("T")

_is_id = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_is_reference = re.compile(r"[A-Z][A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64}").fullmatch
_is_token = re.compile(r"[\x21-\x7e]{1,16384}").fullmatch
_USERS = ("Practitioner/", "PractitionerRole/", "Patient/", "RelatedPerson/")


@dataclass(frozen=True, slots=True)
class Access:
    """Leave to read a FHIR server; the token lives as long as the call and is never shown."""

    server: str
    token: str = field(repr=False)
    expires_in: int = 0


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call, checked.

    Attributes:
        hook_instance: the client's UUID; another text is kept as a UUID made from it.
        lenient: what was let pass though it is not as the specification wants it.
        context: the hook's context as it came; draft orders are read from it leniently.
        access: None where the client gave no token.
        prefetch: key -> undecoded JSON.
        as_of: the instant that the request asks for, as text; None where it does not.
        decoded: key -> what prefetch holds for it, where that was decoded with the request;
            ``prefetch`` is empty then.
    """

    hook: str
    hook_instance: str
    patient_id: str
    context: Raw
    server: str | None
    access: Access | None
    prefetch: Mapping[str, Raw]
    as_of: str | None
    lenient: tuple[str, ...] = ()
    decoded: Mapping[str, AnyResource | None] | None = None


_ABSENT = Raw()


class _Wire(Struct, rename="camel", omit_defaults=True):
    hook: str
    hook_instance: str
    context: Raw
    fhir_server: str | None = None
    fhir_authorization: Raw = _ABSENT
    prefetch: dict[str, Raw] | None = None
    extension: dict[str, Raw] | None = None


class _Authorization(Struct):
    access_token: str
    token_type: str
    expires_in: int
    scope: str
    subject: str
    patient: str | None = None


class _Typed(Struct, rename="camel"):
    resource_type: str | None = None


_body = msgspec.json.Decoder(_Wire)
_fields = msgspec.json.Decoder(dict[str, Raw])


def read_request(
    data: bytes, hook: Hook, *, strict: bool = False, plain_http: bool = False
) -> HookRequest:
    """Check a body and return the request in it.

    Args:
        data: the body.
        hook: of the service that was called.
        strict: refuse a ``hookInstance`` that is no UUID.
        plain_http: accept a FHIR server without TLS.

    Raises:
        RefusalError: 400, naming the field.
    """
    wire = _decoded(_body, data, "the body")
    _refuse_duplicates(data, wire)
    return _checked(wire, hook, wire.prefetch or {}, None, strict=strict, plain_http=plain_http)


class RequestReader:
    """Reads the requests of one service, and what its prefetch keys hold in the same pass.

    A body in which everything is as it should be, as nearly all are, is decoded once and shown to
    give each key once. Any other is left to ``read_request``, which finds out what is wrong where.

    Args:
        hook: of the service.
        keys: the prefetch keys that it asks for.
    """

    def __init__(self, hook: Hook, keys: Sequence[str]) -> None:
        self._hook = hook
        self._keys = tuple((f"key_{number}", key) for number, key in enumerate(keys))
        self._wire = _decoder(tuple(keys))

    def read(self, data: bytes, *, strict: bool = False, plain_http: bool = False) -> HookRequest:
        """Return what ``read_request`` does, and raise the same."""
        try:
            wire = self._wire.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return read_request(data, self._hook, strict=strict, plain_http=plain_http)
        held = [(key, getattr(wire.prefetch, name, UNSET)) for name, key in self._keys]
        decoded = {key: body for key, body in held if body is not UNSET}
        contained = any(map(may_contain, decoded.values()))
        if not lost_nothing(data, wire, contained=contained):
            return read_request(data, self._hook, strict=strict, plain_http=plain_http)
        _refuse_inside(wire)
        return _checked(wire, self._hook, {}, decoded, strict=strict, plain_http=plain_http)


@lru_cache
def _decoder(keys: tuple[str, ...]) -> "msgspec.json.Decoder[_Wire]":
    """Return what decodes bodies with these prefetch keys; the hooks of a regime share it."""
    prefetch = defstruct(
        "Prefetch",
        [
            (f"key_{at}", AnyResource | None | UnsetType, msgspec.field(default=UNSET, name=key))
            for at, key in enumerate(keys)
        ],
        gc=False,
        omit_defaults=True,
    )
    fields = [("prefetch", prefetch | None, None)]
    wire = defstruct("Wire", fields, bases=(_Wire,), omit_defaults=True, gc=False)
    return msgspec.json.Decoder(wire)


def _checked(
    wire: _Wire,
    hook: Hook,
    prefetch: Mapping[str, Raw],
    decoded: Mapping[str, AnyResource | None] | None,
    *,
    strict: bool,
    plain_http: bool,
) -> HookRequest:
    if wire.hook != hook.name:
        problem = f"{_shown(wire.hook)} is not {hook.name}, the hook of this service"
        raise _refusal("value", "hook", f"{problem}; call the service of that hook instead")
    instance, lenient = _hook_instance(wire.hook_instance, strict=strict)
    context = _decoded(_fields, wire.context, "context")
    _check_context(context, hook)
    patient_id = _as(str, context["patientId"], "context.patientId")
    return HookRequest(
        hook=hook.name,
        hook_instance=instance,
        patient_id=patient_id,
        context=wire.context,
        server=_server(wire.fhir_server, plain_http=plain_http),
        access=_access(wire, patient_id),
        prefetch=prefetch,
        as_of=_as_of(wire.extension or {}),
        lenient=lenient,
        decoded=decoded,
    )


def _refuse_duplicates(data: bytes, wire: _Wire) -> None:
    """Refuse a key that stands twice; what prefetch holds is checked where it is decoded."""
    try:
        if not lost_nothing(data, wire):
            refuse_duplicate_keys(data)
            return
    except FHIRError as fault:
        raise _refusal("structure", "the body", str(fault)) from None
    _refuse_inside(wire)


def _refuse_inside(wire: _Wire) -> None:
    """Refuse a key that stands twice inside what is not decoded yet."""
    try:
        for part in (wire.context, wire.fhir_authorization):
            if memoryview(part):
                refuse_duplicate_keys(bytes(part))
    except FHIRError as fault:
        raise _refusal("structure", "the body", str(fault)) from None


def is_null(raw: Raw) -> bool:
    """Say whether the JSON is ``null``."""
    view = memoryview(raw)
    return len(view) == 4 and view.tobytes() == b"null"


def _refusal(code: IssueCode, place: str, problem: str) -> RefusalError:
    return RefusalError(400, code, f"{place}: {problem}")


def _decoded(decoder: "msgspec.json.Decoder[T]", data: bytes | Raw, place: str) -> T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as fault:
        raise _refusal("structure", place, _words(fault)) from None
    except RecursionError:
        raise _refusal("structure", place, "the JSON is nested too deeply; send it flat") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        words = "it is not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault)
        raise _refusal("structure", place, f"cannot be read as JSON: {words}") from None


def _words(fault: msgspec.ValidationError) -> str:
    """Say what a decoder found; it names types and fields, not values."""
    return str(fault).replace("`$.", "`").replace("Object missing", "the object lacks the")


def _as(kind: type[T], raw: Raw, place: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        words = _words(fault) if isinstance(fault, msgspec.ValidationError) else "is not JSON"
        raise _refusal("structure", place, words) from None


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")


def _hook_instance(text: str, *, strict: bool) -> tuple[str, tuple[str, ...]]:
    try:
        return str(uuid.UUID(text)), ()
    except ValueError:
        if strict or not text:
            cure = "send a new UUID with each call"
            raise _refusal("value", "hookInstance", f"is no UUID; {cure}") from None
    # Another text may say anything, so that it must not reach a log or the audit as it is.
    return str(uuid.uuid5(uuid.NAMESPACE_OID, text)), ("hookInstance is no UUID",)


def _server(url: str | None, *, plain_http: bool) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    if scheme not in {"http", "https"} or not host:
        problem = "is no absolute URL of a FHIR server; write https://host/path"
        raise _refusal("value", "fhirServer", problem)
    if scheme == "http" and not plain_http:
        problem = "is not https, so patient data would travel in the clear; use TLS"
        raise _refusal("security", "fhirServer", problem)
    return url


def _access(wire: _Wire, patient_id: str) -> Access | None:
    if not memoryview(wire.fhir_authorization) or is_null(wire.fhir_authorization):
        return None
    if wire.fhir_server is None:
        problem = "stands without fhirServer, so the token has no server; send both or neither"
        raise _refusal("invariant", "fhirAuthorization", problem)
    grant = _as(_Authorization, wire.fhir_authorization, "fhirAuthorization")
    if grant.token_type.lower() != "bearer":
        raise _refusal("value", "fhirAuthorization.token_type", "is not Bearer, the only type")
    if _is_token(grant.access_token) is None:
        problem = "is empty or has characters that no header can carry"
        raise _refusal("value", "fhirAuthorization.access_token", problem)
    if grant.patient is not None and grant.patient.removeprefix("Patient/") != patient_id:
        problem = "is not context.patientId, so the token is for somebody else's record"
        raise RefusalError(
            400, "invariant", f"fhirAuthorization.patient: {problem}", security="token-of-another"
        )
    return Access(wire.fhir_server, grant.access_token, grant.expires_in)


def _as_of(extension: Mapping[str, Raw]) -> str | None:
    raw = extension.get(AS_OF)
    return None if raw is None else _as(str, raw, f"extension.{AS_OF}")


def _check_context(context: Mapping[str, Raw], hook: Hook) -> None:
    for wanted in hook.fields:
        raw = context.get(wanted.name)
        place = f"context.{wanted.name}"
        if raw is not None and not is_null(raw):
            _CHECKS[wanted.type](raw, place)
        elif wanted.required:
            raise _refusal("required", place, f"is missing; {hook.name} requires it")


def _check_id(raw: Raw, place: str) -> None:
    if _is_id(_as(str, raw, place)) is None:
        problem = (
            "is no FHIR id (1 to 64 letters, digits, - and .); send the id alone, no reference"
        )
        raise _refusal("value", place, problem)


def _check_user(raw: Raw, place: str) -> None:
    user = _as(str, raw, place)
    if _is_reference(user) is None or not user.startswith(_USERS):
        kinds = ", ".join(f"{kind}id" for kind in _USERS)
        raise _refusal("value", place, f"is none of {kinds}")


def _check_reference(raw: Raw, place: str) -> None:
    if _is_reference(_as(str, raw, place)) is None:
        raise _refusal("value", place, "is no reference; write it as Type/id")


def _check_references(raw: Raw, place: str) -> None:
    # Some clients write absolute references; what they point to is found out leniently.
    if not all(_as(list[str], raw, place)):
        raise _refusal("value", place, "holds an empty reference; write each as Type/id")


def _check_bundle(raw: Raw, place: str) -> None:
    if _as(_Typed, raw, place).resource_type != "Bundle":
        raise _refusal("value", place, "is no Bundle; its resourceType says so")


def _check_tasks(raw: Raw, place: str) -> None:
    _as(list[dict[str, Any]], raw, place)


_CHECKS = {
    "id": _check_id,
    "user": _check_user,
    "reference": _check_reference,
    "references": _check_references,
    "bundle": _check_bundle,
    "tasks": _check_tasks,
}
