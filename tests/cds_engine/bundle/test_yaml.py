"""YAML is plain data here: what a person reads is what the engine reads, or it is refused."""

import time

import pytest

from cds_engine.bundle.yaml import MAX_BYTES, as_json, read_yaml, unsafe_values
from cds_engine.errors import RuleBundleError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1.10", 1.1),
        ("'1.10'", "1.10"),
        ("017", 17),
        ("0o17", 15),
        ("true", True),
        ("null", None),
        ("~", None),
        ("1e3", 1000.0),
        ("2026-01-31", "2026-01-31"),
        ("snomed|38341003", "snomed|38341003"),
        ("sant\u00e9", "sant\u00e9"),
    ],
)
def test_se_13_words_and_numbers_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    content = read_yaml("x.yaml", f"a: {text}\n".encode())
    plain = content["a"]
    assert (plain if plain == value else str(plain)) == value
    assert as_json(content)


BEGIN = "rule bundle cannot be used; 1 fault:\n  - "


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%YAML 1.1\n---\na: NO\n",
         "x.yaml:2: has a % directive, which could change what words mean; remove it"),
        (b"%TAG ! tag:example.org,2000:\n---\na: 1\n",
         "x.yaml:2: has a % directive, which could change what words mean; remove it"),
        (b"<<: {a: 1}\nb: 2\n",
         "x.yaml:1: uses a merge key (<<); write the fields out where they are used"),
        (b"a: &x [1]\nb: *x\n",
         "x.yaml:1: uses an anchor or alias; write the value out where it is used"),
        (b"a: 1\nb: *x\n",
         "x.yaml:2: uses an anchor or alias; write the value out where it is used"),
        (b"a: !!python/object/apply:os.system [ls]\n",
         ("x.yaml:1: uses the tag tag:yaml.org,2002:python/object/apply:os.system; only plain data "
         "is read")),
        (b"a: !!str 1\n", "x.yaml:1: uses the tag tag:yaml.org,2002:str; only plain data is read"),
        (b"a: ! 1\n", "x.yaml:1: uses the tag !; only plain data is read"),
        (b"a: 1\nb: 2\na: 3\n",
         ('x.yaml: line 3: found duplicate key "a" with value "3" (original value: "1"); each key '
         "may stand only once")),
        (b"a: {b: 1, b: 2}\n",
         ('x.yaml: line 1: found duplicate key "b" with value "2" (original value: "1"); each key '
         "may stand only once")),
        (b"a: " + b"[" * 70 + b"]" * 70, "x.yaml:1: is nested more than 60 deep"),
        pytest.param(b"#" * (MAX_BYTES + 1),
                     "x.yaml: has 2000001 bytes, at most 2000000 are read", id="too long"),
        ("a: 1".encode("utf-16"), "x.yaml: is not UTF-8 at byte 0; save it as UTF-8"),
        (b"a: \xe9\n", "x.yaml: is not UTF-8 at byte 3; save it as UTF-8"),
        (b"a: [1\n", "x.yaml: line 2: expected ',' or ']', but got '<stream end>'"),
        (b"a:\n\tb: 1\n", "x.yaml: line 2: found character '\\t' that cannot start any token"),
        (b"a: 2026-13-45\n", "x.yaml: is not readable YAML: month must be in 1..12"),
        (b"a: 1\n---\nb: 2\n", "x.yaml: line 2: but found another document"),
        (b"", "x.yaml: must hold a mapping of fields at the top"),
        (b"- a\n", "x.yaml: must hold a mapping of fields at the top"),
        (b"? {a: 1}\n: 2\n", "x.yaml: line 1: found unhashable key"),
    ],
)  # fmt: skip
def test_se_13_everything_else_is_refused_with_its_line(data: bytes, words: str) -> None:
    with pytest.raises(RuleBundleError) as caught:
        read_yaml("x.yaml", data)
    assert str(caught.value) == BEGIN + words


def test_se_13_control_characters_are_not_yaml() -> None:
    with pytest.raises(RuleBundleError, match="special characters are not allowed"):
        read_yaml("x.yaml", b'a: "x\x00"\n')


def test_se_13_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    started = time.process_time()
    with pytest.raises(RuleBundleError, match="uses an anchor or alias"):
        read_yaml("x.yaml", bomb.encode())
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ({"a": float("inf")}, ["a: is not a finite number"]),
        ({"a": {"b": [1, float("nan")]}}, ["a.b[1]: is not a finite number"]),
        ({"a": 10**400}, ["a: is too large a number to be compared; check the unit"]),
        ({"a": -1e15}, ["a: is too large a number to be compared; check the unit"]),
        ({1: "x"}, ["the key 1 is no text; put it in quotes"]),
        ({"a": {True: "x", None: "y"}},
         ["a: the key true is no text; put it in quotes",
          "a: the key None is no text; put it in quotes"]),
        ({"a": "x\0"}, ["a: holds U+0000, which no reader sees; remove it"]),
        ({"a": ["\u202egnp.exe"]}, ["a[0]: holds U+202E, which no reader sees; remove it"]),
        ({"a\u200b": 1}, ["holds U+200B, which no reader sees; remove it"]),
        ({"a": "\ud800"}, ["a: holds U+D800, which no reader sees; remove it"]),
        ({"a": 999_999_999_999_999, "b": "two\nlines\tand \u00e9", "c": [True, None]}, []),
    ],
)  # fmt: skip
def test_rl_21_and_rl_23_numbers_and_signs_that_readers_disagree_on_are_named(
    content: object, faults: list[str]
) -> None:
    assert [str(fault) for fault in unsafe_values(content)] == faults


def test_a_byte_order_mark_is_not_part_of_a_name() -> None:
    assert read_yaml("x.yaml", b"\xef\xbb\xbfa: 1\n") == {"a": 1}


@pytest.mark.parametrize("text", ["1e999", "1E+3000000", ".inf", "-.inf", ".nan"])
def test_rl_21_a_number_beyond_all_numbers_is_not_finite(text: str) -> None:
    content = read_yaml("x.yaml", f"a: {text}\n".encode())
    assert [str(fault) for fault in unsafe_values(content)] == ["a: is not a finite number"]
