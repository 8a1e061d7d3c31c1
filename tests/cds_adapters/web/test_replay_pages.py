"""Replays as pages of the service: listed, read, compared; and nothing else can be read."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders.html_pages import Element, read_page
from builders.live_service import kept_in, live
from builders.replay_worlds import REGIME, a_world, intensification, points_of
from builders.replays import AT_END, bundle_files, export, run

from cds_adapters.clock import parse_instant
from cds_adapters.report.answers import as_json, write_answers
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration

OTHERWISE = defaultdict(str) | {"no advice": "No advice possible",
                                "not applicable": "Not applicable"}  # fmt: skip
OTHER = {"constant: -9.19711": "constant: -12.0"}


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "replays"
    draw = a_world().draw(300, 4)
    run = {"data": "sha256:1", "settings": {"data_until": "2025-10-05T10:15:00Z"}}
    for name, bundle in (("first", intensification()), ("second", intensification(OTHER))):
        out = folder / name
        out.mkdir(parents=True)
        frame = points_of(draw, bundle)
        frame["person.sex"] = ["female" if n % 3 else "male" for n in range(len(frame))]
        figures = figures_of(frame, bundle, settings=FigureSettings(subgroups=("sbp",)), run=run)
        (out / "figures.json").write_bytes(as_json(figures))
        pq.write_table(pa.Table.from_pandas(frame), out / "decisions.parquet")
    (folder.parent / "figures.json").write_text("{}")
    secret = folder.parent / "secret"
    secret.mkdir()
    (secret / "figures.json").write_text("{}")
    (folder / "link").symlink_to(secret)
    (folder / "damaged").mkdir()
    (folder / "damaged" / "figures.json").write_text("{")
    return folder


@pytest.fixture(scope="module")
def client(replays: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("service")
    for texts in ({}, OTHER):
        bundle = intensification(texts)
        place = folder / "rules" / bundle.regime / bundle.version
        place.mkdir(parents=True)
        (place / "bundle.yaml").write_bytes(_text_of(texts))
    with live(
        database=kept_in(folder), replays=replays, rules=folder / "rules", patients=folder
    ) as found:
        yield found


def _text_of(texts: dict[str, str]) -> bytes:
    """Return the file from which ``intensification`` reads its bundle."""
    text = dict(bundle_files(REGIME))["bundle.yaml"].decode()
    if texts:
        text = text.replace("version: 1.0.0", "version: 1.1.0", 1)
    for old, new in texts.items():
        text = text.replace(old, new)
    return text.encode()


def links(client: httpx.Client, path: str) -> list[str]:
    return [one.attributes["href"] for one in read_page(client.get(path).text).find("a")]


def flips_by(client: httpx.Client, path: str, by: str) -> list[Element]:
    """Return the rows of the table of flips by something."""
    tables = read_page(client.get(path).text).find("table")
    [found] = [one for one in tables if one.find("caption")[0].words().lower() == f"flips by {by}"]
    return found.find("tr")[1:]


def test_a_run_is_shown_with_its_own_style_and_no_other(client: httpx.Client) -> None:
    answer = client.get("/replays/first")
    assert answer.status_code == 200
    assert "What it is worth" in answer.text
    assert "style-src 'sha256-" in answer.headers["content-security-policy"]
    assert "'self'" not in answer.headers["content-security-policy"].split("style-src")[1][:60]
    assert client.get("/replays/first").text == answer.text


def test_two_runs_are_compared_decision_by_decision(client: httpx.Client, replays: Path) -> None:
    answer = client.get("/replays/first/vs/second")
    assert answer.status_code == 200
    one, other = (pq.read_table(replays / name / "decisions.parquet").to_pandas()
                  for name in ("first", "second"))  # fmt: skip
    differing = int(
        (one["decision.action"].fillna("") != other["decision.action"].fillna("")).sum()
    )
    assert differing > 20
    assert f"{differing} of 600 decisions flip" in answer.text
    assert "runs are of different data" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/replays/nothing", "/replays/%2e%2e", "/replays/..%2fsecret", "/replays/link",
     "/replays/first%00", "/replays/first/vs/%2e%2e", "/replays/first/vs/link",
     "/replays/%2fetc"],
)  # fmt: skip
def test_a_name_leads_nowhere_but_to_a_run(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"accept": "text/html"}).status_code == 404


def test_a_damaged_run_is_said(client: httpx.Client) -> None:
    answer = client.get("/replays/damaged")
    assert answer.status_code == 500
    assert "The figures of this replay cannot be read" in answer.text


def test_a_damaged_run_is_named_in_the_list(client: httpx.Client) -> None:
    answer = client.get("/replays")
    assert answer.status_code == 200
    assert "damaged" in answer.text
    assert "/replays/second" in answer.text
    assert "secret" not in answer.text


def test_the_list_names_the_runs(tmp_path: Path, replays: Path) -> None:
    folder = tmp_path / "replays"
    folder.mkdir()
    (folder / "a-run").symlink_to(replays / "first")
    run = folder / "b-run"
    run.mkdir()
    (run / "figures.json").write_bytes((replays / "first" / "figures.json").read_bytes())
    with live(database=kept_in(tmp_path), replays=folder) as client:
        text = client.get("/replays").text
    assert "/replays/b-run" in text
    assert "a-run" not in text
    assert json.loads((run / "figures.json").read_text())["bundle"]["identity"] in text


def test_without_a_folder_the_list_says_how_to_name_one(tmp_path: Path) -> None:
    with live(database=kept_in(tmp_path)) as client:
        for path in ("/", "/replays"):
            text = " ".join(client.get(path).text.split())
            assert "was not told where there are any" in text
            assert "<code>--replays" in text
        assert "/replays" in links(client, "/")
        answer = client.get("/replays/first")
    assert answer.status_code == 404
    assert "Start it with --replays" in answer.text


def test_an_empty_folder_says_how_to_write_a_run(tmp_path: Path) -> None:
    (tmp_path / "replays").mkdir()
    with live(database=kept_in(tmp_path), replays=tmp_path / "replays") as client:
        assert "There is no run yet. Write one with" in client.get("/replays").text
        assert "in the folder yet" in client.get("/").text


def test_the_start_page_leads_to_the_list_and_the_list_to_runs_and_pairs(
    client: httpx.Client,
) -> None:
    """Two runs are chosen with radio buttons; nothing needs a script."""
    assert "3 replays answer" in client.get("/").text
    assert "/replays" in links(client, "/")
    found = links(client, "/replays")
    assert {"/replays/first", "/replays/second"} <= set(found)
    assert not [one for one in found if "damaged" in one or "/vs/" in one]
    [form] = read_page(client.get("/replays").text).find("form")
    assert (form.attributes["method"], form.attributes["action"]) == ("get", "/replays")
    radios = {(one.attributes["name"], one.attributes["value"]) for one in form.find("input")}
    assert radios == {(side, run) for side in ("one", "other") for run in ("first", "second")}
    assert [one.words() for one in form.find("button")] == ["Compare"]
    answer = client.get("/replays", params={"one": "second", "other": "first"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/replays/second/vs/first"
    assert "/regimes/hypertension-intensification/1.1.0" in found


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("first", "", "It takes two runs: choose one as the first and one as the second"),
        ("first", "damaged", "It takes two runs"),
        ("first", "../secret", "It takes two runs"),
        ("first", "first", "first was chosen twice, and it replayed one version only"),
    ],
)
def test_what_cannot_be_compared_is_said_over_the_list(
    client: httpx.Client, one: str, other: str, words: str
) -> None:
    answer = client.get("/replays", params={"one": one, "other": other})
    assert answer.status_code == 400
    page = read_page(answer.text)
    assert words in page.words()
    chosen = [box.attributes for box in page.find("input") if "checked" in box.attributes]
    assert {"one": one} == {a["name"]: a["value"] for a in chosen if a["name"] == "one"}


def test_the_list_says_of_every_run_what_was_asked_and_what_came_of_it(
    client: httpx.Client, replays: Path
) -> None:
    table = read_page(client.get("/replays").text).find("table")[0]
    heads, *rows = table.find("tr")
    assert [cell.words() for cell in heads.children] == [
        "1st", "2nd", "Run", "Version", "Value", "Doubtful", "Instant", "Horizon", "Data",
        "Patients", "Rows", "Warnings",
    ]  # fmt: skip
    said = {row.children[2].words(): [cell.words() for cell in row.children[3:]] for row in rows}
    regime = "hypertension-intensification"
    value = json.loads((replays / "first" / "figures.json").read_bytes())["value"]["regimes"][0]
    worth, doubtful = said["first"].pop(1), said["first"].pop(1)
    told = json.loads((replays / "first" / "figures.json").read_bytes())["value"]["assumptions"]
    assert doubtful == ", ".join(one["assumption"] for one in told["doubts"]) != ""
    assert worth.startswith(f"{value['robust']['estimate']:.1f}")
    assert "mmHg" in worth
    assert said["first"] == [
        f"{regime}@1.0.0", "start", "P9M from each decision", "1 until 2025-10-05", "300", "600",
        "0",
    ]  # fmt: skip
    assert said["second"][0] == f"{regime}@1.1.0"
    assert "Cannot be shown" in said["damaged"][0]


def test_a_list_without_records_of_patients_says_so(tmp_path: Path, replays: Path) -> None:
    with live(database=kept_in(tmp_path), replays=replays) as client:
        assert "Start it with <code>--patients</code>" in client.get("/replays").text
        assert not [one for one in links(client, "/replays/first") if "/patients/" in one]


def test_a_run_and_a_pair_lead_back(client: httpx.Client) -> None:
    assert links(client, "/replays/first")[1:3] == ["/", "/replays"]
    found = links(client, "/replays/first/vs/second")
    assert found[1:5] == ["/", "/replays", "/replays/first", "/replays/second"]
    assert "/replays/second/vs/first" in found


def test_every_decision_of_a_timeline_leads_to_the_patient_as_of_then(
    client: httpx.Client, replays: Path
) -> None:
    figures = json.loads((replays / "first" / "figures.json").read_bytes())
    wanted = [(one["patient"], at["as_of"]) for one in figures["timelines"]
              for at in one["decisions"]]  # fmt: skip
    assert len(wanted) > 20
    found = set(links(client, "/replays/first"))
    regime = "hypertension-intensification%401.0.0"
    for patient, as_of in wanted:
        then = as_of.replace(":", "%3A")
        assert f"/patients/{patient}?as_of={then}&regime={regime}&run=first" in found


def test_flips_of_subgroups_are_told_from_what_to_what(client: httpx.Client, replays: Path) -> None:
    one, other = (pq.read_table(replays / name / "decisions.parquet").to_pandas()
                  for name in ("first", "second"))  # fmt: skip
    flips = (one["decision.action"].fillna("") != other["decision.action"].fillna("")).to_numpy()
    women = (one["person.sex"] == "female").to_numpy()
    rows = flips_by(client, "/replays/first/vs/second", "sex")
    assert rows[0].children[0].words() == f"Female {women.sum()} decisions"
    assert rows[0].find("a")[0].words() == str((flips & women).sum())
    assert rows[0].children[1].words() == "Add lisinopril 10 mg once daily"
    assert rows[0].children[2].words() == "Keep the treatment as it is"
    stages = flips_by(client, "/replays/first/vs/second", "stage")
    assert [row.children[0].words()[:12] for row in stages] == ["Three months", "Six months 3"]


def test_a_number_leads_to_its_patients(client: httpx.Client, replays: Path) -> None:
    path = "/replays/first/vs/second"
    link = flips_by(client, path, "sex")[1].find("a")[0]
    address = link.attributes["href"]
    assert address.endswith("#listed")
    text = client.get(address).text
    assert "Of <strong>male</strong>" in text
    listed = read_page(text).find("table")[-1].find("tr")[1:]
    assert len(listed) == int(link.words()) < 100
    frame = pq.read_table(replays / "first" / "decisions.parquet").to_pandas()
    men = {(row["key.patient"], f"{row['key.as_of']:%Y-%m-%d %H:%M}")
           for _, row in frame[frame["person.sex"] == "male"].iterrows()}  # fmt: skip
    assert {(row.children[0].words(), row.children[2].words()) for row in listed} <= men
    assert "/patients/" in listed[0].find("a")[0].attributes["href"]


def test_small_cells_are_held_back_and_lead_nowhere(client: httpx.Client) -> None:
    rows = flips_by(client, "/replays/first/vs/second", "age")
    told = [[cell.words() for cell in row.children] for row in rows]
    held = [cells for cells in told if cells[-1] == "held back"]
    assert held
    assert len(held) < len(told)
    assert all(cells[-3:] == ["held back"] * 3 for cells in held)
    shown = [int(cells[-2]) for cells in told if cells not in held]
    assert all(patients == 0 or patients >= 10 for patients in shown)
    group = held[0][0].rsplit(" ", 2)[0]
    answer = client.get("/replays/first/vs/second", params={"in": "Age", "group": group})
    assert answer.status_code == 404
    assert "whose numbers are held back" in answer.text


def test_subgroups_by_a_variable_of_the_readers_choice(client: httpx.Client) -> None:
    path = "/replays/first/vs/second"
    captions = [one.words() for one in read_page(client.get(path).text).find("caption")]
    assert "Flips by Systolic blood pressure" in captions
    assert "Flips by Potassium" not in captions
    rows = flips_by(client, f"{path}?by=potassium", "potassium")
    assert sum("decisions" in row.children[0].words() for row in rows) == 4
    [link] = rows[0].find("a")
    assert "by=potassium" in link.attributes["href"]
    assert client.get(link.attributes["href"]).status_code == 200
    text = client.get(f"{path}?by=<b>").text
    assert "the version has no variable &#39;&lt;b&gt;&#39;" in text


def test_without_the_versions_the_page_parts_by_all_but_age_and_names_them(
    tmp_path: Path, replays: Path
) -> None:
    """Sex and the variables that were named stand in the table; which is the age does not."""
    rules = tmp_path / "rules" / "hypertension-fixed-protocol" / "1.0.0"
    rules.mkdir(parents=True)
    for name, data in bundle_files("hypertension-fixed-protocol"):
        (rules / name).write_bytes(data)
    with live(database=kept_in(tmp_path), replays=replays, rules=tmp_path / "rules") as client:
        page = read_page(client.get("/replays/first/vs/second").text)
    captions = [one.words() for one in page.find("caption")]
    assert "Flips by sex" in captions
    assert "Flips by Systolic blood pressure" in captions
    assert "Flips by age" not in captions
    regime = "hypertension-intensification"
    assert f"this service has not read {regime}@1.0.0 or {regime}@1.1.0 as it was" in page.words()


def test_the_age_is_known_where_a_bundle_of_the_name_is_read(
    tmp_path: Path, replays: Path, client: httpx.Client
) -> None:
    """The shipped version has other bytes than the one that was replayed, and the same age."""
    with live(database=kept_in(tmp_path), replays=replays) as other:
        assert [row.words() for row in flips_by(other, "/replays/first/vs/second", "age")] == [
            row.words() for row in flips_by(client, "/replays/first/vs/second", "age")
        ]


def test_doubts_stand_wherever_a_value_does(client: httpx.Client, replays: Path) -> None:
    """In the words and with the colour of the run's own report."""
    figures = json.loads((replays / "first" / "figures.json").read_bytes())
    doubts = [one["assumption"] for one in figures["value"]["assumptions"]["doubts"]]
    assert doubts
    report = first_of(client, "/replays/first")
    box = first_of(client, "/replays/first/vs/second")
    colour = set(report.attributes["class"].split()) - {"first"}
    assert colour
    assert colour <= set(box.attributes["class"].split())
    assert "Do not go live on this number alone." in box.words()
    for name in doubts:
        assert f"Doubtful: {name}" in box.words()
    page = read_page(client.get("/replays/first/vs/second").text)
    heads, *rows = table_of(page, "What each run says its version is worth")
    assert heads[4:] == ["In words", "Effective n of the weighted value", "Doubtful"]
    assert rows[0][-1] == ", ".join(doubts)
    assert rows[0][4].startswith("Below 0 is better. The")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with runs of one export, asked otherwise each time."""
    folder = tmp_path_factory.mktemp("asked")
    data, runs = export(folder / "data"), folder / "replays"
    both = (bundle_files(), bundle_files("hypertension-fixed-protocol"))
    week = ReplaySettings(end=True, window=parse_duration("P7D"))
    monthly = ReplaySettings(
        points="schedule", first=parse_instant("2025-01-01T00:00:00Z"),
        last=parse_instant("2025-03-01T00:00:00Z"), every=parse_duration("P1M"),
    )  # fmt: skip
    of_others = ReplaySettings(end=True, classes=("act|EMER",))
    for name, bundles, settings in (
        ("end", both[:1], AT_END), ("start", both[:1], ReplaySettings()), ("week", both[:1], week),
        ("both", both, AT_END), ("monthly", both[:1], monthly), ("none", both[:1], of_others),
    ):  # fmt: skip
        run(data, runs / name, bundles=bundles, settings=settings)
        write_answers(runs / name, bundles, FigureSettings(smallest_cell=1))
    with live(database=kept_in(folder), replays=runs) as found:
        yield found


def table_of(page: Element, caption: str) -> list[list[str]]:
    """Return the words of the cells of the table with that caption."""
    [found] = [one for one in page.find("table") if one.find("caption")[0].words() == caption]
    return [[cell.words() for cell in row.children] for row in found.find("tr")]


def first_of(client: httpx.Client, path: str) -> Element:
    """Return what a page of a pair says first."""
    return read_page(client.get(path).text).find("section")[0]


def test_what_else_differs_between_two_runs_stands_in_a_table(asked: httpx.Client) -> None:
    first = first_of(asked, "/replays/end/vs/week")
    assert table_of(first, "What else differs between the runs") == [
        ["", "end", "week"], ["How long after it an action counts as taken", "P30D", "P7D"],
    ]  # fmt: skip
    assert "problem" in first.attributes["class"]
    alike = first_of(asked, "/replays/end/vs/both")
    assert not alike.find("table")
    assert "the same data and were made with the same settings" in alike.words()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("start/vs/end", "the first run decided at the start of an encounter and the second at"),
        ("end/vs/monthly", "The first run decided at encounters, the second at a schedule"),
        ("end/vs/none", "The second run has no decision at all"),
    ],
)
def test_runs_without_a_decision_in_common_say_why(
    asked: httpx.Client, path: str, words: str
) -> None:
    said = first_of(asked, f"/replays/{path}").words()
    assert "The runs have no decision in common." in said
    assert words in said


def test_a_run_of_two_versions_enters_by_either(asked: httpx.Client) -> None:
    care, fixed = "hypertension-stepped-care@1.0.0", "hypertension-fixed-protocol@1.0.0"
    lead = f"First: the run end, version {care}. Second: the run both, version "
    page = read_page(asked.get("/replays/end/vs/both").text)
    assert f"{lead}{care}." in page.words()
    [choice] = [one for one in page.find("select") if one.attributes["name"] == "b"]
    assert [one.words() for one in choice.find("option")] == [care, fixed]
    assert first_of(asked, "/replays/end/vs/both").words().count(" 0 of ") == 1
    other = asked.get("/replays/end/vs/both?b=against")
    assert f"{lead}{fixed}." in read_page(other.text).words()
    assert "First: end" in read_page(other.text).words()
    [held] = [one.attributes for one in read_page(other.text).find("input")
              if one.attributes["name"] == "b"]  # fmt: skip
    assert (held["type"], held["value"]) == ("hidden", "against")
    rows = [one for one in links(asked, "/replays/end/vs/both?b=against") if "in=" in one]
    assert rows
    for address in (rows[0], "/replays/both/vs/end?a=against"):
        assert asked.get(address).status_code == 200
    for query in ("a=against", "b=third"):
        assert asked.get(f"/replays/end/vs/both?{query}").status_code == 404


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ("", ("stepped-care", "fixed-protocol")),
        ("?a=version", ("stepped-care", "fixed-protocol")),
        ("?a=against", ("fixed-protocol", "stepped-care")),
        ("?b=version", ("fixed-protocol", "stepped-care")),
        ("?a=against&b=against", ("fixed-protocol", "fixed-protocol")),
        ("?a=version&b=version", ("stepped-care", "stepped-care")),
    ],
)
def test_the_side_that_is_not_named_is_the_other_version(
    asked: httpx.Client, query: str, versions: tuple[str, str]
) -> None:
    page = read_page(asked.get(f"/replays/both/vs/both{query}").text)
    lead = next(one.words() for one in page.find("p") if one.words().startswith("First: the run"))
    named = [f"hypertension-{one}@1.0.0" for one in versions]
    assert [code.words() for code in page.find("code")][:2] == named, lead
    alike = "Both sides are the same version of the same run" in page.words()
    assert alike == (versions[0] == versions[1])
    swapped = [one for one in links(asked, f"/replays/both/vs/both{query}") if "a=" in one]
    assert asked.get(swapped[0]).status_code == 200


def test_two_runs_of_one_version_say_so(asked: httpx.Client) -> None:
    assert "Both are the same version." in first_of(asked, "/replays/end/vs/week").words()
    other = first_of(asked, "/replays/end/vs/both?b=against")
    assert "the same version" not in other.words()


def test_a_run_beside_itself_is_its_two_versions(asked: httpx.Client) -> None:
    assert asked.get("/replays?one=both&other=both").status_code == 303
    figures = first_of(asked, "/replays/both/vs/both")
    flips = re.compile(r"\d+ of \d+ decisions flip")
    [flipped] = flips.findall(figures.words())
    assert flips.findall(first_of(asked, "/replays/end/vs/both?b=against").words()) == [flipped]
    [swapped] = [one for one in links(asked, "/replays/both/vs/both") if "a=against" in one]
    assert swapped == "/replays/both/vs/both?a=against&b=version"


def test_of_each_version_its_own_orders_are_withheld(tmp_path: Path) -> None:
    """What only one version's actions show as ordered stands in the history of the other."""
    folder = tmp_path / "replays" / "both"
    folder.mkdir(parents=True)
    bundles = intensification(), intensification(OTHER)
    frame = points_of(a_world().draw(300, 4), *bundles)
    frame["key.withheld"] = [["MedicationRequest/ours"]] * len(frame)
    frame["against.withheld"] = [["MedicationRequest/theirs"]] * len(frame)
    (folder / "figures.json").write_bytes(as_json(figures_of(frame, *bundles)))
    pq.write_table(pa.Table.from_pandas(frame), folder / "decisions.parquet")
    with live(
        database=kept_in(tmp_path), replays=tmp_path / "replays", patients=tmp_path
    ) as client:
        pages = {path: [one for one in links(client, f"/replays/both{path}") if "as_of=" in one]
                 for path in ("", "/vs/both", "/vs/both?a=against&b=version")}  # fmt: skip
    for found in pages.values():
        ours = [one for one in found if one.endswith("run=both&without=MedicationRequest%2Fours")]
        theirs = [one for one in found if one.endswith("without=MedicationRequest%2Ftheirs")]
        assert len(ours) + len(theirs) == len(found)
        assert len(ours) == len(theirs) > 20
        assert all("%401.0.0&" in one for one in ours)
        assert all("%401.1.0&run=both&side=against&" in one for one in theirs)
    assert "theirs" in pages["/vs/both?a=against&b=version"][0]


