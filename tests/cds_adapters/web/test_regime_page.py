"""The page of a version lets a committee read all of it, and shows only what was released."""

import hashlib
from pathlib import Path

import pytest
from builders.html_pages import Element, read_page
from builders.web_bundles import CASES, SCORES, Visit, pressure, shelf_of

from cds_adapters.storage.shelf import Shelf

NOTHING = "\N{EN DASH}"


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    directory = tmp_path_factory.mktemp("rules")
    shelf_of(directory, pressure("1.0.0"), pressure("1.1.0"), cases=CASES)
    shelf_of(directory, SCORES)
    return Visit(Shelf(directory))


def page(visit: Visit, path: str = "/regimes/pressure/1.1.0") -> Element:
    return read_page(visit.get(path).text)


def table(visit: Visit, caption: str, path: str = "/regimes/pressure/1.1.0") -> list[list[str]]:
    found = [t for t in page(visit, path).find("table") if caption in t.children[0].words()]
    assert len(found) == 1
    return [[cell.words() for cell in row.children] for row in found[0].find("tr")[1:]]


def test_heads_with_identity_dates_aim_use_cautions_and_citations(visit: Visit) -> None:
    said = page(visit).find("main")[0].words()
    bundle = visit.shelf.find("pressure@1.1.0")
    for text in (
        "Stepped care for adults with hypertension Version 1.1.0",
        bundle.digest,
        "In force from 2024-01-01",
        "Review due by 2026-01-01",
        "Expires after no date stated",
        "Evidence as of 2024-05-01",
        "Lower pressure means fewer strokes.",
        "Intended use To inform a clinician at a planned visit.",
        "Urgency Not for emergencies.",
        "Cautions Not for use in pregnancy. Not for children.",
        "Test A et al. (2024), A trial, Journal of Tests 1:1.",
    ):
        assert text in said


def test_a_version_whose_authors_say_nothing_of_its_use_says_that(visit: Visit) -> None:
    said = page(visit, "/regimes/walking/1.0.0").find("main")[0].words()
    assert "The authors have not stated an intended use, cautions or citations" in said
    assert "This version declares no safeguard." in said
    assert "This version comes without cases." in said
    assert "variables.sex: nothing reads it" in said


def test_an_older_version_points_to_the_one_that_is_served(visit: Visit) -> None:
    link = next(a for a in page(visit, "/regimes/pressure/1.0.0").find("a") if a.text == "1.1.0")
    assert link.attributes["href"] == "/regimes/pressure/1.1.0"
    assert "not the newest" not in page(visit).words()


def test_the_rule_stands_in_words(visit: Visit) -> None:
    lines = [item.words() for item in page(visit).find("li")]
    assert (
        "1 If uncontrolled pressure: yes and age is below 55 years: Start lisinopril 10 mg daily; "
        "if barred: Start amlodipine 5 mg daily. "
        "Younger patients respond to ACE inhibitors."
    ) in lines
    assert "2 If uncontrolled pressure: yes: lines 2.1 to 2.3." in lines
    assert (
        "2.1 If systolic blood pressure is 180 mmHg or higher: "
        "no advice: Refer such a pressure at once."
    ) in lines
    assert (
        "2.3 Otherwise: Start lisinopril 10 mg daily or Start amlodipine 5 mg daily, equally good. "
        "Both work equally well."
    ) in lines
    assert (
        "3 Otherwise: Continue and measure again in 3 months. The pressure is controlled." in lines
    )


def test_the_rule_stands_as_a_table_with_words_before_codes(visit: Visit) -> None:
    rows = table(visit, "Lines of the stage “Three months”")
    assert [row[0] for row in rows] == ["1", "2", "2.1", "2.2", "2.3", "3"]
    assert rows[0] == [
        "1",
        "uncontrolled pressure: yes and age is below 55 years uncontrolled and age < 55",
        "Start lisinopril 10 mg daily add_ace",
        "Start amlodipine 5 mg daily",
        "Younger patients respond to ACE inhibitors.",
    ]


def test_the_rule_stands_as_a_drawing_for_every_stage(visit: Visit) -> None:
    titles = [item.words() for item in page(visit).find("title")[1:]]
    assert titles == ["Flow of the stage “Baseline”", "Flow of the stage “Three months”"]


def test_scores_stand_as_sums_with_those_for_whom_they_are_compared(visit: Visit) -> None:
    path = "/regimes/walking/1.0.0"
    assert table(visit, "Scores of the stage", path) == [
        ["Offer digital coaching coaching", "100 minus 0.5 times steps minus 2 times lives alone",
         "always"],
        ["Offer a gym membership gym", "0.25 times steps",
         "age is below 80 years (Nobody older was in the trial)"],
    ]  # fmt: skip
    said = page(visit, path).words()
    assert "Advised is the option with the highest score; those within 5 of it are" in said


