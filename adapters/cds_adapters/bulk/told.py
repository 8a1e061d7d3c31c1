"""What a reader of the figures must know of how they came about, in words with the cure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from cds_adapters.bulk.gaps import Lacking, shown_by
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.passed import never_met
from cds_adapters.bulk.rejects import Reject
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.shards import ShardReport
from cds_adapters.bulk.vocabulary import SHOWN, Survey, commonest
from cds_adapters.bulk.words import by, count_of
from cds_engine.replay.between import IN_A_WINDOW, IN_NO_WINDOW
from cds_engine.replay.points import schedule
from cds_engine.replay.settings import ReplaySettings, later
from cds_engine.vocabulary.time import DAY, HOUR

_OTHER = "encounters of another class or type"
_UNSEEN = 0.1
"""Above this share of the actions begun between two decisions it matters that no window sees
them."""


def warnings_of(
    job: Job,
    scans: Sequence[Scanned],
    reports: Sequence[ShardReport],
    rejects: Sequence[Reject],
    told: Survey,
    lacks: Lacking,
) -> Iterator[str]:
    """Yield what a reader of the figures must know.

    Args:
        job: what was asked for.
        scans: what each file came to.
        reports: what each shard came to.
        rejects: every damaged line.
        told: the vocabulary check.
        lacks: what the export lacks, and is told of already.
    """
    yield from _of_damage(rejects)
    if refused := sum(scan.refused for scan in scans):
        failures = count_of(refused, "report of a failure", "reports of failures")
        yield f"the export holds {failures} by the server that made it"
    yield from _of_recording(scans)
    yield from _of_changes(job, scans)
    yield from _of_versions(reports)
    yield from _of_variables(told, lacks)
    yield from _of_actions(job, told, lacks)
    yield from _of_codes(job, scans, reports)
    yield from _of_points(job, scans, reports)
    yield from _of_windows(job.settings, reports)
    if differing := sum(len(report.differences) for report in reports):
        yield (
            f"{count_of(differing, 'row')} {by(differing, 'is', 'are')} decided otherwise by the "
            "scalar evaluator: report this fault"
        )


def _of_damage(rejects: Sequence[Reject]) -> Iterator[str]:
    count, nobody = len(rejects), sum(not one.attributed for one in rejects)
    if rejects:
        yield (
            f"{count_of(count, 'damaged line')} {by(count, 'was', 'were')} set aside; "
            f"{by(count, 'it is', 'they are')} in rejects.ndjson"
        )
    if nobody:
        which = by(count, "it", "none of them") if nobody == count else f"{nobody} of them"
        names = "names a patient" if nobody == count > 1 else by(
            nobody, "names no patient", "name no patient")  # fmt: skip
        yield (
            f"{which} {names}: patients of whom {by(nobody, 'it speaks', 'they speak')} are "
            f"decided on without what {by(nobody, 'it says', 'they say')}, and no row of the table "
            "is marked; mend the lines that rejects.ndjson lists with attributed: false, and "
            "export again"
        )


def _of_recording(scans: Sequence[Scanned]) -> Iterator[str]:
    """Yield whether rows say that they were known before they can have been."""
    timed, before = (
        sum(getattr(scan, name) for scan in scans) for name in ("timed", "long_before")
    )
    if 2 * before > timed:
        yield (
            f"{before} of {count_of(timed, 'event')} {by(before, 'was', 'were')} recorded more "
            "than ten years before they were: is `recorded` in seconds or milliseconds, where "
            "microseconds since 1970 are read? Each decision knows what was recorded later"
        )


def _of_changes(job: Job, scans: Sequence[Scanned]) -> Iterator[str]:
    """Yield what became of resources and patients that are no longer what they were."""
    if job.deleted:
        count = len(job.deleted)
        undated = sum(at is None for at in job.deleted.values())
        if undated == count:
            then = f", and not when; {by(count, 'it is', 'they are')} left out altogether"
        else:
            then = f"; what {by(count, 'it', 'they')} said counts no longer from then on"
            then += f", and of {undated} never, because nothing says when" if undated else ""
        yield (
            f"the export says that {count_of(count, 'resource')} {by(count, 'was', 'were')} deleted"
            f"{then}"
        )
    if unclear := sum(scan.deleted_unclear for scan in scans):
        yield (
            f"{count_of(unclear, 'deletion')} {by(unclear, 'does', 'do')} not name one resource by "
            "type and id, as Observation/1 does, and so what was deleted still counts"
        )
    if merged := sum(scan.merged for scan in scans):
        yield (
            f"{count_of(merged, 'Patient')} {by(merged, 'is', 'are')} merged into others "
            "(replaced-by); what still names them is replayed apart from the patients who took "
            "their places"
        )
    if inactive := sum(scan.inactive for scan in scans):
        yield (
            f"{count_of(inactive, 'Patient')} {by(inactive, 'is', 'are')} marked as no longer in "
            "use (active: false), and replayed all the same"
        )


def _of_versions(reports: Sequence[ShardReport]) -> Iterator[str]:
    """Yield of how many resources only a later version is there, so that the past is open."""
    if later := sum(report.later_versions for report in reports):
        yield (
            f"of {count_of(later, 'resource')} the export holds only a later version than the "
            f"first; what {by(later, 'it', 'they')} said before that was stored is not known, and "
            "leaves open what is read from it until then; export the earlier versions too "
            "(history), if many decisions are `unresolved`"
        )


def _of_variables(told: Survey, lacks: Lacking) -> Iterator[str]:
    nowhere, absent = told.nowhere(), lacks.absent
    causes: dict[str, list[str]] = {}
    for name in nowhere:
        if name in absent:
            causes.setdefault(absent[name], []).append(name)
    for words, names in causes.items():
        if any(warning.startswith(words) for warning in lacks.warnings):
            continue
        yield f"found for no patient: {', '.join(names)}, because {words}"
    if others := [name for name in nowhere if name not in absent]:
        yield f"found for no patient: {', '.join(others)}; map local codes in the site's settings"


def _of_actions(job: Job, told: Survey, lacks: Lacking) -> Iterator[str]:
    """Yield what may be actions and is not seen as such."""
    causes: dict[str, list[str]] = {}
    unseen: dict[tuple[str, ...], list[str]] = {}
    for name in told.never_seen():
        held = tuple(
            one for one in shown_by(job.rules()[0].actions[name]) if one in told.treatments
        )
        words = lacks.absent.get(f"action {name}", "")
        if held or not words:
            unseen.setdefault(held, []).append(name)
        elif not job.export.of("ndjson"):  # else it is told already, or said to be complete
            causes.setdefault(words, []).append(f"action {name}")
    for words, names in causes.items():
        yield f"found for no patient: {', '.join(names)}, because {words}"
    for held, names in unseen.items():
        are = by(len(names), f"the action {names[0]} is", f"the actions {', '.join(names)} are")
        codes = told.unread_of(*held)
        commonest_ones = (
            f"the commonest {' and '.join(held)} codes that nothing reads are {_listed(codes)}; "
            if codes else ""
        )  # fmt: skip
        yield (
            f"{are} on record for no patient, so that whoever was treated so counts as treated "
            f"otherwise or not at all; {commonest_ones}map local codes in the site's settings, or "
            "name them in seen_as"
        )
    told_of = {one for held in unseen for one in held}
    for kind, found in told.treatments.items():
        if found.doubtful and kind not in told_of:
            yield (
                f"{found.unread} of {count_of(found.resources, kind)} "
                f"{by(found.unread, 'has', 'have')} codes that nothing reads, most often "
                f"{_listed(told.unread_of(kind))}; is one of them an action? Then whoever has it "
                "counts as treated otherwise or not at all: map local codes in the site's "
                "settings, or name them in seen_as"
            )


def _listed(codes: Mapping[str, int]) -> str:
    """Return codes with how often each was met."""
    return ", ".join(f"{name.partition(' ')[2]} ({n})" for name, n in codes.items())


def _of_codes(job: Job, scans: Sequence[Scanned], reports: Sequence[ShardReport]) -> Iterator[str]:
    """Yield which of the site's local codes there are none of."""
    idle = list(never_met(job, scans, [code for one in reports for code in one.mapped]))
    more = f" and {len(idle) - SHOWN} more" if len(idle) > SHOWN else ""
    if idle:
        yield (
            f"the site's settings map {', '.join(idle[:SHOWN])}{more}, and no resource that is "
            f"read has {by(len(idle), 'that code', 'one of those codes')}; check system and code, "
            "letter by letter, against the records"
        )


