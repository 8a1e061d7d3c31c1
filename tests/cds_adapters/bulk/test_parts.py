"""A file that is read in parts comes to what it comes to as a whole."""

from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from builders.replays import AT_END, export, run, write
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.bulk import parts
from cds_adapters.bulk.parts import parts_of, together
from cds_adapters.bulk.rejects import Reject
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.sources import Part, find_export
from cds_adapters.bulk.streams import FileStream
from cds_adapters.fhir.samples import MESSES


def lines_of(folder: Path, part: Part) -> bytes:
    found = find_export(str(folder))
    return b"".join(FileStream(found.address, found.files[part.file], part).chunks())


_TEXT = st.lists(st.sampled_from([b"", b"{}", b'{"a": 1}', b"x" * 40]), max_size=12)


@given(lines=_TEXT, ended=st.booleans(), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_every_line_is_in_the_one_part_in_which_it_begins(
    lines: list[bytes], ended: bool, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = b"\n".join(lines) + (b"\n" if ended else b"")
    folder = write(tmp_path_factory.mktemp("data"), {"Observation.ndjson": text})
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    found = [lines_of(folder, Part(0, start, end)) for start, end in pairwise(ends)]
    assert b"".join(found) == text
    for start, part in zip(ends[:-1], found, strict=False):
        first = 0 if start == 0 else text.find(b"\n", start - 1) + 1
        assert text.startswith(part, first)


def test_only_large_files_of_plain_lines_have_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "SIZE", 100)
    lines = b"{}\n" * 100
    folder = write(tmp_path, {"a.ndjson": lines, "b.ndjson": lines[:90], "c.ndjson.gz": lines})
    assert parts_of(find_export(str(folder))) == (
        Part(0, 0, 100), Part(0, 100, 200), Part(0, 200, 300), Part(0, digest=True), Part(1),
        Part(2),
    )  # fmt: skip


def _damaged(folder: Path) -> dict[str, bytes]:
    found = {}
    for file in sorted(folder.glob("*.ndjson")):
        lines = file.read_bytes().splitlines()
        for at in range(1, len(lines), 7):
            lines[at:at] = [b"", lines[0][:40], b"[]"]
        found[file.name] = b"\n".join(lines)[:-9]
    return found


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize(("jobs", "size"), [(1, 20_000), (2, 777)])
def test_parts_have_no_say_in_what_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool, jobs: int, size: int
) -> None:
    data = export(tmp_path / "data", 14, tuple(MESSES))
    if damaged:
        data = write(tmp_path / "damaged", _damaged(data))
    run(data, tmp_path / "whole", settings=AT_END, max_damaged=1.0)
    monkeypatch.setattr(parts, "SIZE", size)
    run(data, tmp_path / "parts", settings=AT_END, max_damaged=1.0, jobs=jobs)
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "parts" / file.name).read_bytes()


def test_the_digest_of_a_file_in_parts_is_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = export(tmp_path / "data", 14)
    monkeypatch.setattr(parts, "SIZE", 1_000)
    told = run(data, tmp_path / "out").manifest["data"]["files"]
    assert {one["name"]: one["sha256"] for one in told} == {
        file.name: sha256(file.read_bytes()).hexdigest() for file in data.glob("*.ndjson")
    }


def test_no_part_of_a_report_is_lost_when_parts_are_put_together() -> None:
    reject = Reject("a", 1, -1, "because", attributed=False, text="{")
    first = Scanned(
        "digest", 1, 1, Counter(a=1), Counter(a=1), [(0, 0, 1)], [reject], "cut", 1, 1, {1: (1, 5)},
        {1: (1, 5)}, Counter(a=1), {"Observation/1": None}, 1, 1, 1, Counter(a=1),
        unread=Counter(a=1), elsewhere=Counter(a=1), mapped=["a"], timed=1, long_before=1,
    )  # fmt: skip
    whole = together((Part(0), Part(0)), (first, first)).files[0]
    told = asdict(whole)
    plain = asdict(Scanned())
    # where its pieces are only a part itself knows
    assert [name for name in told if told[name] == plain[name]] == ["blocks"]
    assert whole.days == whole.days_beyond == {1: (2, 5)}
    assert (whole.merged, whole.inactive, whole.deleted_unclear) == (2, 2, 2)
