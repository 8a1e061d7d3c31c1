"""A JSON object that gives one key twice is refused, wherever it stands."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"7",
        b'[{"a":1},{"a":2}]',
        b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
        b'{"a":"\\"a\\":1","A":2}',
        b'{"n":1e999,"m":' + b"9" * 10_000 + b"}",
    ],
)
def test_each_key_once_is_fine(body: bytes) -> None:
    refuse_duplicate_keys(body)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"subject":1,"subject":1}', "subject"),
        (b'{"x":{"y":[1,{"status":"final","code":1,"status":"final"}]}}', "status"),
        (b'{"a":1, "\\u0061" : 2}', "a"),
        (b'{"a":{},"a":{}}', "a"),
        (b'{"":1,"":2}', ""),
    ],
)
def test_a_key_twice_is_refused_by_name(body: bytes, key: str) -> None:
    with pytest.raises(FHIRError, match=f"the key {key!r} stands twice in one JSON object"):
        refuse_duplicate_keys(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not JSON"),
        (b'{"a":', "is not JSON"),
        (b'{"a":"\xff"}', "it is not UTF-8"),
        (b'{"a":NaN}', "NaN is no JSON number"),
        (b'{"a":-Infinity}', "-Infinity is no JSON number"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(FHIRError, match=words):
        refuse_duplicate_keys(body)


OBJECTS = st.recursive(
    st.none() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=4).map(tuple)
    ),
    max_leaves=10,
)
"""Tuples of pairs stand for objects, so that a key can occur twice."""


def write(value: Any) -> str:
    if isinstance(value, tuple):
        return "{" + ",".join(f"{json.dumps(key)}:{write(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


def repeats(value: Any) -> bool:
    if isinstance(value, tuple):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(repeats(item) for _, item in value)
    return isinstance(value, list) and any(map(repeats, value))


@given(OBJECTS)
def test_exactly_the_repeated_keys_are_found(value: Any) -> None:
    try:
        refuse_duplicate_keys(write(value).encode())
    except FHIRError:
        assert repeats(value)
    else:
        assert not repeats(value)
