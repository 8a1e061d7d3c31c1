"""The peers that the service is measured against, each a server of its own.

``python -m benchmarks.peers constant PORT``: a FastAPI endpoint that only parses the body with
orjson and answers a constant card. ``healthchain PORT``: a trivial constant-card service written
with healthchain (run it with a Python that has healthchain; it needs nothing of this project).
"""

import sys

CARD = {
    "summary": "constant", "indicator": "info", "source": {"label": "benchmark"},
}  # fmt: skip


def constant(port: int) -> None:
    """Serve the bare endpoint."""
    import orjson
    import uvicorn
    from fastapi import FastAPI, Request, Response

    app = FastAPI()
    answer = orjson.dumps({"cards": [CARD]})

    @app.post("/cds-services/constant")
    async def call(request: Request) -> Response:
        orjson.loads(await request.body())
        return Response(answer, media_type="application/json")

    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


def healthchain(port: int) -> None:
    """Serve healthchain's own way of a constant card."""
    import uvicorn
    from healthchain.gateway import CDSHooksService, HealthChainAPI
    from healthchain.models import Card, CDSRequest, CDSResponse

    app = HealthChainAPI()
    service = CDSHooksService()

    @service.hook("patient-view", id="constant")
    def call(_: CDSRequest) -> CDSResponse:
        return CDSResponse(cards=[Card(**CARD)])

    app.register_service(service, path="/cds")
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    {"constant": constant, "healthchain": healthchain}[sys.argv[1]](int(sys.argv[2]))
