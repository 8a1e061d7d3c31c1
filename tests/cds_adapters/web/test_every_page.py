"""What must hold on every page: well-formed, safe, usable without a script and by everybody."""

from dataclasses import replace
from itertools import pairwise

import pytest
from builders.html_pages import Element, read_page
from builders.web_bundles import (
    CASES,
    HOSTILE,
    NOW,
    SCORES,
    Visit,
    a_history,
    a_record,
    hostile,
    pressure,
    shelf_of,
)
from msgspec import structs

from cds_adapters.site import Site
from cds_adapters.storage.records import Feedback
from cds_engine.history.value import Known, Missing, Reading

PAGES = {
    "overview": "/",
    "a version with lists": "/regimes/pressure/1.0.0",
    "a version with scores": "/regimes/walking/1.0.0",
    "a hostile version": "/regimes/hostile/1.0.0",
    "a file": "/regimes/pressure/1.0.0/files/bundle.yaml",
    "a hostile file": "/regimes/hostile/1.0.0/files/bundle.yaml",
    "an empty form": "/try/pressure",
    "a tried regime": "/try/pressure?age=50&hypertension=yes&sbp=150&step=none",
    "a tried hostile regime": "/try/hostile?level=10&flag=no",
    "a wrong form": "/try/pressure?age=<b>&hypertension=maybe&<script>=1",
    "a decision": "/decisions/plain",
    "an abstention": "/decisions/abstains",
    "a hostile decision": "/decisions/hostile",
    "an error": "/decisions/error",
    "a decision of a version that is gone": "/decisions/gone",
    "a decision that cannot be reproduced": "/decisions/changed",
    "no such decision": "/decisions/%3Cscript%3E",
    "no such regime": "/regimes/%3Cscript%3E",
    "no such page": "/nowhere",
}


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    directory = tmp_path_factory.mktemp("rules")
    shelf = shelf_of(directory, pressure(), SCORES, hostile())
    (directory / "pressure" / "1.0.0" / "cases.yaml").write_text(CASES, "utf-8")
    visit = Visit(type(shelf)(directory))
    bundle, bad = visit.shelf.find("pressure"), visit.shelf.find("hostile")
    given = {"age": 50.0, "hypertension": True, "step": "none"}
    plain = a_record(bundle, a_history(bundle, **given, sbp=150.0), id="plain")
    visit.audit.put(plain)
    stale = Missing("stale", "older than 30 days", (), NOW - 10**12)
    visit.audit.put(a_record(bundle, a_history(bundle, **given, sbp=stale), id="abstains"))
    source = Reading(HOSTILE, NOW - 10**9, NOW - 10**9)
    history = a_history(bad, level=Known(10.0, (source,), HOSTILE), answer=HOSTILE, flag=False)
    history = structs.replace(history, set_aside=((HOSTILE, HOSTILE),))
    changes = {"hook": HOSTILE, "service": HOSTILE, "source": HOSTILE, "engine": HOSTILE}
    visit.audit.put(a_record(bad, history, id="hostile", **changes))
    visit.audit.feedback.append(
        Feedback(HOSTILE, HOSTILE, HOSTILE, NOW, reason=HOSTILE, reason_display=HOSTILE,
                 comment=HOSTILE, decision_id="hostile")
    )  # fmt: skip
    visit.audit.put(replace(plain, id="gone", digest="sha256:gone", regime=HOSTILE, stage=HOSTILE))
    changed = plain.decision.replace(b'"sbp":150.0', b'"sbp":151.0')
    visit.audit.put(replace(plain, id="changed", decision=changed))
    visit.audit.put(
        replace(plain, id="error", outcome="error", decision=b"", history=b"", error=HOSTILE)
    )
    return visit


@pytest.fixture(params=list(PAGES.values()), ids=list(PAGES))
def text(request: pytest.FixtureRequest, visit: Visit) -> str:
    response = visit.get(request.param, accept="text/html")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response.text


def test_is_well_formed_and_has_its_landmarks(text: str) -> None:
    page = read_page(text)
    assert page.find("html")[0].attributes["lang"] == "en"
    assert page.find("title")[0].words().endswith("cds-engine")
    assert [len(page.find(tag)) for tag in ("main", "header", "footer", "h1")] == [1, 1, 1, 1]
    skip = page.find("a")[0]
    assert skip.attributes == {"class": "skip", "href": "#main"}


def test_headings_never_skip_a_level(text: str) -> None:
    levels = [int(item.tag[1]) for item in read_page(text).all() if item.tag in _HEADINGS]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_every_reference_to_one_leads_somewhere(text: str) -> None:
    elements = read_page(text).all()
    ids = [item.attributes["id"] for item in elements if "id" in item.attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        name
        for item in elements
        for attribute in ("for", "aria-labelledby", "aria-describedby")
        for name in item.attributes.get(attribute, "").split()
    }
    wanted |= {
        item.attributes["href"][1:]
        for item in elements
        if item.attributes.get("href", "").startswith("#")
    }
    assert wanted <= set(ids)


