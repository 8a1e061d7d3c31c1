"""Pages live beside other routes: faults are answered as the caller reads, and leak nothing."""

import asyncio

import pytest
from builders.html_pages import read_page
from builders.web_bundles import NOW, Visit, a_history, a_record, pressure, shelf_of
from fastapi import HTTPException
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cds_adapters.storage.shelf import Shelf

CANARY = "Canary-Patient-4711"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return shelf_of(tmp_path_factory.mktemp("rules"), pressure())


@pytest.fixture
def visit(shelf: Shelf) -> Visit:
    return Visit(shelf)


def test_a_reader_gets_a_page_for_an_unknown_address_and_a_program_does_not(visit: Visit) -> None:
    page = visit.get("/nowhere", accept="text/html,*/*;q=0.8")
    assert page.status_code == 404
    assert "Page not found" in read_page(page.text).words()
    program = visit.get("/nowhere", accept="application/json")
    assert program.status_code == 404
    assert program.json() == {
        "detail": "Page not found. Nothing is kept under this address. Check the address. The list "
        "of regimes is at /, and the services for record systems are listed at /cds-services."
    }


def test_a_handler_of_the_application_still_answers_its_own_callers(visit: Visit) -> None:
    async def outcome(_request: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        return PlainTextResponse("OperationOutcome", error.status_code)

    def refuse() -> None:
        raise HTTPException(404, "no such service")

    visit.app.add_exception_handler(StarletteHTTPException, outcome)
    visit.app.add_api_route("/cds-services/x", refuse)
    assert visit.get("/cds-services/x", accept="application/json").text == "OperationOutcome"
    assert visit.get("/nowhere", accept="*/*").text == "OperationOutcome"
    assert "Page not found" in visit.get("/nowhere", accept="text/html").text


def test_a_wrong_method_is_answered_with_a_page(visit: Visit) -> None:
    response = visit.get("/decisions/x/evaluate", accept="text/html")
    assert response.status_code == 405
    assert "This address cannot be used in that way" in response.text


def test_se_19_a_fault_of_ours_gives_a_reference_and_nothing_else(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    visit.audit.fault = RuntimeError(CANARY)
    response = visit.get(f"/decisions/{CANARY}?name={CANARY}")
    assert response.status_code == 500
    words = read_page(response.text).words()
    reference = words.partition("under the reference ")[2].partition(".")[0]
    assert f"page fault {reference}: RuntimeError at " in caplog.text
    assert "web_audit.py:" in caplog.text
    assert CANARY not in response.text + caplog.text


def test_pages_answer_head_without_a_body(visit: Visit) -> None:
    response = asyncio.run(visit.send("HEAD", "/"))
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith("text/html")


def test_the_style_sheet_is_kept_for_a_year_under_its_own_tag_and_asked_for_again_otherwise(
    visit: Visit,
) -> None:
    links = read_page(visit.get("/").text).find("link")
    assert [link.attributes["rel"] for link in links] == ["stylesheet", "icon"]
    tagged = visit.get(links[0].attributes["href"])
    assert tagged.headers["content-type"] == "text/css; charset=utf-8"
    assert tagged.headers["cache-control"] == "public, max-age=31536000, immutable"
    icon = visit.get(links[1].attributes["href"])
    assert icon.headers["content-type"] == "image/svg+xml"
    plain = visit.get("/static/style.css?v=old")
    assert plain.headers["cache-control"] == "public, max-age=3600"
    again = visit.get("/static/style.css", **{"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("none.css", "..%2Fpages.py", "%2e%2e"):
        assert visit.get(f"/static/{name}").status_code == 404


def test_the_style_sheet_fetches_nothing_and_serves_dark_narrow_and_paper(visit: Visit) -> None:
    style = visit.get("/static/style.css").text
    assert "url(" not in style
    assert "@import" not in style
    for medium in ("prefers-color-scheme: dark", "max-width: 40rem", "@media print"):
        assert medium in style
    assert ":focus-visible" in style


def test_pages_are_no_part_of_the_published_interface(visit: Visit) -> None:
    assert visit.app.openapi()["paths"] == {}


def test_times_are_written_in_the_zone_of_the_site(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    visit.audit.put(a_record(bundle, a_history(bundle), id="x", at=NOW))
    site = visit.site.model_copy(update={"time_zone": "America/New_York"})
    words = read_page(Visit(visit.shelf, visit.audit, site).get("/decisions/x").text).words()
    assert "Answered 2025-01-06 04:00:00 EST" in words
