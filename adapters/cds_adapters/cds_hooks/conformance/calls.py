"""Sections A, D and G: how a service answers good and bad calls."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from cds_adapters.cds_hooks.conformance.cards import check_cards
from cds_adapters.cds_hooks.conformance.report import (
    Report,
    empty_places,
    json_of,
    status_fault,
)
from cds_adapters.cds_hooks.hooks import HOOKS

PATIENT = "conformance-nobody"
CANARY = "conformance-canary-token"
SLOW = 0.5
_UNPROCESSABLE = (400, 422)

_VALUES: dict[str, Any] = {
    "id": "conformance-1",
    "user": "Practitioner/conformance-1",
    "reference": "Organization/conformance-1",
    "references": ["ServiceRequest/conformance-1"],
    "bundle": {"resourceType": "Bundle", "type": "collection", "entry": []},
    "tasks": [],
}


def check_calls(report: Report, url: str, client: httpx.Client, service: dict[str, Any]) -> None:
    """Call one service in every way."""
    if service["hook"] in HOOKS:
        _Caller(report, f"{url}/{service['id']}", client, service).check()
    else:
        report.skip(14, "each advertised id can be called", f"{service['hook']} is not known here")


class _Caller:
    """One service, called again and again with one thing changed."""

    def __init__(
        self, report: Report, url: str, client: httpx.Client, service: dict[str, Any]
    ) -> None:
        self.report = report
        self.url = url
        self.client = client
        self.place = str(service["id"])
        self.hook = HOOKS[service["hook"]]
        self.keys = list(service.get("prefetch") or ())

    def body(self, **changes: Any) -> dict[str, Any]:
        """Return a good request about a patient of whom nothing is known."""
        context = {field.name: _VALUES[field.type] for field in self.hook.fields if field.required}
        good = {
            "hook": self.hook.name,
            "hookInstance": str(uuid.uuid4()),
            "context": {**context, "patientId": PATIENT},
            "prefetch": dict.fromkeys(self.keys),
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not _GONE}

    def post(self, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        return self.client.post(self.url, **options)

    def note(self, line: int, what: str, faults: Iterable[str]) -> None:
        self.report.check(line, what, (f"{self.place}: {fault}" for fault in faults))

    def expect(self, line: int, what: str, answer: httpx.Response, *wanted: int) -> None:
        self.note(line, what, status_fault(answer, wanted, "answered"))

    def check(self) -> None:
        """Check every line."""
        self.good_call()
        self.transport()
        self.preflight()
        self.required_fields()
        self.contradictions()
        self.prefetch_states()

    def good_call(self) -> None:
        answer = self.post(self.body())
        self.expect(14, "each advertised id can be called", answer, 200, 412)
        slow = answer.elapsed.total_seconds()
        late = [f"{slow:.2f} s"] if slow > SLOW else []
        self.note(64, "an answer comes within half a second", late)
        if answer.status_code == 200:
            self.success(answer)
        else:
            self.outcome(answer)
        more = self.body(vendorField={"x": 1}, extension={"com.example.x": {"y": 1}})
        more["context"]["vendorField"] = [1]
        self.expect(8, "unknown fields are ignored", self.post(more), answer.status_code)

    def success(self, answer: httpx.Response) -> None:
        kind = answer.headers.get("content-type", "").partition(";")[0]
        wrong = [] if kind == "application/json" else [f"content-type is {kind!r}"]
        self.note(1, "a success is application/json", wrong)
        body = json_of(answer)
        cards = body.get("cards") if isinstance(body, dict) else None
        self.note(66, "a success has `cards`", [] if isinstance(cards, list) else ["it has none"])
        empty = [f for f in empty_places(body, "$") if not f.startswith("$.cards is []")]
        self.note(2, "nothing in an answer is null or empty", empty)
        check_cards(self.report, self.place, cards if isinstance(cards, list) else [])

    def preflight(self) -> None:
        headers = {
            "origin": "https://conformance.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        answer = self.client.options(self.url, headers=headers)
        what = "a browser's preflight is answered for the origins that are let in"
        if "access-control-allow-origin" not in answer.headers:
            self.report.skip(132, what, "https://conformance.example is not let in")
            return
        allowed = answer.headers.get("access-control-allow-headers", "").lower()
        faults = [f"{name} is not allowed" for name in ("authorization", "content-type")
                  if name not in allowed and allowed != "*"]  # fmt: skip
        self.note(132, what, [*faults, *status_fault(answer, (200, 204), "the preflight")])

    def transport(self) -> None:
        get = self.client.get(self.url)
        self.expect(7, "GET on a service id is 405", get, 405)
        nobody = self.client.post(f"{self.url}-that-is-not-there", json=self.body())
        self.expect(7, "an unknown service is 404", nobody, 404)
        json_type = {"content-type": "application/json"}
        broken = self.post(content=b'{"hook": ', headers=json_type)
        self.expect(7, "malformed JSON is 400", broken, *_UNPROCESSABLE)
        text = self.post(content=b"{}", headers={"content-type": "text/plain"})
        self.expect(7, "another content type is 415 or 400", text, 415, 400)

    def required_fields(self) -> None:
        for name in ("hook", "hookInstance", "context"):
            answer = self.post(self.body(**{name: _GONE}))
            self.expect(43, f"a call without {name} is 400", answer, *_UNPROCESSABLE)
            unnamed = [] if name in answer.text else [f"the answer does not name {name}"]
            self.note(43, "the field is named", unnamed)
        for field in self.hook.fields:
            if field.required:
                body = self.body()
                del body["context"][field.name]
                answer = self.post(body)
                what = "a call without a required context field is 400"
                self.note(118, what, status_fault(answer, _UNPROCESSABLE, field.name))

    def contradictions(self) -> None:
        other = "order-sign" if self.hook.name != "order-sign" else "patient-view"
        answer = self.post(self.body(hook=other))
        self.expect(44, "a hook that is not the service's is 400", answer, *_UNPROCESSABLE)
        access = {
            "access_token": CANARY, "token_type": "Bearer", "expires_in": 300, "scope": "x",
            "subject": "conformance",
        }  # fmt: skip
        alone = self.post(self.body(fhirAuthorization=access))
        self.expect(45, "a token without a server is 400", alone, *_UNPROCESSABLE)
        shown = ["the token stands in the answer"] if CANARY in alone.text else []
        self.note(61, "a token is never shown", shown)

    def prefetch_states(self) -> None:
        if not self.keys:
            self.report.skip(52, "missing prefetch is 412", f"{self.place} asks for none")
            return
        nothing = self.post(self.body(prefetch=_GONE))
        self.expect(52, "missing prefetch is fetched, not needed, or 412", nothing, 412, 200)
        self.outcome(nothing)
        failed = {"resourceType": "OperationOutcome",
                  "issue": [{"severity": "error", "code": "exception"}]}  # fmt: skip
        answer = self.post(self.body(prefetch=dict.fromkeys(self.keys, failed)))
        same = status_fault(answer, (nothing.status_code,), "an OperationOutcome as prefetch")
        self.note(54, "an OperationOutcome counts as missing", same)
        self.page()
        self.stranger()

    def page(self) -> None:
        link = [{"relation": "next", "url": "https://conformance.example/fhir?page=2"}]
        page = {"resourceType": "Bundle", "type": "searchset", "link": link}
        answer = self.post(self.body(prefetch=dict.fromkeys(self.keys, page)))
        what = "a first page without a way to the second is 412, or a card that says so"
        self.note(53, what, status_fault(answer, (412, 200), "answered"))

    def stranger(self) -> None:
        other = {"resourceType": "Patient", "id": "conformance-somebody-else"}
        page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": other}]}
        prefetch = {key: other if key == "patient" else page for key in self.keys}
        answer = self.post(self.body(prefetch=prefetch))
        self.expect(55, "another patient's data is refused", answer, 400, 412, 422)

    def outcome(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            return
        body = json_of(answer)
        named = isinstance(body, dict) and body.get("resourceType") == "OperationOutcome"
        faults = [] if named else [f"{answer.status_code} has no OperationOutcome"]
        self.note(58, "an error carries an OperationOutcome", faults)
        self.note(58, "it names no patient and no trace", _leaks(answer))


def _leaks(answer: httpx.Response) -> Iterator[str]:
    for text in (PATIENT, "Traceback", 'File "'):
        if text in answer.text:
            yield f"it holds {text!r}"


_GONE = object()
