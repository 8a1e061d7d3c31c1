"""What two replays were asked differently, in words; and why no decision is in both."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cds_adapters.report.numbers import count

Figures = Mapping[str, Any]
Rows = Mapping[str, Sequence[Any]]
NOT_SET = "not set"
WORDS = {
    "points": "Decision points",
    "classes": "Only encounters of class",
    "types": "Only encounters of type",
    "instant": "Instant of the decision",
    "offset": "How long after it",
    "first": "First instant of the schedule",
    "last": "Last instant of the schedule",
    "every": "Step of the schedule",
    "window": "How long after it an action counts as taken",
    "horizon": "Horizon",
    "horizon_from": "Horizon counted from",
    "tolerance": "How far from the horizon a measurement counts",
    "data_until": "Data until",
    "recheck": "Share of rows decided again",
    "seed": "Seed",
    "max_damaged": "Share of damaged lines allowed",
    "complete": "Types that are complete though there are none",
    "accept_cut": "Cut files accepted",
    "codes": "Local codes of the site",
    "time_zone": "Time zone",
    "least_effective_n": "Least effective n of a value",
    "smallest_cell": "Smallest cell",
    "adjust_for": "Adjusted for",
    "subgroups": "Subgroups by",
    "age_bands": "Bands of age",
}
_SAID = {
    "instant": {"start": "start of the encounter", "end": "end of the encounter"},
    "horizon_from": {"start": "the start of the regime", "decision": "each decision"},
    "points": {"encounter": "encounters", "schedule": "a schedule"},
}
_SHORT = 8


def short_digest(digest: str) -> str:
    """Return so much of a digest as tells two apart at a glance.

    >>> short_digest("sha256:2aea9121d06ba2f2")
    '2aea9121'
    """
    return digest.removeprefix("sha256:")[:_SHORT]


def instant_words(settings: Figures) -> str:
    """Return at which instants a run decided.

    >>> instant_words({"points": "encounter", "instant": "end", "offset": "PT1H"})
    'end, PT1H later'
    """
    if settings.get("points") == "schedule":
        return f"every {settings.get('every')}"
    later = settings.get("offset", "P0D")
    return f"{settings.get('instant', 'start')}{f', {later} later' if later != 'P0D' else ''}"


def horizon_words(figures: Figures) -> tuple[str, str]:
    """Return when a run measured the outcome, and from what on that is counted; empty if never."""
    settings = figures["run"].get("settings", {})
    at = settings.get("horizon") or figures["bundle"]["aim"].get("at")
    if not at:
        return "", ""
    return at, "the start" if settings.get("horizon_from") == "start" else "each decision"


def differing(one: Figures, other: Figures) -> list[tuple[str, str, str]]:
    """Return what differs between two runs besides their versions: its name, and each one's.

    ``own`` of the figures, where they have it, is the version whose aim is the run's outcome.
    """
    found = [
        (words, first, second)
        for (words, first), (_, second) in zip(_asked(one), _asked(other), strict=True)
        if first != second
    ]
    ours, theirs = one["bundle"], other["bundle"]
    if ours["identity"] == theirs["identity"] and ours["digest"] != theirs["digest"]:
        digests = short_digest(ours["digest"]), short_digest(theirs["digest"])
        found.insert(0, ("Rule bundle of this one name", *digests))
    return found


def _asked(figures: Figures) -> Iterator[tuple[str, str]]:
    run = figures["run"]
    told = {**figures["settings"], **run.get("settings", {})}
    aim = figures.get("own", figures["bundle"])["aim"]
    told["horizon"] = told.get("horizon") or aim.get("at")
    yield "Outcome", aim["outcome"]
    yield "Data", short_digest(run.get("data") or "") or NOT_SET
    for name, words in WORDS.items():
        yield words, _text(name, told.get(name))
    yield "What the data lack", "; ".join(sorted(set(run.get("gaps", {}).values()))) or "nothing"
    yield "Written by cds-engine", str(run.get("cds_engine", NOT_SET))
    yield "Decision semantics", str(run.get("semantics", NOT_SET))


def _text(name: str, value: object) -> str:
    if value is None or value in ([], {}, ""):
        return "all" if name in ("classes", "types", "adjust_for") else NOT_SET
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{code}: {_text(name, to)}" for code, to in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return _SAID.get(name, {}).get(str(value), str(value))


def why_apart(one: Rows, other: Rows, runs: tuple[Figures, Figures]) -> str:
    """Return why no decision of the same patient, encounter and instant is in both runs.

    Args:
        one: ``key.patient`` and ``key.encounter`` of all decisions of the first.
        other: those of the second.
        runs: their figures.
    """
    for rows, which in ((one, "first"), (other, "second")):
        if not rows["key.patient"]:
            return f"The {which} run has no decision at all."
    if not set(one["key.patient"]) & set(other["key.patient"]):
        return "No patient is in both."
    first, second = (run["run"].get("settings", {}) for run in runs)
    points = [settings.get("points", "encounter") for settings in (first, second)]
    if points[0] != points[1]:
        said = [_SAID["points"][name] for name in points]
        return f"The first run decided at {said[0]}, the second at {said[1]}."
    if points[0] == "schedule":
        return "Their schedules have no instant in common at which a patient was in both."
    both = len(_visits(one) & _visits(other))
    if not both:
        return "Patients are in both, but no encounter is: each run looked at others."
    told = f"{count(both)} {'encounter is' if both == 1 else 'encounters are'} in both"
    at = [f"the {instant_words(settings)}" for settings in (first, second)]
    if at[0] == at[1]:
        return f"{told}, but at other instants: their records differ."
    return (
        f"{told}, but the first run decided at {at[0]} of an "
        f"encounter and the second at {at[1]}, so that no decision was made at the same instant."
    )


def _visits(rows: Rows) -> set[tuple[str, str]]:
    return set(zip(rows["key.patient"], rows["key.encounter"], strict=True))
