"""The published hooks are data: what their context holds, and what a template may ask of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cds_engine.errors import CDSError

FieldType = Literal["id", "user", "reference", "references", "bundle", "tasks"]


@dataclass(frozen=True, slots=True)
class ContextField:
    """One field of a hook's context.

    Attributes:
        token: whether a prefetch template may use it, as ``{{context.name}}``.
    """

    name: str
    type: FieldType
    required: bool = True
    token: bool = True


@dataclass(frozen=True, slots=True)
class Hook:
    """A moment in a clinician's work at which a service is called.

    Attributes:
        version: of the published definition.
        when: the moment, in words that complete "asked when ...".
        orders: whether draft orders stand in the context.
    """

    name: str
    version: str
    when: str
    fields: tuple[ContextField, ...]

    @property
    def orders(self) -> bool:
        """Whether the context holds draft orders."""
        return any(field.name == "draftOrders" for field in self.fields)


class HookError(CDSError):
    """A hook definition that cannot be served."""


_USER = ContextField("userId", "user")
_PATIENT = ContextField("patientId", "id")
_ENCOUNTER = ContextField("encounterId", "id", required=False)
_THE_ENCOUNTER = ContextField("encounterId", "id")
_SELECTIONS = ContextField("selections", "references", token=False)
_DRAFTS = ContextField("draftOrders", "bundle", token=False)

_PUBLISHED = (
    Hook("patient-view", "1.0", "a patient's record is opened", (_USER, _PATIENT, _ENCOUNTER)),
    Hook(
        "order-select",
        "1.0",
        "an order is being chosen",
        (_USER, _PATIENT, _ENCOUNTER, _SELECTIONS, _DRAFTS),
    ),
    Hook("order-sign", "1.0", "orders are signed", (_USER, _PATIENT, _ENCOUNTER, _DRAFTS)),
    Hook(
        "order-dispatch",
        "1.1",
        "an order is sent to whoever carries it out",
        (
            _PATIENT,
            ContextField("dispatchedOrders", "references"),
            ContextField("performer", "reference"),
            ContextField("fulfillmentTasks", "tasks", required=False, token=False),
        ),
    ),
    Hook("encounter-start", "1.0", "an encounter begins", (_USER, _PATIENT, _THE_ENCOUNTER)),
    Hook("encounter-discharge", "1.0", "a patient leaves", (_USER, _PATIENT, _THE_ENCOUNTER)),
    Hook(
        "appointment-book",
        "1.0",
        "an appointment is made",
        (_USER, _PATIENT, _ENCOUNTER, ContextField("appointments", "bundle", token=False)),
    ),
)

HOOKS: Mapping[str, Hook] = MappingProxyType({hook.name: hook for hook in _PUBLISHED})
"""Every published hook by its name."""

SERVED: tuple[Hook, ...] = tuple(
    HOOKS[name]
    for name in (
        "patient-view",
        "order-select",
        "order-sign",
        "encounter-start",
        "encounter-discharge",
    )
)
"""The hooks that are served unless others are asked for."""

USER_TOKENS = frozenset(
    {"userPractitionerId", "userPractitionerRoleId", "userPatientId", "userRelatedPersonId"}
)

_NAME = re.compile(r"(?:[a-z0-9-]+\.){2,}[a-z]+(?:-[a-z]+)+|[a-z]+(?:-[a-z]+)+")


def checked_hooks(hooks: Iterable[Hook]) -> tuple[Hook, ...]:
    """Return the hooks, or say which of them cannot be served.

    A private hook, which is not in ``HOOKS``, carries its owner's reversed domain.
    """
    found = tuple(hooks)
    for hook in found:
        if _NAME.fullmatch(hook.name) is None:
            raise HookError(
                f"{hook.name!r} is no name of a hook; write it as noun-verb, a private one with "
                "its owner's domain before it: org.example.patient-move"
            )
        if hook.name not in HOOKS and "." not in hook.name:
            raise HookError(
                f"{hook.name!r} is not a published hook; put the owner's domain before a private "
                f"one: org.example.{hook.name}"
            )
        if _PATIENT not in hook.fields:
            raise HookError(f"{hook.name!r} has no patientId, so there is nobody to advise on")
    if len({hook.name for hook in found}) < len(found):
        raise HookError("a hook is listed twice; its service id would be, too")
    return found