def _of_points(job: Job, scans: Sequence[Scanned], reports: Sequence[ShardReport]) -> Iterator[str]:
    counts, decisions = Counter[str](), Counter[str]()
    for report in reports:
        counts.update(report.counts)
        decisions.update(report.decisions)
    by_encounter = job.settings.points == "encounter"
    if by_encounter and not any(s.types["Encounter"] + s.types["encounter"] for s in scans):
        yield (
            "the export holds no Encounter, and so there is no decision point; export it, or ask "
            "on a schedule (--first, --last and --every, with a --window as long as --every)"
        )
    elif by_encounter and 0 < counts["encounters"] == counts[_OTHER]:
        yield _of_no_such_encounter(job.settings, scans)
    elif not sum(decisions.values()):
        yield _of_no_point(job.settings, counts)
    elif all(name.startswith("not_applicable") for name in decisions):
        yield "no decision point is in the regime's population"
    for one, more in (
        ("encounter without an end", "encounters without an end"),
        ("encounter without a day of its start", "encounters without a day of their start"),
        ("encounter without a day of its end", "encounters without a day of their end"),
        ("encounter that ends before it starts", "encounters that end before they start"),
        ("encounter after the end of the records", "encounters after the end of the records"),
    ):
        if count := counts[more]:
            none = by(count, "is no decision point", "are no decision points")
            yield f"{count_of(count, one, more)} {none}"


