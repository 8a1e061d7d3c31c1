"""The flow of a SMART as text and as a picture."""

import re
import xml.etree.ElementTree as ET

import pytest
from builders.designs import (
    Document,
    a_design,
    a_model,
    eight_sequences,
    everybody_again,
    three_arms,
    three_stages,
)

from cds_engine.design import flow_svg, flow_text, read_design
from cds_engine.design.flow import letter

SVG = "{http://www.w3.org/2000/svg}"
EVERY = [a_design(), everybody_again(), eight_sequences(), three_arms(), three_stages()]


def test_the_text_shows_every_branch_with_its_number_and_its_regimes() -> None:
    model = a_model(a_design(), 0.4)
    shown = flow_text(model.design, model.expected(200), approximate=True)
    assert shown == (
        "Enrolled, n ~ 200\n"
        "└─ R (first)\n"
        "   ├─ a (0.5), n ~ 100\n"
        "   │  └─ response: half the symptoms or fewer\n"
        "   │     ├─ Responders, n ~ 40  [A B]\n"
        "   │     └─ Non-responders, n ~ 60\n"
        "   │        └─ R (second)\n"
        "   │           ├─ c (0.5), n ~ 30  [A]\n"
        "   │           └─ d (0.5), n ~ 30  [B]\n"
        "   └─ b (0.5), n ~ 100\n"
        "      └─ response: half the symptoms or fewer\n"
        "         ├─ Responders, n ~ 40  [C D]\n"
        "         └─ Non-responders, n ~ 60\n"
        "            └─ R (second)\n"
        "               ├─ e (0.5), n ~ 30  [C]\n"
        "               └─ f (0.5), n ~ 30  [D]"
    )


def test_without_numbers_none_are_shown_and_counted_ones_are_not_called_expected() -> None:
    design = read_design(a_design())
    assert ", n" not in flow_text(design)
    counted = dict.fromkeys(design.nodes, 7)
    assert flow_text(design, counted).count("n = 7") == len(design.nodes)


@pytest.mark.parametrize("document", EVERY)
def test_no_box_of_the_picture_covers_another_and_all_are_inside(document: Document) -> None:
    design = read_design(document)
    root = ET.fromstring(flow_svg(design, dict.fromkeys(design.nodes, 12)))  # noqa: S314 - our own
    wide, high = (float(root.attrib[side]) for side in ("width", "height"))
    found = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect") if "class" in rect.attrib
    ]  # fmt: skip
    assert len(found) == len(design.nodes)
    for at, (x, y, w, h) in enumerate(found):
        assert 0 <= x < x + w < wide
        assert 0 <= y < y + h < high
        for u, v, k, m in found[:at]:
            assert x >= u + k or u >= x + w or y >= v + m or v >= y + h
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert texts.count("n = 12") == len(design.nodes)
    assert texts.count("R") == len(design.randomisations)
    assert all(float(text.attrib["y"]) < high for text in root.iter(f"{SVG}text"))


def test_the_picture_can_be_read_out_and_keeps_its_style_to_itself() -> None:
    design = read_design(a_design())
    root = ET.fromstring(flow_svg(design))  # noqa: S314 - our own
    assert root.find(f"{SVG}desc").text == flow_text(design)  # type: ignore[union-attr]
    style = root.findtext(f"{SVG}style") or ""
    assert all(rule.startswith(".smart-flow ") for rule in re.findall(r"[^{}]+(?=\{)", style))


def test_labels_cannot_break_the_picture() -> None:
    labels = {"a": "<script>&", "c": "an option with a very long name that goes on and on"}
    picture = flow_svg(read_design({**a_design(), "labels": labels}))
    assert "<script>" not in picture
    assert "&lt;script&gt;&amp;" in picture


def test_more_regimes_than_letters_have_letters_still() -> None:
    assert [letter(at) for at in (0, 25, 26, 52)] == ["A", "Z", "A1", "A2"]
