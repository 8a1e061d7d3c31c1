"""What cohort and replay share: options read and checked, progress shown, results said."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_adapters.bulk.job import BundleFiles
from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.run import Progress, ReplayResult, in_silence, unanswered, unheard
from cds_adapters.bulk.run import replay as run_replay
from cds_adapters.cli.bundles import find_bundle, folder_of
from cds_adapters.cli.output import FINDINGS, FINE, USAGE, complain, print_json, say, table
from cds_adapters.cli.patients import site_map
from cds_adapters.cli.usage import UsageError, check_named
from cds_adapters.cli.vocab import action_table, commonest_unread
from cds_adapters.clock import InstantError, parse_instant
from cds_adapters.site import read_site
from cds_engine.bundle.read import read_bundle
from cds_engine.errors import DurationError
from cds_engine.replay.settings import ReplayError, ReplaySettings, encounter_code
from cds_engine.vocabulary.time import Duration, Instant, parse_duration


@dataclass(frozen=True)
class Options:
    """The options of a replay as they stand on the command line."""

    classes: list[str]
    types: list[str]
    instant: str
    offset: str | None
    first: str | None
    last: str | None
    every: str | None
    window: str | None
    horizon: str | None
    horizon_from: str | None
    tolerance: str | None
    data_until: str | None
    recheck: float
    seed: int
    jobs: int
    max_damaged: float
    complete: list[str]
    accept_cut: bool
    engine: str = "joblib"
    master: str | None = None
    overwrite: bool = False

    def settings(self) -> ReplaySettings:
        """Return them as the engine knows them.

        Raises:
            UsageError: naming the option at fault.
            ReplayError: where one says too little, or contradicts another.
        """
        plain = ReplaySettings()
        self._check_schedule()
        return ReplaySettings(
            points="schedule" if self.every or self.first or self.last else "encounter",
            classes=tuple(encounter_code(code, "act") for code in self.classes),
            types=tuple(encounter_code(code, "snomed") for code in self.types),
            end=_one_of("--instant", self.instant, ("start", "end")) == "end",
            offset=_duration("--offset", self.offset) or plain.offset,
            first=_instant("--first", self.first),
            last=_instant("--last", self.last),
            every=_duration("--every", self.every),
            window=_duration("--window", self.window) or plain.window,
            horizon=_duration("--horizon", self.horizon),
            from_start=None
            if self.horizon_from is None
            else _one_of("--horizon-from", self.horizon_from, ("decision", "start")) == "start",
            tolerance=_duration("--tolerance", self.tolerance) or plain.tolerance,
            data_until=_instant("--data-until", self.data_until),
            recheck=self.recheck,
            seed=self.seed,
        )

    def codes(self) -> dict[str, list[str]]:
        """Return the options that name codes of encounters, with the codes in full."""
        return {
            "--class": [encounter_code(code, "act") for code in self.classes],
            "--type": [encounter_code(code, "snomed") for code in self.types],
        }

    def _check_schedule(self) -> None:
        """Refuse what is said of encounters beside a schedule, which looks at none."""
        schedule = {"--first": self.first, "--last": self.last, "--every": self.every}
        of_encounters = {
            "--class": self.classes, "--type": self.types, "--offset": self.offset,
            "--instant end": self.instant == "end",
        }  # fmt: skip
        some = [name for name, given in schedule.items() if given]
        if some and (idle := [name for name, given in of_encounters.items() if given]):
            raise UsageError(
                f"{' and '.join(idle)} means nothing beside {', '.join(some)}: the instants of a "
                "schedule are those of no encounter; leave one or the other out"
            )

    def spark_master(self) -> str | None:
        """Return the master of the Spark that does the work; None for this machine.

        Raises:
            UsageError: if the options contradict each other.
        """
        if _one_of("--engine", self.engine, ("joblib", "spark")) == "joblib":
            if self.master is not None:
                raise UsageError("--master is Spark's; say --engine spark with it, or leave it out")
            return None
        if self.master is None:
            raise UsageError(
                "--engine spark needs --master; say local[2] for two cores of this machine, or a "
                "cluster's, as spark://host:7077"
            )
        if self.jobs != 1:
            raise UsageError(
                "--jobs is for --engine joblib; Spark has as many cores as its master gives"
            )
        return self.master


def _one_of(option: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise UsageError(f"{option} is {given!r}; say {' or '.join(known)}")
    return given


def _duration(option: str, text: str | None) -> Duration | None:
    try:
        return None if text is None else parse_duration(text)
    except DurationError as fault:
        raise UsageError(f"{option}: {fault}") from fault


def _instant(option: str, text: str | None) -> Instant | None:
    try:
        return None if text is None else parse_instant(text)
    except InstantError as fault:
        raise UsageError(f"{option}: {fault}") from fault


def run(
    data: str,
    addresses: list[str],
    out: Path,
    rules: Path | None,
    settings: Path | None,
    options: Options,
    *,
    as_json: bool,
    named: Mapping[str, Sequence[str]] | None = None,
    after: Callable[[ReplayRequest, ReplayResult], Sequence[str]] | None = None,
) -> int:
    """Replay and say what came of it; a difference found by the second check is a finding.

    ``named`` are the options that name variables, with the names; ``after`` writes the answers, if
    there are to be any, and returns them in a few lines.
    """
    site = read_site(settings, {"rules": rules})
    site_map(site)
    bundles = tuple(bundle_files(address, site.rules) for address in addresses)
    try:
        asked, master = options.settings(), options.spark_master()
        first = read_bundle(dict(bundles[0]))
        check_named(first, named or {}, options.complete, options.codes())
    except (UsageError, ReplayError) as fault:
        complain(str(fault))
        return USAGE
    request = ReplayRequest(
        data=data,
        bundles=bundles,
        out=out,
        settings=asked,
        jobs=options.jobs,
        max_damaged=options.max_damaged,
        complete=tuple(options.complete),
        accept_cut=options.accept_cut,
        overwrite=options.overwrite,
        master=master,
        codes=site.codes,
        time_zone=site.time_zone,
    )
    lines: list[str] = []

    def answer(found: ReplayResult) -> None:
        if after is not None:
            lines.extend(after(request, found))  # said later: a bar may stand on the terminal now

    with progress(quiet=as_json or not sys.stderr.isatty()) as told:
        result = run_replay(
            request, told, unheard if as_json else complain, unanswered if after is None else answer
        )
    if as_json:
        print_json({"out": str(result.out), **result.manifest})
    else:
        for line in lines:
            say(line)
        _say(result)
    return FINDINGS if result.manifest["checked_again"]["differences"] else FINE


def bundle_files(address: str, rules: Path | None) -> BundleFiles:
    """Return the files of a bundle that was found to be sound."""
    bundle = find_bundle(address, rules)
    folder = folder_of(bundle, address, rules)
    return tuple((name, (folder / name).read_bytes()) for name in bundle.manifest)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Show how far a replay is, with its rate and the time left; nothing where ``quiet``."""
    if quiet:
        yield in_silence
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step, total=total, told="")
        bars.update(tasks[step], completed=done)
        speed = bars.tasks[tasks[step]].speed or 0.0
        bars.update(tasks[step], told=_told(step, done, total, speed))

    with bars:
        yield show


