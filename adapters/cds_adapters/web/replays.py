"""The pages of replays: each run's report as it was written, and two runs set side by side.

A run is a folder that ``cds-engine replay`` wrote, under the one folder that the site names. An
address can name a run, never a path.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cds_adapters.web.errors import PageError
from cds_adapters.web.render import SECURITY_HEADERS, Renderer
from cds_adapters.web.replayfolder import (
    DECISIONS,
    Figures,
    ReplayFolder,
    Version,
    figures_in,
    stamp,
    why_no_pair,
)
from cds_adapters.web.serve import PageRoutes
from cds_engine.bundle.model import RuleBundle

if TYPE_CHECKING:
    from cds_adapters.report.replay_groups import Parted, Reads
    from cds_adapters.report.replay_pair import Joined

NEEDED = ("matplotlib", "pyarrow")
UNKEPT = {"Cache-Control": "no-store"}
BY = "by"
WITHHELD = {"version": "key.withheld", "against": "against.withheld"}
"""What the history of each version of a run does not hold: what its own actions show as ordered in
the very encounter."""
SIDES = ("a", "b")
"""Which version of the first run, and of the second, is asked for by."""
Trail = tuple[tuple[str, str], ...]
FindBundle = Callable[[str], RuleBundle | None]
"""Digest, or regime@version -> the rule bundle, if the service has read it."""


@dataclass(frozen=True)
class PatientLink:
    """Leads to the rewind page, where a version of a run is asked what the run asked it.

    Attributes:
        version: regime@version.
        run: the run's name, by which the page is held against its row.
        side: ``against`` for the second version of the run.
        withheld: patient and instant -> what was ordered in the very encounter.
    """

    render: Renderer
    version: str
    run: str
    side: str = ""
    withheld: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def __call__(self, patient: str, as_of: str) -> str:
        """Return the address."""
        without = self.withheld.get((patient, as_of), ())
        side = {"side": self.side} if self.side else {}
        return self.render.url(
            "patients",
            patient,
            as_of=as_of,
            regime=self.version,
            run=self.run,
            **side,
            without=without,
        )


class ReplayPages:
    """One method per page; each takes the request and returns the response."""

    def __init__(
        self,
        folder: ReplayFolder | None,
        render: Renderer,
        bundle: FindBundle,
        named: FindBundle,
        *,
        patients: bool,
    ) -> None:
        self._folder = folder
        self.render = render
        self.bundle = bundle
        self.named = named
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

    def index(self, request: Request) -> Response:
        """List the runs, of which two can be chosen; say what to do where there are none."""
        rows = [] if self._folder is None else self._folder.rows()
        chosen = [request.query_params.get(name, "") for name in ("one", "other")]
        problem = ""
        if any(chosen):
            sound = {row.name: row for row in rows if not row.fault}
            problem = why_no_pair(sound, *chosen)
            if not problem:
                target = self.render.url("replays", chosen[0], "vs", chosen[1])
                return RedirectResponse(target, 303, {**SECURITY_HEADERS, **UNKEPT})
        return self.render.page(
            "replays.html",
            400 if problem else 200,
            configured=self._folder is not None,
            rows=rows,
            sound=[row.name for row in rows if not row.fault],
            chosen=chosen,
            problem=problem,
            doubts={row.name: self._doubts(row.name) for row in rows if not row.fault},
            patients=self.patients,
            address=self._version,
        )

    def _doubts(self, name: str) -> tuple[str, tuple[str, ...]]:
        path = self.folder.find(name)
        return _doubts(path, *stamp(path))

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

        asked = {name: text for name, text in request.query_params.items() if text}
        by = asked.pop(BY, "")
        runs = figures_in(paths[0]), figures_in(paths[1])
        same = paths[0] == paths[1]
        which = _which(runs, asked, same=same)
        one, other = (replay_pair.of_version(*side) for side in zip(runs, which, strict=True))
        found = replay_pair.joined(*(_decided(*side) for side in zip(paths, which, strict=True)))
        parts = _parts(runs, self._reads(runs), paths, found, by)
        bundles = filter(None, map(self._read, (one, other)))
        order = [stage.name for bundle in bundles for stage in bundle.stages]
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
        kept, swapped = _asking(*which, same=same), _asking(*reversed(which), same=same)
        address = partial(self.render.url, "replays", names[0], "vs", names[1])
        links = replay_pair.PairLinks(
            patients=tuple(
                _link(self.render, *side) for side in zip((one, other), paths, which, strict=True)
            )
            if self.patients
            else (),
            address=partial(address, **kept),
            swapped=self.render.url("replays", names[1], "vs", names[0], **swapped),
            here=address(),
            trail=trail,
            asked=kept,
            versions=(
                replay_pair.choices(runs[0], which[0]),
                replay_pair.choices(runs[1], which[1]),
            ),
        )
        return _answer(
            replay_pair.pair_page(names, (one, other), found, tables, links, by=by, only=only)
        )

    def _read(self, figures: Figures) -> RuleBundle | None:
        return self.bundle(figures["bundle"]["digest"])

    def _reads(self, runs: tuple[Figures, Figures]) -> "list[Reads]":
        """Return what stands where in the tables of runs, by the rule bundles that were read.

        Where the version of a run was not read, every other one of the two runs helps, and one of
        its name with other bytes.
        """
        from cds_adapters.report.replay_groups import Reads  # noqa: PLC0415 - draws

        told = [one for run in runs for one in (run["bundle"], run["against"]) if one]
        found = [self.bundle(one["digest"]) or self.named(one["identity"]) for one in told]
        others = [one for one in found if one is not None]
        lacking = dict.fromkeys(
            run["bundle"]["identity"] for run in runs if self._read(run) is None
        )
        why = (
            f"which variable is the age is said by the rule bundle alone, and this service has "
            f"not read {' or '.join(lacking)} as it was replayed; put it into the folder of rules"
        )
        own = [self._read(run) for run in runs]
        return [
            Reads.told(run["bundle"]["variables"], others, why)
            if bundle is None
            else Reads.of(bundle)
            for run, bundle in zip(runs, own, strict=True)
        ]

    def _trail(self, *runs: str) -> Trail:
        runs = tuple(dict.fromkeys(runs))
        above = (("cds-engine", self.render.url()), ("Replays", self.render.url("replays")))
        return (*above, *((name, self.render.url("replays", name)) for name in runs))

    def _version(self, version: Version) -> str:
        """Return the address of a version's page; nothing where the service has not read it."""
        if self.bundle(version.digest) is None:
            return ""
        return self.render.url("regimes", version.regime, version.version)


