"""A page carries its own style, runs nothing and fetches nothing; names in it are escaped."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import cds_engine
from cds_adapters.report.chart import Chart

_TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, **values: Any) -> str:
    """Return a page of a template in this package's ``templates``.

    Args:
        template: its file name; it extends ``base.html``.
        **values: what it shows.
    """
    return _environment().get_template(template).render(**values)


def style_source() -> str:
    """Return the source expression by which a content security policy lets the style pass."""
    digest = hashlib.sha256(_style().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _style() -> str:
    return "\n" + (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    environment.globals |= {
        "style": Markup(_style()),  # noqa: S704 - a file of this package
        "style_source": style_source(),
        "engine": cds_engine.__version__,
        "semantics": cds_engine.SEMANTICS_VERSION,
    }
    environment.filters |= {"drawn": _drawn, "sentence": _sentence}
    return environment


def _drawn(chart: Chart) -> Markup:
    """Return the drawing itself; every name in it was escaped when it was written as XML."""
    return Markup(chart.svg)  # noqa: S704


def _sentence(text: str) -> str:
    """Return a text with its first letter large."""
    return text[:1].upper() + text[1:]
