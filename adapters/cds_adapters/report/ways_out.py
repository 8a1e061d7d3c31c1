"""A replay that saw too few outcomes names the options with which it may see more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cds_engine.vocabulary.time import parse_duration

Figures = Mapping[str, Any]
NO_HORIZON = "no-horizon"
NOT_YET = "pending"
SITE = "--site"
FROM_START = (
    "the horizon counts from a patient's first decision point at a stage, not anew from each "
    "decision"
)


def ways_out(figures: Figures) -> tuple[tuple[str, str], ...]:
    """Return options of ``cds-engine replay`` that may help, each with what it does.

    Empty unless too few outcomes are the reason why no value is told. What the run has already
    been told is not named again. Where what the outcome is read from was found for no patient, no
    other horizon or tolerance finds it.
    """
    value = figures["value"]
    if value.get("refused_for") != "outcomes":
        return ()
    if nowhere := value.get("found_nowhere"):
        return ((SITE, _unmapped(figures, nowhere)),)
    return tuple(_ways(figures, value["cohort"]["outcomes"], figures["run"].get("settings", {})))


def _unmapped(figures: Figures, names: Sequence[str]) -> str:
    labels = figures["bundle"]["variables"]
    said = ", ".join(f"{labels.get(name, name)} ({name})" for name in names)
    return (
        f"settings whose [codes] map the local codes of {said}, found for no patient; if it is not "
        "in the export at all, export it. No other horizon or tolerance would find it"
    )


def _ways(
    figures: Figures, outcomes: Mapping[str, int], settings: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    at = settings.get("horizon") or figures["bundle"]["aim"]["at"]
    if not at or NO_HORIZON in outcomes:
        yield "--horizon", "when the outcome is measured, such as P6M; the version does not say"
        return
    if settings.get("horizon_from") != "start":
        yield "--horizon-from start", FROM_START
    if settings.get("points") == "schedule":
        if NOT_YET in outcomes:
            yield "--last", "an earlier last decision point leaves time for the outcome"
    elif settings.get("instant") != "end":
        yield "--instant end", "decisions are made, and horizons begin, at the end of an encounter"
    yield "--horizon", f"another time than {parse_duration(at).words()}"
    if set(outcomes) - {NOT_YET}:
        now = settings.get("tolerance")
        told = f", now {parse_duration(now).words()}" if now else ""
        yield "--tolerance", f"how far from the horizon a measurement counts{told}"
    if NOT_YET in outcomes:
        yield "--data-until", "when the records end, if they go on for longer than was found"