def _of_no_point(settings: ReplaySettings, counts: Counter[str]) -> str:
    """Return why there is no decision point, where there are encounters or none is asked about."""
    if settings.points == "schedule":
        return (
            "there is no decision point: each instant of the schedule lies before the first entry "
            "of a record or after the end of the records; say others with --first and --last, or "
            "--data-until if the records go on for longer"
        )
    if not counts["encounters"]:
        return (
            "there is no decision point: no Encounter of the export could be used; see "
            "rejects.ndjson, and set_aside in vocabulary.json"
        )
    return "there is no decision point; why no encounter is one is told next"


def _of_windows(settings: ReplaySettings, reports: Sequence[ShardReport]) -> Iterator[str]:
    """Yield what is done at times that no decision looks at."""
    if settings.every is not None:
        at = schedule(settings)
        left = max((after - later(one, settings.window) for one, after in pairwise(at)), default=0)
        if left > 0:
            yield (
                f"the window ({settings.window.words()}) is shorter than the step of the schedule "
                f"({settings.every.words()}): actions in the other {_days(left)} count for no "
                "decision, so that who is treated then looks untreated; say "
                f"--window {settings.every}"
            )
    seen = sum(report.counts.get(IN_A_WINDOW, 0) for report in reports)
    unseen = sum(report.counts.get(IN_NO_WINDOW, 0) for report in reports)
    if unseen > _UNSEEN * (seen + unseen):
        yield (
            f"{unseen} of {count_of(seen + unseen, 'action')} begun between two decisions of a "
            f"patient {by(unseen, 'lies', 'lie')} in the window of none and "
            f"{by(unseen, 'counts', 'count')} as taken at none; a longer --window may see more"
        )


def _days(length: int) -> str:
    """Say a length of time in days, or in hours where it is less than one."""
    if length < DAY:
        return count_of(-(-length // HOUR), "hour")
    return count_of(-(-length // DAY), "day")


def _of_no_such_encounter(settings: ReplaySettings, scans: Iterable[Scanned]) -> str:
    """Return which classes and types there are, where none is of those that are asked for."""
    held: Counter[str] = Counter()
    for scan in scans:
        held.update(scan.visit_codes)
    asked = [
        f"{what} {' or '.join(codes)}"
        for what, codes in (("class", settings.classes), ("type", settings.types))
        if codes
    ]
    found = ", ".join(f"{code} ({n})" for code, n in commonest(held, SHOWN).items())
    return (
        f"no encounter is of {' and of '.join(asked)}, and so there is no decision point; the "
        f"encounters are of {found or 'no class or type at all'}"
    )
