"""Every colour of text stands out from what it is written on, by day and by night."""

import re
from pathlib import Path

import pytest

import cds_adapters.web

STYLE = (Path(cds_adapters.web.__file__).parent / "static" / "style.css").read_text("utf-8")
GROUNDS = ("paper", "card", "shade")
PAIRS = [
    *((text, ground) for text in ("ink", "quiet", "link") for ground in GROUNDS),
    *((text, ground) for text in ("good", "bad", "open") for ground in ("paper", "card")),
    ("open", "open-shade"),
    ("bad", "bad-shade"),
    ("good", "good-shade"),
    ("link", "info-shade"),
    ("ink", "info-shade"),
    ("quiet", "info-shade"),
    ("on-accent", "accent"),
]


def colours(theme: str) -> dict[str, str]:
    """Return the colours of a theme; the dark one replaces those of the light one."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    blocks = light + dark if theme == "dark" else light
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_contrast_is_enough_to_read(theme: str, text: str, ground: str) -> None:
    found = colours(theme)
    lighter, darker = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
