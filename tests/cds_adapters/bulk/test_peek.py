"""A block of lines is judged at once only where that says what looking at each line says."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.replays import AT_END, bundle_files, export, run, write
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.bulk import scan
from cds_adapters.bulk.judge import Judge
from cds_adapters.bulk.names import NameList, name_hashes
from cds_adapters.bulk.peek import Block, look_at
from cds_adapters.bulk.wanted import Wanted
from cds_adapters.fhir.samples import MESSES
from cds_adapters.fhir.site_map import PLAIN
from cds_engine.bundle.read import read_bundle

BUNDLE = read_bundle(dict(bundle_files()))


def a_line(code: str, number: int, **fields: object) -> bytes:
    coding = {"system": "http://loinc.org", "code": code}
    found = {"resourceType": "Observation", "id": f"o{number}", "code": {"coding": [coding]}}
    return json.dumps(found | {"subject": {"reference": "Patient/1"}} | fields).encode()


def looked(lines: Sequence[bytes], end: bytes = b"\n") -> tuple[Block | None, Judge]:
    judge = Judge(Wanted((BUNDLE,)), PLAIN)
    return look(b"\n".join(lines) + end, judge), judge


def look(text: bytes, judge: Judge) -> Block | None:
    return look_at(text, np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")), judge)


READ, UNREAD = a_line("8480-6", 1), a_line("8867-4", 2)


def test_what_is_read_is_kept_and_the_rest_is_counted() -> None:
    block, judge = looked([UNREAD, READ, a_line("8867-4", 3)])
    assert block is not None
    assert (block.kind, block.lines) == ("Observation", 3)
    assert [one[:2] for one in block.kept] == [(1, READ)]
    assert block.dropped == ["o2", "o3"]
    assert judge.passed_over() == {"Observation": 2}
    assert judge.unmapped() == {"Observation loinc|8867-4": 2}
    assert (judge.unread, judge.elsewhere) == ({"Observation": 2}, {})


def test_a_panel_is_looked_at_by_itself() -> None:
    panel = a_line("85354-9", 4, component=[{"code": {"coding": []}}])
    block, _ = looked([UNREAD, panel])
    assert block is not None
    assert block.kept == [(1, panel, None)]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([UNREAD, b""], id="an empty line"),
        pytest.param([UNREAD, UNREAD[:-20]], id="a line cut in the middle"),
        pytest.param([UNREAD, b'{"resourceType": "Patient", "id": "1"}'], id="two types"),
        pytest.param([UNREAD, UNREAD + UNREAD], id="two resources on a line"),
        pytest.param([UNREAD[:17], UNREAD[17:], UNREAD + UNREAD], id="one on two lines"),
        pytest.param([UNREAD, a_line("1", 1, subject="Patient/1")], id="a wrong element"),
        pytest.param(
            [UNREAD, a_line("1", 1).replace(b'"code": {"coding"', b'"code": {"coding": 7, "x"')],
            id="a wrong code",
        ),
        pytest.param([UNREAD, b'{"id": "1"}'], id="no type"),
        pytest.param([b" " + UNREAD], id="a space in front"),
        pytest.param([UNREAD + b"\r"], id="a carriage return"),
        pytest.param([UNREAD.replace(b"o2", b"\xff")], id="no UTF-8"),
    ],
)
def test_a_block_that_is_not_plain_is_left_alone(lines: list[bytes]) -> None:
    block, judge = looked(lines)
    assert block is None
    assert judge.passed_over() == {}


@pytest.mark.parametrize("block", [b"\n", b"{}\n", b"}\n{\n", b"\n\n"])
def test_the_smallest_blocks_are_no_trouble(block: bytes) -> None:
    assert look(block, Judge(Wanted((BUNDLE,)), PLAIN)) is None


def _one_by_one(text: bytes, feeds: object, judge: Judge) -> None:
    """Stand in for ``look_at``: nothing is plain."""


def _damaged(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.glob("*.ndjson")):
        lines = file.read_bytes().splitlines()
        lines[1:1] = [b"", lines[0][:40], b'{"resourceType": "Observation"}', b"[]", lines[0]]
        yield file.name, b"\n".join(lines)


@pytest.mark.parametrize("damaged", [False, True])
def test_line_by_line_and_in_blocks_come_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    data = export(tmp_path / "data", 14, tuple(MESSES))
    if damaged:
        data = write(tmp_path / "damaged", dict(_damaged(data)))
    settings: dict[str, Any] = {"settings": AT_END, "max_damaged": 1.0}
    run(data, tmp_path / "blocks", **settings)
    monkeypatch.setattr(scan, "look_at", _one_by_one)
    run(data, tmp_path / "lines", **settings)
    for file in (tmp_path / "lines").iterdir():
        assert file.read_bytes() == (tmp_path / "blocks" / file.name).read_bytes()


_NAMES = st.lists(st.text(max_size=12), max_size=40)


@given(_NAMES, st.sampled_from(["", "Observation/"]))
def test_names_have_the_same_hash_alone_and_among_others(names: list[str], before: str) -> None:
    together = name_hashes(names, before)
    alone = [int(name_hashes([before + name])[0]) for name in names]
    assert together.tolist() == alone


def test_names_that_differ_a_little_differ_in_their_hash() -> None:
    names = [
        f"Observation/{kind}-{n}-x-{m}" for kind in "ab" for n in range(300) for m in range(99)
    ]
    assert len(np.unique(name_hashes(names))) == len(names)


def test_a_list_of_names_keeps_all_of_them() -> None:
    found = NameList()
    names = [f"n{number}" for number in range(9_000)]
    for name in names[:5_000]:
        found.add(name)
    found.extend(names[5_000:], "")
    assert sorted(found.hashes().tolist()) == sorted(name_hashes(names).tolist())