def _which(runs: tuple[Figures, Figures], asked: dict[str, str], *, same: bool) -> list[str]:
    """Take out of what is asked for which version of each run is meant.

    A run beside itself is its two versions, unless both sides are said otherwise.
    """
    from cds_adapters.report.replay_pair import AGAINST, VERSION  # noqa: PLC0415 - draws

    said = [asked.pop(side, "") for side in SIDES]
    other = {VERSION: AGAINST, AGAINST: VERSION}
    if same and runs[0]["against"]:
        said[0] = said[0] or other.get(said[1], VERSION)
        said[1] = said[1] or other.get(said[0], VERSION)
    found = []
    for one, run in zip(said, runs, strict=True):
        which = one or VERSION
        if which not in (VERSION, AGAINST) or (which == AGAINST and not run["against"]):
            raise PageError(
                404,
                "There is no such version of the run",
                "The address names a version that this run did not replay.",
                "Start from the page of the pair, which lists the versions of each run.",
            )
        found.append(which)
    return found


def _asking(one: str, other: str, *, same: bool) -> dict[str, str]:
    """Return by what an address names the versions; of one run it says both sides."""
    if one == other == "version" and not same:
        return {}
    return dict(zip(SIDES, (one, other), strict=True))


def _decided(path: Path, which: str) -> Mapping[str, Sequence[Any]]:
    from cds_adapters.report import replay_pair  # noqa: PLC0415 - draws

    return replay_pair.as_decided(_columns(path, replay_pair.columns_of(which)), which)


@lru_cache(maxsize=1000)
def _doubts(path: Path, _changed: int, _size: int) -> tuple[str, tuple[str, ...]]:
    """Return the colour of a run's report, and which assumptions are doubtful in it."""
    from cds_adapters.report.replay_first import doubts_of, first  # noqa: PLC0415 - draws

    figures = figures_in(path)
    return first(figures)["state"], tuple(one["assumption"] for one in doubts_of(figures))


@lru_cache(maxsize=8)
def _report(
    path: Path, _changed: int, _size: int, render: Renderer, trail: Trail, patients: bool
) -> str:
    from cds_adapters.report.replay_page import replay_page  # noqa: PLC0415 - draws

    figures = figures_in(path)
    if not patients:
        return replay_page(figures, trail=trail)
    second = _link(render, {"bundle": figures["against"]}, path, "against") if (
        figures["against"]) else None  # fmt: skip
    return replay_page(figures, _link(render, figures, path, "version"), trail, second)


def _link(render: Renderer, figures: Figures, path: Path, which: str) -> PatientLink:
    side = "" if which == "version" else which
    withheld = _withheld(path, WITHHELD[which])
    return PatientLink(render, figures["bundle"]["identity"], path.name, side, withheld)


def _withheld(path: Path, column: str) -> dict[tuple[str, str], Sequence[str]]:
    import pyarrow.compute as pc  # noqa: PLC0415 - optional

    table = _table(path, ("key.patient", "key.as_of", column), optional=True)
    if column not in table.column_names:
        return {}
    some = table.filter(pc.list_value_length(pc.field(column)) > 0).to_pydict()
    times = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in some["key.as_of"])
    return dict(zip(zip(some["key.patient"], times, strict=True), some[column], strict=True))


def _parts(
    runs: tuple[Figures, Figures],
    reads: "Sequence[Reads]",
    paths: Sequence[Path],
    found: "Joined",
    by: str,
) -> "list[Parted]":
    """Part the decisions by what the versions read, as the first run that can tell read it."""
    from cds_adapters.report.replay_groups import columns_wanted, parted  # noqa: PLC0415

    named = [name for one in runs for name in one["settings"]["subgroups"]]
    named = list(dict.fromkeys([*named, *([by] if by else [])]))
    at = 0 if reads[0].age or not reads[1].age else 1
    columns = _columns(paths[at], columns_wanted(reads[at], named), optional=True)
    held = {name: [one[row] for row in found.places[at]] for name, one in columns.items()}
    return parted(held, reads[at], runs[at]["settings"]["age_bands"], named)


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
    headers = {**SECURITY_HEADERS, "Content-Security-Policy": own, **UNKEPT}
    return HTMLResponse(text, headers=headers)
