"""Replays as pages of the service: listed, read, compared; and nothing else can be read."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders.live_service import kept_in, live
from builders.replay_worlds import a_world, intensification, points_of

from cds_adapters.report.answers import as_json
from cds_engine.replay.figures.document import figures_of

OTHER = {"constant: -9.19711": "constant: -12.0"}


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "replays"
    draw = a_world().draw(300, 4)
    for name, bundle, run in (
        ("first", intensification(), {"data": "sha256:1"}),
        ("second", intensification(OTHER), {"data": "sha256:1"}),
    ):
        out = folder / name
        out.mkdir(parents=True)
        frame = points_of(draw, bundle)
        (out / "figures.json").write_bytes(as_json(figures_of(frame, bundle, run=run)))
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
    with live(database=kept_in(tmp_path_factory.mktemp("service")), replays=replays) as found:
        yield found


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


def test_without_a_folder_nothing_is_shown(tmp_path: Path) -> None:
    with live(database=kept_in(tmp_path)) as client:
        answer = client.get("/replays")
    assert answer.status_code == 404
    assert "Start it with --replays" in answer.text