def test_every_field_has_a_label_and_every_group_a_legend(text: str) -> None:
    page = read_page(text)
    labelled = {label.attributes["for"] for label in page.find("label")}
    fields = page.find("select") + [
        item for item in page.find("input") if item.attributes["type"] != "hidden"
    ]
    assert {item.attributes["id"] for item in fields} <= labelled
    radios = [item for item in page.find("input") if item.attributes["type"] == "radio"]
    assert all(_inside(item, "fieldset") for item in radios)
    assert all(group.children[0].tag == "legend" for group in page.find("fieldset"))


def test_every_table_has_a_caption_and_headers_with_a_scope(text: str) -> None:
    for table in read_page(text).find("table"):
        assert table.children[0].tag == "caption"
        assert table.children[0].words()
        assert all(header.attributes["scope"] in {"col", "row"} for header in table.find("th"))
        assert all(header.words() for header in table.find("th"))
        columns = len(table.find("thead")[0].find("th"))
        rows = table.find("tbody")[0].find("tr")
        assert all(len(row.children) == columns for row in rows)


def test_every_drawing_has_a_title_and_a_description_or_is_decoration(text: str) -> None:
    for drawing in read_page(text).find("svg"):
        if drawing.attributes.get("aria-hidden") != "true":
            assert drawing.attributes["role"] == "img"
            assert [item.tag for item in drawing.children[:2]] == ["title", "desc"]
            assert all(item.words() for item in drawing.children[:2])


def test_what_scrolls_sideways_can_be_reached_and_is_named(text: str) -> None:
    for item in read_page(text).all():
        if "scroll" in item.attributes.get("class", "").split():
            assert item.attributes["tabindex"] == "0"
            assert item.attributes["role"] == "region"
            assert item.attributes["aria-label"]


def test_verdicts_are_words_and_not_colours_alone(text: str) -> None:
    for item in read_page(text).find("span"):
        if "verdict" in item.attributes.get("class", "").split():
            assert item.words().split()[-1] in {"yes", "no", "unknown"}


def test_se_18_holds_no_script_no_inline_style_and_nothing_from_elsewhere(text: str) -> None:
    for item in read_page(text).all():
        assert item.tag not in {"script", "style", "iframe", "object", "embed", "img", "base"}
        assert not [name for name in item.attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            assert item.attributes.get(name, "/")[:1] in {"/", "#"}
            assert not item.attributes.get(name, "/").startswith("//")


def test_se_10_se_11_hostile_strings_are_shown_and_do_nothing(text: str) -> None:
    assert "<b>" not in text
    assert "<i>" not in text
    assert "{{" not in text.replace("{{7*7}}", "")


def test_the_hostile_pages_do_carry_the_hostile_string(visit: Visit) -> None:
    paths = ["/", "/regimes/hostile/1.0.0", "/try/hostile?level=10&flag=no", "/decisions/hostile"]
    paths += ["/decisions/gone", "/decisions/error"]
    for path in paths:
        assert HOSTILE in " ".join(read_page(visit.get(path).text).text.split()), path


@pytest.mark.parametrize("path", [*PAGES.values(), "/regimes/pressure", "/static/style.css"])
def test_se_18_every_answer_carries_the_security_headers(visit: Visit, path: str) -> None:
    headers = visit.get(path, accept="text/html").headers
    policy = {part.strip() for part in headers["content-security-policy"].split(";")}
    assert policy == {
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES.values())
def test_pages_are_never_stored_by_a_browser(visit: Visit, path: str) -> None:
    assert visit.get(path, accept="text/html").headers["cache-control"] == "no-store"


@pytest.fixture(scope="module")
def frozen(visit: Visit) -> Visit:
    site = Site(as_of="2025-01-06T09:00:00Z", allow_as_of=True)
    return Visit(visit.shelf, visit.audit, site)


@pytest.mark.parametrize("path", PAGES.values())
def test_every_page_is_marked_where_the_instant_is_not_the_real_one(
    visit: Visit, frozen: Visit, path: str
) -> None:
    marked = frozen.get(path, accept="text/html").text
    assert "the clock is frozen at 2025-01-06T09:00:00Z" in marked
    assert "callers may set the instant of a decision" in marked
    assert "Not for patient care" in marked
    assert "Not for patient care" not in visit.get(path, accept="text/html").text


@pytest.fixture(scope="module")
def behind_proxy(visit: Visit) -> Visit:
    return Visit(visit.shelf, visit.audit, Site(base_url="https://hospital.example/cds"))


@pytest.mark.parametrize("path", PAGES.values())
def test_links_and_forms_stay_below_the_public_address(behind_proxy: Visit, path: str) -> None:
    for item in read_page(behind_proxy.get(path, accept="text/html").text).all():
        for name in ("href", "action"):
            assert item.attributes.get(name, "#").startswith(("#", "/cds/"))


_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}


def _inside(item: Element, tag: str) -> bool:
    above = item.parent
    while above is not None and above.tag != tag:
        above = above.parent
    return above is not None
