"""Whatever is not a card is said in an OperationOutcome: what was found, why it stops us, the cure.

Diagnostics name keys, fields and services, never a patient's values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import msgspec

from cds_engine.errors import CDSError

IssueCode = Literal[
    "structure", "required", "value", "invariant", "security", "not-found", "not-supported",
    "too-long", "incomplete", "transient", "no-store", "exception", "timeout", "throttled",
]  # fmt: skip
"""The codes of FHIR's IssueType value set that are used here."""

JSON = "application/json"
FHIR_JSON = "application/fhir+json"
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over HTTP."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)


class RefusalError(CDSError):
    """A call that gets no card, with the HTTP status and the words that say why.

    Attributes:
        audited: True where the call must leave an audit record although it got no card.
        security: the name of the security event it is, or empty.
    """

    def __init__(
        self,
        status: int,
        code: IssueCode,
        *diagnostics: str,
        audited: bool = False,
        security: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        self.status = status
        self.code: IssueCode = code
        self.diagnostics = diagnostics
        self.audited = audited or bool(security)
        self.security = security
        self.headers = headers
        super().__init__("; ".join(diagnostics))

    def reply(self, decision_id: str = "") -> Reply:
        """Return the HTTP answer; the id leads to the audit record, where there is one."""
        body = operation_outcome(self.code, self.diagnostics, decision_id=decision_id)
        return Reply(self.status, body, FHIR_JSON, self.headers)


def operation_outcome(
    code: IssueCode,
    diagnostics: tuple[str, ...],
    *,
    severity: Literal["error", "warning"] = "error",
    decision_id: str = "",
) -> bytes:
    """Return the JSON of an OperationOutcome with one issue for each diagnostic.

    >>> operation_outcome("required", ("hook is missing",))
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required",\
"diagnostics":"hook is missing"}]}'
    """
    issues = [{"severity": severity, "code": code, "diagnostics": words} for words in diagnostics]
    named = {"id": decision_id} if decision_id else {}
    return msgspec.json.encode({"resourceType": "OperationOutcome", **named, "issue": issues})