def test_safeguards_say_what_is_barred_where_and_why(visit: Visit) -> None:
    assert table(visit, "Options that must never be advised") == [
        [
            "Start lisinopril 10 mg daily",
            "pregnancy: yes or potassium is above 5.5 mmol/L pregnant or potassium > 5.5",
            "ACE inhibitors harm the fetus and raise potassium.",
        ]
    ]


def test_every_input_says_how_it_is_taken(visit: Visit) -> None:
    rows = {row[0]: row[1:] for row in table(visit, "Every input")}
    definition = "Mean of the office readings of the last month."
    assert rows["systolic blood pressure sbp"] == [
        f"Measurements and answers: the mean of the last 30 days {definition} loinc|8480-6",
        "mmHg", "60 to 280", "no record means unknown",
    ]  # fmt: skip
    assert rows["pregnancy pregnant"][:4] == [
        "Problem list: whether it is there and not over snomed|77386006", "yes or no", NOTHING,
        "no record means unknown",
    ]  # fmt: skip
    assert rows["hypertension hypertension"][3].startswith("no record means no,")
    computed = "Computed: systolic blood pressure is 140 mmHg or higher sbp >= 140"
    assert rows["uncontrolled pressure uncontrolled"][0] == computed
    assert set(rows) == {
        f"{kind.label} {name}" for name, kind in visit.shelf.find("pressure").kinds.items()
    }


def test_every_option_says_what_is_ordered_and_how_it_is_recognised(visit: Visit) -> None:
    rows = {row[0]: row[1:] for row in table(visit, "Every treatment option")}
    assert rows["Start lisinopril 10 mg daily add_ace"] == [
        "drug",
        "Start lisinopril 10 mg daily; one tablet daily MedicationRequest rxnorm|314076",
        "rxnorm|314076",
        NOTHING,
    ]
    assert rows["Continue and measure again in 3 months monitor"][0] == "monitor; changes nothing"


def test_cases_are_decided_for_the_page_and_compared(visit: Visit) -> None:
    rows = table(visit, "Cases with what was expected")
    kept = "Continue and measure again in 3 months"
    assert [(row[0].partition(" Try")[0], row[2], row[3]) for row in rows] == [
        ("high", "Recommendation Advise diet and exercise", "✓ yes"),
        ("no reading", f"No advice possible Advise diet and exercise or {kept}", "✓ yes"),
        ("a wrong expectation", f"No change {kept}",
         "✕ no outcome: expected recommendation, found no_change"),
        ("died", "Not applicable", "✓ yes"),
    ]  # fmt: skip
    assert "1 of 4 came out differently" in page(visit).words()
    assert "No case makes these lines decide:" in page(visit).words()


def test_every_case_can_be_tried_and_comes_to_the_same(visit: Visit) -> None:
    links = [a.attributes["href"] for a in page(visit).find("a") if "Try the case" in a.words()]
    outcomes = [page(visit, link).find("section")[1].find("span")[0].words() for link in links]
    assert outcomes == ["Recommendation", "No advice possible", "No change", "Not applicable"]


def test_a_regime_without_a_version_leads_to_the_newest(visit: Visit) -> None:
    response = visit.get("/regimes/pressure")
    assert (response.status_code, response.headers["location"]) == (307, "/regimes/pressure/1.1.0")


@pytest.mark.parametrize("path", ["pressure/9.9.9", "none/1.0.0", "%2e%2e/x", "none"])
def test_se_12_what_is_not_on_the_shelf_is_not_found(visit: Visit, path: str) -> None:
    assert visit.get(f"/regimes/{path}").status_code == 404


def test_files_are_shown_and_downloaded_as_released(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    for name, digest in bundle.manifest.items():
        path = f"/regimes/pressure/1.1.0/files/{name}"
        data = (visit.shelf.directory / "pressure" / "1.1.0" / name).read_bytes()
        assert page(visit, path).find("pre")[0].text == data.decode()
        response = visit.get(f"{path}?download=1")
        assert hashlib.sha256(response.content).hexdigest() == digest
        assert response.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_a_file_that_changed_on_disk_is_not_shown_as_the_one_in_force(tmp_path: Path) -> None:
    visit = Visit(shelf_of(tmp_path, pressure("1.1.0")))
    path = visit.shelf.directory / "pressure" / "1.1.0" / "bundle.yaml"
    path.write_bytes(path.read_bytes() + b"# later\n")
    response = visit.get("/regimes/pressure/1.1.0/files/bundle.yaml")
    assert response.status_code == 409
    assert "bundle.yaml has been changed since the service read it" in response.text
    assert "# later" not in response.text
    path.unlink()
    assert "can no longer be read" in visit.get("/regimes/pressure/1.1.0/files/bundle.yaml").text


@pytest.mark.parametrize("name", ["secret.txt", "..%2F..%2Fpressure%2F1.0.0%2Fbundle.yaml"])
def test_se_12_only_the_files_of_the_manifest_are_served(visit: Visit, name: str) -> None:
    (visit.shelf.directory / "pressure" / "1.1.0" / "secret.txt").write_text("secret")
    assert visit.get(f"/regimes/pressure/1.1.0/files/{name}").status_code == 404
