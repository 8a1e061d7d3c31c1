"""Every page is rendered with escaping on, and leaves with the same strict headers."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from cds_adapters.site import Site
from cds_adapters.web.errors import PageError
from cds_adapters.web.words import GAPS, OUTCOMES, REASONS, Calendar, sentence, yes_no
from cds_engine import SEMANTICS_VERSION, __version__
from cds_engine.vocabulary.units import unit_words

_HERE = Path(__file__).parent

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Renderer:
    """Turns a template and its values into a response."""

    def __init__(self, site: Site, *, patients_shown: bool = False) -> None:
        self.site = site
        self.calendar = Calendar(site.time_zone)
        self._prefix = urlsplit(site.public_url).path.rstrip("/")
        self.static = {p.name: p.read_bytes() for p in sorted((_HERE / "static").iterdir())}
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "stamp": self.calendar.stamp,
            "sentence": sentence,
            "unit": unit_words,
            "yes_no": yes_no,
        }
        self._environment.globals |= {
            "url": self.url,
            "style_url": self.url("static", "style.css", v=self.static_tag("style.css")),
            "icon_url": self.url("static", "icon.svg", v=self.static_tag("icon.svg")),
            "watermark": self._watermark(),
            "patients_shown": patients_shown,
            "engine": __version__,
            "semantics": SEMANTICS_VERSION,
            "OUTCOMES": OUTCOMES,
            "REASONS": REASONS,
            "GAPS": GAPS,
        }

    def url(self, *parts: str, **query: str | Sequence[str]) -> str:
        """Return the path of a page below the site's public URL, every part quoted."""
        path = f"{self._prefix}/" + "/".join(quote(part, safe="") for part in parts)
        text = urlencode(query, doseq=True)
        return f"{path}?{text}" if text else path

    def static_tag(self, name: str) -> str:
        """Return a short digest of a static file, so that caches notice a change."""
        return hashlib.sha256(self.static[name]).hexdigest()[:16]

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render one page; pages are not stored by browsers, for they may show values."""
        text = self._environment.get_template(template).render(**values)
        headers = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
        return HTMLResponse(text, status, headers)

    def problem(self, error: PageError) -> HTMLResponse:
        """Render what went wrong and what to do."""
        return self.page("problem.html", error.status, error=error)

    def _watermark(self) -> tuple[str, ...]:
        said = []
        if self.site.as_of:
            said.append(f"Demonstration: the clock is frozen at {self.site.as_of}.")
        if self.site.allow_as_of:
            said.append("Test system: callers may set the instant of a decision.")
        return (*said, "Not for patient care.") if said else ()
