"""CDS_HOOKS.md, section J: what browsers may do, and see."""

import httpx
import pytest
from builders.hook_calls import SERVICE, Served, hook_body

ORIGIN = "https://ehr.example"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


def served() -> Served:
    return Served(cors_origins=(ORIGIN,))


def words(answer: httpx.Response, header: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers[header].split(",")}


@pytest.mark.parametrize("path", ["", f"/{SERVICE}", f"/{SERVICE}/feedback"])
def test_132_a_preflight_is_answered_without_authentication(path: str) -> None:
    answer = served().request("OPTIONS", f"/cds-services{path}", headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert {"authorization", "content-type"} <= words(answer, "access-control-allow-headers")
    assert {"get", "post", "options"} <= words(answer, "access-control-allow-methods")
    assert "access-control-allow-credentials" not in answer.headers


def test_132_successes_and_errors_can_be_seen_by_the_page() -> None:
    service = served()
    headers = {"origin": ORIGIN}
    answers = [
        service.request("GET", "/cds-services", headers=headers),
        service.call(headers=headers),
        service.call(b"{", headers=headers),
        service.call(hook_body(prefetch={}), headers=headers),
        service.call(service="nobody", headers=headers),
        service.call(headers={**headers, "content-type": "text/plain"}),
    ]
    service.audit.broken = True
    answers.append(service.call(headers=headers))
    assert [a.status_code for a in answers] == [200, 200, 400, 412, 404, 415, 503]
    assert {a.headers["access-control-allow-origin"] for a in answers} == {ORIGIN}


def test_132_a_fault_of_ours_can_be_seen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_adapters.cds_hooks.service.gather", None)
    answer = served().call(headers={"origin": ORIGIN})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_132_other_origins_are_not_let_in() -> None:
    strange = PREFLIGHT | {"origin": "https://evil.example"}
    answer = served().request("OPTIONS", f"/cds-services/{SERVICE}", headers=strange)
    assert "access-control-allow-origin" not in answer.headers
    plain = served().call(headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in plain.headers


def test_132_by_default_no_origin_is() -> None:
    answer = Served().call(headers={"origin": ORIGIN})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_132_pages_beside_the_hooks_stay_closed() -> None:
    def page() -> str:
        return "a page"

    service = served()
    service.app.add_api_route("/pages", page, methods=["GET"])
    answer = service.request("GET", "/pages", headers={"origin": ORIGIN})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_132_options_without_an_origin_names_the_methods() -> None:
    answer = served().request("OPTIONS", f"/cds-services/{SERVICE}")
    assert (answer.status_code, answer.headers["allow"]) == (204, "POST, OPTIONS")
