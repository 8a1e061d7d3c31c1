"""Text of any kind stands on a card as text."""

import re
import sys
import unicodedata
from html import unescape

import pytest
from builders.cards import HOSTILE, UNHURRIED, hostile_texts
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cds_adapters.cds_hooks.markdown import REPLACED, code, escape, plain, shorten

_parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

# What the common renderers of GitHub's Markdown turn into links without being asked.
_autolink = re.compile(
    r"https?://[-.\w]|www\.[-.\w]|[-.\w+]+@[-\w]+(?:\.[-\w]+)+|(?:mailto|xmpp):\S+@\S",
    re.IGNORECASE,
)


def tokens(text: str) -> list[Token]:
    """Return every token of some Markdown, the inner ones too."""
    found = []
    for token in _parser.parse(text):
        found.append(token)
        found += token.children or []
    return found


def shown(text: str) -> str:
    """Return what a reader sees of some Markdown."""
    return "".join(t.content for t in tokens(text) if t.type in ("text", "text_special"))


@pytest.mark.parametrize("before", ["", "- ", "Why: ", "| cell | "])
@UNHURRIED
@given(text=hostile_texts())
def test_se_10_a_text_never_becomes_markup(before: str, text: str) -> None:
    types = {token.type for token in tokens(before + escape(text))}
    assert types <= {
        "paragraph_open", "paragraph_close", "inline", "text", "text_special",
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    }  # fmt: skip


@UNHURRIED
@given(hostile_texts())
def test_se_10_an_escaped_text_reads_as_the_text_itself(text: str) -> None:
    without_spaces = shown(escape(text)).replace(" ", "")
    assert without_spaces == plain(text).replace(" ", "")


@UNHURRIED
@given(hostile_texts())
def test_se_10_an_escaped_text_does_nothing_where_it_is_shown_as_html(text: str) -> None:
    assert "<" not in escape(text)
    assert ">" not in escape(text)
    assert not re.search(r"&(?!amp;|lt;|gt;)", escape(text))


@UNHURRIED
@given(hostile_texts())
def test_se_10_no_bare_address_becomes_a_link(text: str) -> None:
    assert not _autolink.search(unescape(escape(text).replace("\\", "")))


@pytest.mark.parametrize("text", HOSTILE)
def test_se_10_a_text_stays_one_cell_of_its_table(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {escape(text)} | end |"
    cells = [t for t in tokens(table) if t.type == "td_open"]
    assert len(cells) == 2


def test_rl_23_every_character_that_cannot_be_seen_is_made_visible() -> None:
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    kept = {"\u200c", "\u200d"}
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.category(character) in hidden and character not in kept:
            assert plain(f"a{character}b") in {"a b", f"a{REPLACED}b"}, hex(point)


def test_rl_23_direction_marks_do_not_turn_the_text_round() -> None:
    assert plain("take \u202e05 mg") == f"take {REPLACED}05 mg"


@UNHURRIED
@given(st.text())
def test_rl_23_what_is_shown_can_always_be_encoded(text: str) -> None:
    plain(text).encode()
    escape(text).encode()
    code(text).encode()


def test_ordinary_words_are_left_alone() -> None:
    assert escape("Observation/abc-1") == "Observation/abc-1"
    assert escape("Zestril 10 mg, once a day (à jeun)") == "Zestril 10 mg, once a day (à jeun)"


def test_a_number_is_no_list() -> None:
    assert escape("12. May") == "12\\. May"
    assert escape("4.2") == "4.2"
    assert escape("-5") == "-5"


def test_a_code_span_holds_neither_markup_nor_its_own_end() -> None:
    assert code("hypertension@1.0.0") == "`hypertension@1.0.0`"
    assert code("a`b|c<i>") == f"`a{REPLACED}b{REPLACED}c{REPLACED}i{REPLACED}`"
    assert code("") == ""


@UNHURRIED
@given(st.text(), st.integers(2, 60))
def test_a_text_is_cut_to_its_limit(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit
    assert len(plain(text, limit)) <= limit


def test_a_text_is_cut_at_a_word() -> None:
    assert shorten("Consider: start lisinopril", 20) == "Consider: start…"
    assert shorten("short", 20) == "short"
    assert shorten("a" * 30, 10) == "a" * 9 + "…"
