"""An HTML page read strictly, so that tests can ask what a reader or a browser would find."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img", "hr"}
INLINE = {"a", "span", "strong", "code"}
SVG_CLOSED = {"path", "rect", "polyline"}


@dataclass
class Element:
    """One element with its attributes, its text and what it stands in."""

    tag: str
    attributes: dict[str, str]
    parent: "Element | None"
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def find(self, tag: str) -> list["Element"]:
        """Return every element of that name inside this one, in order."""
        found = []
        for child in self.children:
            found += [child] if child.tag == tag else []
            found += child.find(tag)
        return found

    def all(self) -> list["Element"]:
        """Return every element inside this one, in order."""
        return [item for child in self.children for item in (child, *child.all())]

    def words(self) -> str:
        """Return all text inside, white space collapsed."""
        return " ".join(self.text.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {}, None)
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.part(tag)
        element = Element(tag, {n: v or "" for n, v in attrs}, self.open[-1])
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_CLOSED, f"<{tag}/> closes itself, which HTML does not know"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()
        self.part(tag)

    def part(self, tag: str) -> None:
        """Keep the words on both sides of a block apart, as a reader sees them apart."""
        if tag not in INLINE:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read_page(text: str) -> Element:
    """Return the root of a page in which every element is closed where it should be."""
    assert text.startswith("<!DOCTYPE html>")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"not closed: {[item.tag for item in reader.open[1:]]}"
    return reader.root
