"""The overview says what is served, for whom, how calls ended and what was decided last."""

from dataclasses import replace

import pytest
from builders.html_pages import read_page
from builders.web_bundles import NOW, SCORES, Visit, a_history, a_record, pressure, shelf_of

from cds_adapters.storage.database import StorageError
from cds_adapters.web.pages import HOOKS, RECENT

BUNDLES = (pressure("1.0.0"), pressure("1.1.0"), SCORES)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return Visit(shelf_of(tmp_path_factory.mktemp("rules"), *BUNDLES))


@pytest.fixture
def visit(reader: Visit) -> Visit:
    return reader.fresh()


def words(visit: Visit) -> str:
    return read_page(visit.get("/").text).find("main")[0].words()


def test_names_each_regime_with_aim_population_and_the_version_served(visit: Visit) -> None:
    said = words(visit)
    assert "Stepped care for adults with hypertension" in said
    assert "Lower systolic blood pressure (mmHg), 9 months after the decision" in said
    assert "age is 18 years or higher and hypertension: yes" in said
    assert "Version served 1.1.0 pressure@1.1.0" in said
    assert "Older versions 1.0.0 (0 calls)" in said


def test_names_every_service_and_links_to_discovery(visit: Visit) -> None:
    said = words(visit)
    assert all(f"{hook}: pressure-{hook}" in said for hook in HOOKS)
    links = [link.attributes["href"] for link in read_page(visit.get("/").text).find("a")]
    assert "/cds-services" in links


def test_counts_every_outcome_zero_included_and_draws_its_share(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    for number in range(3):
        visit.audit.put(a_record(bundle, a_history(bundle, age=9.0), id=f"n{number}"))
    visit.audit.put(a_record(bundle, a_history(bundle), id="n3"))
    table = read_page(visit.get("/").text).find("table")[0]
    rows = [[cell.words() for cell in row.children[:3]] for row in table.find("tr")[1:]]
    assert rows == [
        ["Recommendation", "0", "0%"],
        ["Several options equally good", "0", "0%"],
        ["No change", "0", "0%"],
        ["Not applicable", "3", "75%"],
        ["No advice possible", "1", "25%"],
        ["Error", "0", "0%"],
    ]
    bars = [bar.find("rect")[1].attributes["width"] for bar in table.find("svg")]
    assert bars == ["0", "0", "0", "150", "50", "0"]


def test_an_outcome_of_another_time_is_counted_under_its_own_name(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    visit.audit.put(a_record(bundle, a_history(bundle), outcome="deferred"))
    assert "deferred 1 100%" in words(visit)


def test_lists_the_newest_calls_first_in_words_with_a_link_each(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    history = a_history(bundle, age=50.0, hypertension=True, step="none", sbp=150.0)
    for number in range(RECENT + 3):
        visit.audit.put(a_record(bundle, history, id=f"n{number}", at=NOW + number))
    table = read_page(visit.get("/").text).find("table")[-1]
    rows = table.find("tr")[1:]
    assert [row.find("a")[0].attributes["href"] for row in rows] == [
        f"/decisions/n{number}" for number in range(RECENT + 2, 2, -1)
    ]
    assert "Stepped care for adults with hypertension 1.1.0 Baseline Advise diet" in rows[0].words()


def test_a_call_answered_by_a_version_that_is_gone_keeps_its_stored_words(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    history = a_history(bundle, age=50.0, hypertension=True, step="none", sbp=150.0)
    visit.audit.put(replace(a_record(bundle, history), digest="sha256:gone"))
    assert "pressure 1.1.0 baseline lifestyle" in words(visit)


def test_says_so_where_nothing_has_been_decided(visit: Visit) -> None:
    assert "Nothing has been decided yet." in words(visit)
    assert "it holds no call yet" in words(visit)


def test_tells_its_health(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    visit.audit.put(a_record(bundle, a_history(bundle), at=NOW))
    said = words(visit)
    assert "2 regimes read and checked without a fault" in said
    assert "answers; the newest call was answered 2025-01-06 09:00:00 UTC" in said
    assert "Decisions now are made for 2025-01-06 09:00:00 UTC" in said


def test_an_audit_store_that_fails_is_named_as_the_cause(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    visit.audit.fault = StorageError("canary-text")
    for path in ("/", "/decisions/x"):
        response = visit.get(path)
        assert response.status_code == 503
        assert "The stored decisions cannot be read" in response.text
        assert "canary-text" not in response.text + caplog.text
        assert "StorageError" in caplog.text
