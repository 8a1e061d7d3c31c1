"""ASSURANCE.md, RL-20 to RL-24 and SE-19: bodies that are meant to do harm."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import pytest
from builders.hook_calls import Json, Served, diagnostics, hook_body, prefetch, pressure, searchset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SERVED = Served()


def with_text(old: str, new: str) -> bytes:
    """Return a good body in which a text is replaced, as JSON libraries would not write it."""
    text = json.dumps(hook_body())
    assert old in text
    return text.replace(old, new, 1).encode()


def test_rl_20_a_body_beyond_the_limit_is_413_before_it_is_read() -> None:
    answer = Served(max_body=1_000).call()
    assert answer.status_code == 413
    assert "1000 bytes" in diagnostics(answer)


def test_rl_20_a_body_that_lies_about_its_length_is_413_all_the_same() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    served = Served(max_body=1_000)
    headers = {"content-type": "application/json"}
    path = "/cds-services/pressure-patient-view"
    answer = served.request("POST", path, content=chunks(), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("open_close", ["[]", "{}"])
def test_rl_20_deep_json_is_400_wherever_it_stands(depth: int, open_close: str) -> None:
    start = "[" if open_close == "[]" else '{"a":'
    deep = start * depth + "1" + open_close[1] * depth
    for place in ('"extension": ', '"unknown": ', '"prefetch": '):
        body = json.dumps(hook_body())[:-1] + f", {place}{deep}}}"
        assert SERVED.call(body.replace('"prefetch": {"patient', '"pre": {"patient', 1).encode()
                           ).status_code == 400  # fmt: skip
    assert SERVED.call(deep.encode()).status_code == 400


def test_rl_20_many_small_resources_are_read() -> None:
    many = [pressure(f"sbp-{n}") for n in range(3_000)]
    answer = SERVED.call(
        hook_body(prefetch=prefetch(observations_sbp=searchset(*many, total=3_000)))
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "01", "+1", ".5"]
)
def test_rl_21_what_is_no_json_number_or_too_large_is_refused(number: str) -> None:
    answer = SERVED.call(with_text('"value": 152', f'"value": {number}'))
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:  # JSON, but no number that fits: the one reading is set aside
        assert number in {"1e999", "-1e999"}
        assert SERVED.audit.last.outcome == "abstention"


@pytest.mark.parametrize("number", ["1E+3000000", "-0", "1e-999", "9" * 5_000])
def test_rl_21_strange_numbers_end_quickly_and_never_in_advice(number: str) -> None:
    answer = SERVED.call(with_text('"value": 152', f'"value": {number}'))
    assert answer.status_code in {200, 400}
    assert SERVED.audit.last.outcome != "recommendation" or answer.status_code == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"patientId":', '"patientId": "p2", "patientId":'),
        ('"reference":', '"reference": "Patient/p2", "reference":'),
        ('"value": 152', '"value": 90, "value": 152'),
        ('"hook":', '"hook": "order-sign", "hook":'),
        ('"status":', '"st\\u0061tus": "entered-in-error", "status":'),
        ('"birthDate":', '"x": {"y": 1, "z": 2, "y": 3}, "birthDate":'),
    ],
)
def test_rl_22_a_key_that_stands_twice_is_refused_wherever_it_does(old: str, new: str) -> None:
    answer = SERVED.call(with_text(old, new))
    assert answer.status_code == 400
    assert "stands twice" in diagnostics(answer)


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00\\ud800", "\\u12", "\\x00", "\x00", "\x1f"])
def test_rl_23_broken_text_is_refused(text: str) -> None:
    assert SERVED.call(with_text("Canaryname", text)).status_code == 400


@pytest.mark.parametrize(
    "text", ["\\u0000", "\\u202e", "e\\u0301", "\\ud83d\\ude00", "\\u001b[31m"]
)
def test_rl_23_odd_text_changes_nothing(text: str) -> None:
    answer = SERVED.call(with_text("Canaryname", text))
    assert answer.status_code == 200
    assert SERVED.audit.last.action == "lifestyle"


def test_rl_23_a_code_that_only_looks_alike_is_another_code() -> None:
    body = with_text('"code": "38341003"', '"code": "3834100\\u0663"')
    assert SERVED.call(body).status_code == 200
    assert SERVED.audit.last.outcome == "not_applicable"


PACKED = {"content-encoding": "gzip"}


def test_rl_24_a_compressed_body_is_read() -> None:
    data = gzip.compress(json.dumps(hook_body()).encode())
    assert SERVED.call(data, headers=PACKED).status_code == 200


def test_rl_24_a_bomb_is_413_long_before_it_is_expanded() -> None:
    bomb = gzip.compress(b" " * 60_000_000)
    assert len(bomb) < 100_000
    answer = SERVED.call(bomb, headers=PACKED)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "data",
    [
        b"not gzip",
        gzip.compress(b"{}", mtime=0)[:-4],
        gzip.compress(b"{}", mtime=0) + b"more",
        zlib.compress(b"{}"),
        b"",
    ],
)
def test_rl_24_what_is_not_one_whole_gzip_is_400(data: bytes) -> None:
    assert SERVED.call(data, headers=PACKED).status_code == 400


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "x"])
def test_rl_24_other_encodings_are_415(encoding: str) -> None:
    assert SERVED.call(headers={"content-encoding": encoding}).status_code == 415


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PLACES = ("hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization",
          "extension")  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from(PLACES), value=json_values)
def test_rl_32_any_json_at_the_top_is_answered_and_never_with_5xx(
    place: str, value: object
) -> None:
    answer = SERVED.call({**hook_body(), place: value})
    assert answer.status_code in {200, 400, 412}
    assert ("cards" in answer.json()) == (answer.status_code == 200)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(sorted(prefetch())), value=json_values)
def test_rl_32_any_json_in_the_prefetch_is_answered_and_never_with_5xx(
    key: str, value: object
) -> None:
    answer = SERVED.call(hook_body(prefetch=prefetch(**{key: value})))
    assert answer.status_code in {200, 400, 412}


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    return [path, *(p for key, item in items for p in paths(item, (*path, key)))]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_rl_32_one_part_of_a_good_body_replaced_by_anything_is_never_5xx(
    data: st.DataObject,
) -> None:
    body: Json = hook_body()
    path = data.draw(st.sampled_from(paths(body)[1:]))
    holder: object = body
    for step in path[:-1]:
        holder = holder[step]  # type: ignore[index]
    holder[path[-1]] = data.draw(json_values)  # type: ignore[index]
    assert SERVED.call(body).status_code in {200, 400, 412}