def test_the_page_of_a_patient_says_what_the_timeline_says(tmp_path: Path) -> None:
    data = export(tmp_path / "data")
    run(data, tmp_path / "replays" / "one")
    write_answers(tmp_path / "replays" / "one", (bundle_files(),))
    figures = json.loads((tmp_path / "replays" / "one" / "figures.json").read_bytes())
    said = [at for one in figures["timelines"] for at in one["decisions"]]
    assert len({at["version"] for at in said}) > 2
    with live(database=kept_in(tmp_path), replays=tmp_path / "replays", patients=data) as client:
        found = [one for one in links(client, "/replays/one") if "/patients/" in one]
        assert len(found) == len(said)
        for at, link in zip(said, found, strict=True):
            page = read_page(client.get(link).text)
            card = next(one for one in page.find("section") if "outcome" in one.attributes["class"])
            words = figures["bundle"]["actions"].get(at["version"], OTHERWISE[at["version"]])
            assert words in card.words()
            assert "the two agree in the outcome, the stage and the advice" in page.words()
            assert "say otherwise" not in page.words()
        assert sum("without=" in link for link in found) > 5


def test_a_run_of_other_records_with_the_same_ids_is_told_from_them(tmp_path: Path) -> None:
    """What the page read then was not what the run did: a blood pressure, and so the advice."""
    data = export(tmp_path / "data")
    both = bundle_files(), bundle_files("hypertension-fixed-protocol")
    run(data, tmp_path / "replays" / "one", bundles=both, settings=AT_END)
    write_answers(tmp_path / "replays" / "one", both, FigureSettings(smallest_cell=1))
    other = data / "Observation.ndjson"
    lower = [json.loads(line) for line in other.read_text().splitlines()]
    for one in lower:
        for part in one.get("component", ()):
            part["valueQuantity"]["value"] -= 60
        if "valueQuantity" in one:
            one["valueQuantity"]["value"] *= 0.7
    other.write_text("".join(f"{json.dumps(one)}\n" for one in lower))
    with live(database=kept_in(tmp_path), replays=tmp_path / "replays", patients=data) as client:
        found = [one for one in links(client, "/replays/one") if "as_of=" in one]
        told = {link: read_page(client.get(link).text) for link in found}
        apart = {link: page for link, page in told.items() if "say otherwise" in page.words()}
        assert apart
        assert any("side=" in link and "the two agree" in page.words()
                   for link, page in told.items())  # fmt: skip
        for page in apart.values():
            heads, *rows = table_of(page, "Where page and run differ")
            assert heads == ["What", "In the run", "On this page"]
            assert all(there != here for _, there, here in rows)
            assert "Do not take this page for what the run saw." in page.words()
        values = {row[0] for link, page in apart.items() if "side=" not in link
                  for row in table_of(page, "Where page and run differ")[1:]}  # fmt: skip
        assert {"Advice"} < values
        link = found[0]
        assert "say otherwise" not in client.get(link.replace("run=one", "run=two")).text
        assert "there is no such replay" in client.get(link.replace("run=one", "run=two")).text
        before = link.replace("as_of=202", "as_of=201")
        assert "has no decision on this patient at this instant" in client.get(before).text
        assert "You come from the run" not in client.get(link.replace("run=one", "run=")).text
