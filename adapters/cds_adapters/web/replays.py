"""The pages of replays: each run's report as it was written, and two runs set side by side.

A run is a folder that ``cds-engine replay`` wrote, under the one folder that the site names. An
address can name a run, never a path.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cds_adapters.web.errors import PageError
from cds_adapters.web.render import SECURITY_HEADERS, Renderer
from cds_adapters.web.serve import PageRoutes

Figures = Mapping[str, Any]
FIGURES, DECISIONS = "figures.json", "decisions.parquet"
FORMAT = 1
NEEDED = ("matplotlib", "pyarrow")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


class ReplayFolder:
    """Finds runs by their names in one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Return the names of all runs that have figures."""
        if not self.path.is_dir():
            return []
        return sorted(one.name for one in self.path.iterdir() if self._is_run(one.name))

    def find(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            PageError: 404, if there is no such run; a name that leads elsewhere is none.
        """
        if not self._is_run(name):
            raise PageError(
                404,
                "There is no such replay",
                "No run of this name is in the folder of replays.",
                "Start from the list of replays.",
            )
        return self.path / name

    def _is_run(self, name: str) -> bool:
        if not _NAME.fullmatch(name):
            return False
        folder = (self.path / name).resolve()
        return folder.parent == self.path.resolve() and (folder / FIGURES).is_file()


class ReplayPages:
    """One method per page; each takes the request and returns the response."""

    def __init__(self, folder: ReplayFolder | None, render: Renderer, *, patients: bool) -> None:
        self._folder = folder
        self.render = render
        self.patients = patients

    def add(self, routes: PageRoutes) -> None:
        """Add the pages to an application."""
        routes.get("/replays", self.index)
        routes.get("/replays/{run}", self.run)
        routes.get("/replays/{one}/vs/{other}", self.pair)

    @property
    def folder(self) -> ReplayFolder:
        """The folder of replays; a page that says how to name one where there is none."""
        if self._folder is None:
            raise PageError(
                404,
                "No replays are shown here",
                "This service was not told where there are any.",
                "Start it with --replays and the folder that holds their folders.",
            )
        return self._folder

    def index(self, _request: Request) -> Response:
        """List the runs."""
        rows = []
        for name in self.folder.names():
            try:
                figures = figures_in(self.folder.find(name))
            except PageError as error:
                rows.append({"name": name, "fault": error.text})
                continue
            rows.append({"name": name, "bundle": figures["bundle"], "against": figures["against"],
                         "decisions": figures["funnel"][0]["decisions"],
                         "data": figures["run"].get("data", "")})  # fmt: skip
        return self.render.page("replays.html", rows=rows)

    def run(self, request: Request) -> Response:
        """Show the report of a run, its names leading to the patients' pages."""
        path = self.folder.find(request.path_params["run"])
        _need()
        stamp = (path / FIGURES).stat()
        return _answer(_report(path, stamp.st_mtime_ns, stamp.st_size, self._link()))

    def pair(self, request: Request) -> Response:
        """Set two runs side by side: where the version of the one says otherwise than the other."""
        one, other = (self.folder.find(request.path_params[key]) for key in ("one", "other"))
        _need()
        from cds_adapters.report.replay_pair import pair_page  # noqa: PLC0415 - draws

        names = (one.name, other.name)
        runs = [(figures_in(path), _columns(path / DECISIONS)) for path in (one, other)]
        return _answer(pair_page(names, runs[0], runs[1], self._link()))

    def _link(self) -> Callable[[str, str], str] | None:
        return self._patient if self.patients else None

    def _patient(self, patient: str, as_of: str) -> str:
        return self.render.url("patients", patient, as_of=as_of)


def figures_in(path: Path) -> Figures:
    """Return the figures of a run.

    Raises:
        PageError: 500, if they cannot be read or another version of cds-engine wrote them.
    """
    try:
        told = json.loads((path / FIGURES).read_bytes())
    except (OSError, ValueError):
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise PageError(
            500,
            "The figures of this replay cannot be read",
            f"{FIGURES} is damaged, or was written by another version of cds-engine.",
            "Run the replay again into the same folder.",
        )
    return told


@lru_cache(maxsize=8)
def _report(path: Path, _changed: int, _size: int, link: Callable[[str, str], str] | None) -> str:
    from cds_adapters.report.replay_page import replay_page  # noqa: PLC0415 - draws

    return replay_page(figures_in(path), link)


def _columns(path: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - optional

    from cds_adapters.report.replay_pair import COLUMNS  # noqa: PLC0415

    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, ValueError) as error:
        raise PageError(
            500,
            "The decisions of this replay cannot be read",
            f"{DECISIONS} is missing, damaged, or has other columns.",
            "Run the replay again into the same folder.",
        ) from error
    found: dict[str, list[Any]] = table.to_pydict()
    return found


def _need() -> None:
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        raise PageError(
            501,
            "Replays cannot be drawn here",
            f"{', '.join(lacking)} is not installed.",
            "Install the extra: pip install 'cds-engine[replay]'.",
        )


def _answer(text: str) -> Response:
    """Return a page that carries its own style; the policy lets that style pass and no other."""
    from cds_adapters.report.page import style_source  # noqa: PLC0415

    policy = SECURITY_HEADERS["Content-Security-Policy"]
    own = policy.replace("style-src 'self'", f"style-src {style_source()}")
    headers = {**SECURITY_HEADERS, "Content-Security-Policy": own, "Cache-Control": "no-store"}
    return HTMLResponse(text, headers=headers)
