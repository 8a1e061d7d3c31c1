"""Text from a rule bundle or a record can stand on a card, and never becomes markup or a link."""

import re
import unicodedata

REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands where a character was that a reader could not see, or that turns the text around."""

_JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
"""Invisible, but some scripts cannot be written without them."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co"})
_MARKUP = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {mark: f"\\{mark}" for mark in "\\`*_[]|~#$!{}"}
)
_harmless = re.compile(r"[A-Za-z][A-Za-z0-9 /-]*").fullmatch
# GitHub's Markdown makes links of bare addresses, after escapes are resolved; a space stops it.
_linkable = re.compile(r"(://|@|www(?=\.))(?=\S)", re.IGNORECASE).sub
_block_start = re.compile(r"([-+](?=[\s+-]|$)|=|\d{1,9}[.)](?=\s|$))").match


def plain(text: str, limit: int | None = None) -> str:
    """Return text on one line, with everything unseen made visible.

    Line breaks and tabs become spaces; control characters, direction marks, lone surrogates and
    the like become the replacement character.

    Args:
        text: anything.
        limit: characters that are kept at most.
    """
    if not text.isprintable():
        text = " ".join("".join(map(_visible, text)).split())
    return text.strip() if limit is None else shorten(text.strip(), limit)


def escape(text: str, limit: int | None = None) -> str:
    r"""Return text that reads the same in Markdown and in HTML and does nothing there.

    >>> escape("<b>5 mm[Hg]</b> | *see* https://example.org")
    '&lt;b&gt;5 mm\\[Hg\\]&lt;/b&gt; \\| \\*see\\* https:// example.org'
    """
    text = plain(text, limit)
    if _harmless(text):
        return text
    text = _linkable(r"\1 ", text).translate(_MARKUP)
    start = _block_start(text)
    if start:
        text = f"{start[1][:-1]}\\{start[1][-1]}{text[start.end() :]}"
    return text


def code(text: str) -> str:
    """Return text as a code span, in which Markdown makes neither markup nor links.

    >>> code("hypertension@1.0.0")
    '`hypertension@1.0.0`'
    """
    kept = plain(text).translate({ord(mark): REPLACED for mark in "`<>&|\\"})
    return f"`{kept}`" if kept else ""


def shorten(text: str, limit: int) -> str:
    """Cut text to at most ``limit`` characters, at a word where there is one near the end.

    >>> shorten("Consider: start lisinopril", 20)
    'Consider: start…'
    """
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    at_word = cut.rfind(" ")
    if at_word > limit // 2:
        cut = cut[:at_word]
    return cut.rstrip(" ,;:.-") + "…"


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    hidden = unicodedata.category(character) in _UNSEEN and character not in _JOINERS
    return REPLACED if hidden else character
