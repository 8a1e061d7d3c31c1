"""The pages of replays: each run's report as it was written, and two runs set side by side.

A run is a folder that ``cds-engine replay`` wrote, under the one folder that the site names. An
address can name a run, never a path.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cds_adapters.web.errors import PageError
from cds_adapters.web.render import SECURITY_HEADERS, Renderer
from cds_adapters.web.replayfolder import (
    DECISIONS,
    Figures,
    ReplayFolder,
    Version,
    figures_in,
    pairs_of,
    stamp,
)
from cds_adapters.web.serve import PageRoutes
from cds_engine.bundle.model import RuleBundle

if TYPE_CHECKING:
    from cds_adapters.report.replay_groups import Parted
    from cds_adapters.report.replay_pair import Joined

NEEDED = ("matplotlib", "pyarrow")
BY, WITHHELD = "by", "key.withheld"
Trail = tuple[tuple[str, str], ...]
FindBundle = Callable[[str], RuleBundle | None]
"""Digest -> the rule bundle, if the service has read it."""


@dataclass(frozen=True)
class PatientLink:
    """Leads to the rewind page, where the run's version is asked what the run asked it.

    Attributes:
        version: regime@version.
        withheld: patient and instant -> what was ordered in the very encounter.
    """

    render: Renderer
    version: str
    withheld: Mapping[tuple[str, str], Sequence[str]]

    def __call__(self, patient: str, as_of: str) -> str:
        """Return the address."""
        without = self.withheld.get((patient, as_of), ())
        return self.render.url(
            "patients", patient, as_of=as_of, regime=self.version, without=without
        )


class ReplayPages:
    """One method per page; each takes the request and returns the response."""

    def __init__(
        self, folder: ReplayFolder | None, render: Renderer, bundle: FindBundle, *, patients: bool
    ) -> None:
        self._folder = folder
        self.render = render
        self.bundle = bundle
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
        """List the runs and the pairs of them; say what to do where there are none."""
        rows = [] if self._folder is None else self._folder.rows()
        return self.render.page(
            "replays.html",
            configured=self._folder is not None,
            rows=rows,
            pairs=pairs_of(rows),
            patients=self.patients,
            address=self._version,
        )

    def run(self, request: Request) -> Response:
        """Show the report of a run, its names leading to the patients' pages."""
        path = self.folder.find(request.path_params["run"])
        _need()
        return _answer(_report(path, *stamp(path), self.render, self._trail(), self.patients))

    def pair(self, request: Request) -> Response:
        """Set two runs side by side: where the version of the one says otherwise than the other."""
        paths = [self.folder.find(request.path_params[key]) for key in ("one", "other")]
        _need()
        from cds_adapters.report import replay_groups, replay_pair  # noqa: PLC0415 - draw

        one, other = (figures_in(path) for path in paths)
        asked = {name: text for name, text in request.query_params.items() if text}
        by = asked.pop(BY, "")
        found = replay_pair.joined(*(_columns(path, replay_pair.COLUMNS) for path in paths))
        bundles = [self.bundle(run["bundle"]["digest"]) for run in (one, other)]
        parts = _parts((one, other), bundles, paths, found, by)
        order = [stage.name for bundle in bundles if bundle for stage in bundle.stages]
        tables = replay_pair.pair_tables(found, (one, other), parts, order)
        only = replay_groups.find_row(tables, asked) if asked else None
        if asked and only is None:
            raise PageError(
                404,
                "There are no such flips",
                "The address names a group or actions that these runs do not have, or whose "
                "numbers are held back.",
                "Start from the page of the pair, and follow a number in one of its tables.",
            )
        names = (paths[0].name, paths[1].name)
        trail = self._trail(*names)
        links = replay_pair.PairLinks(
            patient=_link(self.render, one, paths[0]) if self.patients else None,
            address=partial(self.render.url, "replays", names[0], "vs", names[1]),
            swapped=self.render.url("replays", names[1], "vs", names[0]),
            trail=trail,
        )
        return _answer(
            replay_pair.pair_page(names, (one, other), found, tables, links, by=by, only=only)
        )

    def _trail(self, *runs: str) -> Trail:
        above = (("cds-engine", self.render.url()), ("Replays", self.render.url("replays")))
        return (*above, *((name, self.render.url("replays", name)) for name in runs))

    def _version(self, version: Version) -> str:
        """Return the address of a version's page; nothing where the service has not read it."""
        if self.bundle(version.digest) is None:
            return ""
        return self.render.url("regimes", version.regime, version.version)


@lru_cache(maxsize=8)
def _report(
    path: Path, _changed: int, _size: int, render: Renderer, trail: Trail, patients: bool
) -> str:
    from cds_adapters.report.replay_page import replay_page  # noqa: PLC0415 - draws

    figures = figures_in(path)
    return replay_page(figures, _link(render, figures, path) if patients else None, trail)


def _link(render: Renderer, figures: Figures, path: Path) -> PatientLink:
    return PatientLink(render, figures["bundle"]["identity"], _withheld(path))


def _withheld(path: Path) -> dict[tuple[str, str], Sequence[str]]:
    import pyarrow.compute as pc  # noqa: PLC0415 - optional

    table = _table(path, ("key.patient", "key.as_of", WITHHELD), optional=True)
    if WITHHELD not in table.column_names:
        return {}
    some = table.filter(pc.list_value_length(pc.field(WITHHELD)) > 0).to_pydict()
    times = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in some["key.as_of"])
    return dict(zip(zip(some["key.patient"], times, strict=True), some[WITHHELD], strict=True))


def _parts(
    runs: tuple[Figures, Figures],
    bundles: Sequence[RuleBundle | None],
    paths: Sequence[Path],
    found: "Joined",
    by: str,
) -> "list[Parted]":
    """Part the decisions by what the versions read, as the first run that can tell read it."""
    from cds_adapters.report.replay_groups import Parted, columns_wanted, parted  # noqa: PLC0415

    named = [name for one in runs for name in one["settings"]["subgroups"]]
    named = list(dict.fromkeys([*named, *([by] if by else [])]))
    for run, bundle, path, places in zip(runs, bundles, paths, found.places, strict=True):
        if bundle is not None:
            columns = _columns(path, columns_wanted(bundle, named), optional=True)
            held = {name: [one[at] for at in places] for name, one in columns.items()}
            return parted(held, bundle, run["settings"]["age_bands"], named)
    why = (
        "the service has read neither version's rule bundle, which says where age and sex "
        "stand; put it into the folder of rules"
    )
    return [Parted(name, why=why) for name in ("Age", "Sex", *named)]


def _columns(
    path: Path, names: Sequence[str], *, optional: bool = False
) -> Mapping[str, Sequence[Any]]:
    found: dict[str, list[Any]] = _table(path, names, optional=optional).to_pydict()
    return found


def _table(path: Path, names: Sequence[str], *, optional: bool) -> Any:
    """Read columns of a run's table; those that may lack are left out where they do."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - optional

    try:
        if optional:
            held = set(pq.read_schema(path / DECISIONS).names)
            names = [name for name in names if name in held]
        return pq.read_table(path / DECISIONS, columns=list(names))
    except (OSError, ValueError) as error:
        raise PageError(
            500,
            "The decisions of this replay cannot be read",
            f"{DECISIONS} is missing, damaged, or has other columns.",
            "Run the replay again into the same folder.",
        ) from error


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
