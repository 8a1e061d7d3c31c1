"""What a reader of the figures must know of how they came about, in words with the cure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from cds_adapters.bulk.gaps import Lacking
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.rejects import Reject
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.shards import ShardReport
from cds_adapters.bulk.vocabulary import SHOWN, Survey, commonest
from cds_adapters.bulk.words import by, count_of
from cds_engine.replay.settings import ReplaySettings

_OTHER = "encounters of another class or type"


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
    yield from _of_changes(job, scans)
    yield from _of_variables(told, lacks)
    yield from _of_points(job, scans, reports)
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
            f"{which} {names}; whose {by(nobody, 'record lacks it', 'records lack them')} is not "
            "known, and no decision says so"
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


def _of_points(job: Job, scans: Sequence[Scanned], reports: Sequence[ShardReport]) -> Iterator[str]:
    counts, decisions = Counter[str](), Counter[str]()
    for report in reports:
        counts.update(report.counts)
        decisions.update(report.decisions)
    by_encounter = job.settings.points == "encounter"
    if by_encounter and not any(s.types["Encounter"] + s.types["encounter"] for s in scans):
        yield (
            "the export holds no Encounter, and so there is no decision point; export it, or ask "
            "on a schedule (--first, --last and --every)"
        )
    elif by_encounter and 0 < counts["encounters"] == counts[_OTHER]:
        yield _of_no_such_encounter(job.settings, scans)
    elif not sum(decisions.values()):
        yield "there is no decision point; see the counts of encounters and why they are none"
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
