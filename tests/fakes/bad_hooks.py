"""A CDS Hooks service that does everything wrong that a conformance check should see."""

import json
from typing import Any

from starlette.types import Receive, Scope, Send

SERVICES = [
    {
        "hook": "patientview",
        "id": "one two",
        "title": "",
        "description": None,
        "version": "STU2",
        "prefetch": {},
    },
    {
        "hook": "patient-view",
        "id": "bad",
        "description": "Does it wrong.",
        "hookVersion": "9.9",
        "usageRequirements": "",
        "prefetch": {
            "patient": "Patient/{{context.patientId}}",
            "a": "Observation?patient={{context.patientId}}&date=ge2020&date=le2021&_revinclude=x",
            "b": "Observation/$lastn?code:not=x&date=sa2020&performer=y",
            "d": "observation?patient={{context.patientId}}",
            "c": "Condition?patient={{context.patient.id}}&encounter={{context.nobody}}{",
        },
    },
    {"hook": "patient-view", "id": "bad", "description": "Again."},
    {"hook": "order-sign", "id": "bad", "description": "And for another hook."},
]
CARD = {
    "summary": "x" * 140,
    "detail": "<b>bold</b>",
    "indicator": "hard-stop",
    "source": {"label": "", "url": "/relative"},
    "suggestions": [
        {"label": "", "isRecommended": True, "actions": [{"type": "create"}, {"type": "x"}]},
        {"label": "b", "isRecommended": True, "actions": [{"type": "delete", "description": "d"}]},
    ],
    "selectionBehavior": "at-most-one",
    "overrideReasons": [{"code": "x"}],
    "links": [{"label": "", "url": "relative", "type": "web", "appContext": "x"}, {"type": "x"}],
}
PLAIN_CARD = {"summary": "s", "suggestions": [{"label": "l"}]}


class BadHooks:
    """Answers 200 to everything; ``status`` makes calls and feedback fail instead."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.count += 1
        path = scope["path"]
        if path == "/cds-services/":
            await self.answer(send, 307, b"", location=b"/cds-services")
        elif path == "/cds-services":
            body: Any = {"services": SERVICES, "vendor": {"count": self.count}}
            await self.answer(send, 200, json.dumps(body).encode())
        elif scope["method"] == "OPTIONS":
            await self.answer(send, 403, b"", **{"access-control-allow-origin": b"*"})
        elif self.status != 200:
            await self.answer(send, self.status, b"Traceback: " + message["body"])
        else:
            cards = {"cards": [CARD, PLAIN_CARD, "text"], "systemActions": []}
            await self.answer(send, 200, json.dumps(cards).encode() + b" " * 9)

    async def answer(self, send: Send, status: int, body: bytes, **headers: bytes) -> None:
        fields = [(name.encode(), value) for name, value in headers.items()]
        fields.append((b"content-type", b"text/json"))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})
