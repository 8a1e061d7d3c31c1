"""The pages of every rule bundle that comes with the project can be read and used."""

import pytest
from builders.html_pages import read_page
from builders.web_bundles import Visit

from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_adapters.web.words import OUTCOMES


@pytest.fixture(scope="module")
def visit() -> Visit:
    return Visit(Shelf(shipped_rules()))


def test_every_version_is_shown_whole_and_its_cases_come_out_as_expected(visit: Visit) -> None:
    for bundle in visit.shelf:
        page = read_page(visit.get(f"/regimes/{bundle.regime}/{bundle.version}").text)
        words = page.words()
        assert bundle.document.title in words
        assert all(kind.label in words for kind in bundle.kinds.values())
        assert all(action.label in words for action in bundle.actions.values())
        assert all(guard.because in words for guard in bundle.safeguards)
        assert len(page.find("title")) == 1 + len(bundle.stages)
        assert bundle.cases is None or "came out as expected" in words


def test_every_case_can_be_tried_and_comes_to_its_outcome(visit: Visit) -> None:
    for bundle in visit.shelf:
        page = read_page(visit.get(f"/regimes/{bundle.regime}/{bundle.version}").text)
        links = [a.attributes["href"] for a in page.find("a") if "Try the case" in a.words()]
        cases = bundle.cases.cases if bundle.cases else ()
        for case, link in list(zip(cases, links, strict=True))[::5]:
            answer = visit.get(link)
            assert answer.status_code == 200
            badge = read_page(answer.text).find("section")[1].find("span")[0].words()
            assert badge == OUTCOMES[case.expect.outcome], case.case