def _told(step: str, done: int, total: int, speed: float) -> str:
    if step == "reading":
        return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB, {speed / 1e6:.1f} MB/s"
    return f"{done} of {total} shards, {speed:.2f}/s"


def _say(result: ReplayResult) -> None:
    found = result.manifest
    say(f"{result.rows} decision points in {result.out / 'decisions.parquet'}")
    _counts("Decisions", found["decisions"])
    for title, counts in by_kind(found["counts"]).items():
        _counts(title, counts)
    rows = [
        [
            name,
            str(item.patients),
            str(item.known),
            _commonest(item.units),
            _commonest(item.missing),
        ]
        for name, item in result.survey.variables.items()
    ]
    title = "Vocabulary, each patient as of the last entry of the record"
    table(title, ["variable", "on record", "usable", "units", "missing because"], rows)
    action_table(result.survey)
    _counts("Commonest codes that the bundle does not use", commonest_unread(result.survey))
    checked = found["checked_again"]
    say(f"{checked['rows']} rows decided again, {checked['differences']} differences")
    for warning in result.warnings:
        complain(warning)


_KINDS = {"patients": "Patients", "encounters": "Encounters", "action": "Actions taken",
          "outcome": "Outcomes", "begun": "Actions begun between two decisions"}  # fmt: skip
_OF_THESE = "Decision points"


def by_kind(counts: dict[str, int]) -> dict[str, dict[str, int]]:
    """Return what was met, grouped by what it is a count of.

    >>> by_kind({"action seen": 2, "points": 7, "action none": 5})
    {'Decision points': {'all': 7}, 'Actions taken': {'none': 5, 'seen': 2}}
    """
    groups: dict[str, dict[str, int]] = {
        title: {} for title in ("Patients", "Encounters", _OF_THESE, *_KINDS.values())
    }
    for name, n in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        first, _, rest = name.partition(" ")
        words = "all" if name in ("patients", "encounters", "points") else rest
        groups[_KINDS.get(first, _OF_THESE)][words if first in _KINDS or not rest else name] = n
    return {title: held for title, held in groups.items() if held}


def _counts(title: str, counts: dict[str, int]) -> None:
    if counts:
        table(title, ["", "number"], [[name, str(count)] for name, count in counts.items()])


def _commonest(counts: Any) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.most_common())
