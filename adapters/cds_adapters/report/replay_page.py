"""The report of a replay is one page that needs nothing else: pictures, and a table under each."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from cds_adapters.report import replay_charts as charts
from cds_adapters.report.numbers import count, number, percent
from cds_adapters.report.page import page
from cds_adapters.report.replay_apart import horizon_words
from cds_adapters.report.replay_first import already_words, deaths_words, first, unheld_words
from cds_adapters.report.replay_made import (
    VOCABULARY_CAPTION,
    action_rows,
    made,
    unread_rows,
    vocabulary_rows,
)
from cds_adapters.report.ways_out import ways_out
from cds_engine.replay.figures.flips import in_words
from cds_engine.vocabulary.time import parse_duration

Figures = Mapping[str, Any]
Trail = tuple[tuple[str, str], ...]
"""Words and addresses of the pages above one."""
LISTED = 100
"""How many flips the page lists one by one; ``figures.json`` lists them all."""

_UNTOLD: dict[str, Any] = {"warnings": [], "settings": {}, "data": "", "learned": []}
REASONS = {
    "missing": "An input is missing", "stale": "An input is too old",
    "out-of-range": "An input is not believable", "unit-unknown": "An input has no usable unit",
    "conflicting-data": "Readings contradict each other",
    "incomplete": "The search for an input was cut short",
    "unresolved": "An input is recorded in a way that leaves it open",
    "positivity-unsupported": "Outside the range in which the actions could be compared",
    "safeguard": "A safeguard rules the action out", "rule-abstains": "The rule gives no advice",
    "several-stages": "More than one stage fits", "no-stage": "No stage fits",
    "not-yet-effective": "The version was not in force yet", "expired-bundle": "It had expired",
}  # fmt: skip
KINDS = {"other": "Both advise, but not the same",
         "silent": "One of them advises nothing, or both do for other reasons",
         "no_choice": "At a stage where one of them offers a single option"}  # fmt: skip
STATES = {
    "known": "known", "pending": "its time had not come when the data ended",
    "deceased": "died before it", "absent": "never measured", "range": "only within a range known",
}  # fmt: skip
OTHER = {"no advice": "No advice", "not applicable": "Not applicable",
         "several equally good": "Several equally good"}  # fmt: skip


def replay_page(
    figures: Figures, service: Callable[[str, str], str] | None = None, trail: Trail = (),
    second: Callable[[str, str], str] | None = None,
) -> str:  # fmt: skip
    """Return the report of a replay.

    Args:
        figures: what ``figures.json`` says.
        service: patient and instant -> address of the patient's page as of then, where the report
            is shown by a service; else names lead to the timelines on the page itself.
        trail: the pages of the service above it.
        second: as ``service``, where the second version is asked.
    """
    figures = _whole(figures)
    told = {one["patient"]: f"patient-{at}" for at, one in enumerate(figures["timelines"])}
    points = {at["id"] for one in figures["timelines"] for at in one["decisions"]}

    def link(patient: str, as_of: str) -> str:
        if service is not None:
            return service(patient, as_of)
        return f"#{told[patient]}" if patient in told else ""

    labels = figures["bundle"]["actions"] | (figures["against"] or {}).get("actions", {}) | OTHER
    return page(
        "replay.html", figures=figures, run=_UNTOLD | figures["run"],
        outcome=charts.outcome_words(figures), link=link, rewind=service, second=second,
        trail=trail,
        anchors=told, points=points, word=lambda one: in_words(one, labels),
        first=first(figures), versions=_versions(figures), regime=charts.regime_name,
        flips=flips_view(figures["flips"], labels, figures["bundle"]["stages"]),
        listed=LISTED, number=number, count=count,
        kinds=KINDS, states=STATES,
        percent=percent, horizon=_horizon(figures), ways=ways_out(figures),
        weighted_n=charts.WEIGHTED_N,
        stages=lambda told: charts.in_order(figures, told), made=made(figures),
        vocabulary=vocabulary_rows(figures), vocabulary_caption=VOCABULARY_CAPTION,
        actions_held=action_rows(figures), unread=unread_rows(figures),
        unheld=unheld_words(figures), deaths=deaths_words(figures),
        already=already_words(figures),
        level=f"{100 * figures['settings']['level']:g} %", **_charts(figures),
    )  # fmt: skip


def _whole(figures: Figures) -> dict[str, Any]:
    """Return figures with what those of older runs do not tell."""
    told = {"spoken": None, "second": None, **figures}
    for key in ("bundle", "against"):
        if (one := told[key]) is not None:
            told[key] = {"stage_order": list(one["stages"]), "unheld_confounders": [],
                         "variable_order": list(one["variables"]), **one}  # fmt: skip
    if told["flips"] is not None:
        told["flips"] = {"kinds": {}, **told["flips"]}
    return told


def patient_link(prefix: str) -> Callable[[str, str], str]:
    """Return the address of a patient's page as of an instant, below a service's path."""
    return lambda patient, as_of: (
        f"{prefix}/patients/{quote(patient, safe='')}?{urlencode({'as_of': as_of})}"
    )


def flips_view(
    told: Figures | None, labels: Mapping[str, str], stages: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return what is shown of flips: the cells, and shares by stage and subgroup."""
    if told is None:
        return None
    parts = [("Stage", told["stages"]), *told["groups"].items()]
    shares = [
        (by, stages.get(one["group"], one["group"]), *_share(one))
        for by, rows in parts for one in rows
    ]  # fmt: skip
    return {"chart": charts.flips_chart(told, labels), "shares": shares, "told": told}


def _share(one: Figures) -> tuple[str, str, str]:
    if one["flipped"] is None or not one["decisions"]:
        n = charts.HELD if one["decisions"] is None else count(one["decisions"])
        return charts.HELD, n, charts.HELD
    return (count(one["flipped"]), count(one["decisions"]),
            percent(one["flipped"] / one["decisions"]))  # fmt: skip


def _versions(figures: Figures) -> list[dict[str, Any]]:
    """Return what is told of each version by itself: charts, and tables."""
    if figures["second"] is None:
        return [_own(figures, "", "")]
    return [_own(figures, "", "First version: "),
            _own(charts.second_of(figures), "-second", "Second version: ")]  # fmt: skip


def _own(figures: Figures, key: str, whose: str) -> dict[str, Any]:
    return {
        "whose": whose, "all": figures["concordance"][-1], "tables": charts.tables(figures),
        "funnel": charts.funnel_chart(figures, key, whose) if figures["funnel"][0]["decisions"]
        else None,
        "reasons": charts.reasons_chart(figures, REASONS, key, whose) if figures["abstentions"]
        else None,
        "concordance": charts.concordance_chart(figures, key, whose)
        if any(one["agreed"] for one in figures["concordance"]) else None,
    }  # fmt: skip


def _charts(figures: Figures) -> dict[str, Any]:
    value = figures["value"]
    eligible = not figures["empty"]
    valued = eligible and not value["refused"]
    groups = any(part["groups"] for part in figures["subgroups"])
    both = figures["against"] is not None
    promised = "benefit" in figures["calibration"]  # figures of older runs have none
    checked = eligible and promised and not figures["calibration"]["benefit"]["refused"]
    return {
        "firing": _if_any(charts.firing_chart, figures,
                          any(one["fired"] for one in figures["firing"]["months"])),
        "values": charts.values_chart(figures) if valued else None,
        "followed": charts.followed_rows(figures) if valued else [],
        "differences": _if_any(charts.differences_chart, figures, valued and any(
            one["refused"] or one["robust"]["estimate"] or one["robust"]["standard_error"]
            for one in value["differences"])),
        "balance": _if_any(charts.balance_chart, figures, valued and
                           bool(value["assumptions"]["balance"])),
        "overlap": charts.overlap_rows(figures) if valued else [],
        "sensitivity": _if_any(charts.sensitivity_chart, figures,
                               valued and bool(value["sensitivity"])),
        "subgroups": [charts.subgroups_chart(figures, key) for key in
                      ("version", *(("against",) if both else ()))] if valued and groups else [],
        "calibration": _if_any(charts.calibration_chart, figures,
                               eligible and not figures["calibration"]["refused"]),
        "benefit": _if_any(charts.benefit_chart, figures, checked),
        "kept": charts.benefit_words(figures) if checked else "",
        "held": charts.benefit_rows(figures) if eligible and promised else [],
    }  # fmt: skip


def _if_any(make: Callable[[Figures], Any], figures: Figures, wanted: bool) -> Any:
    return make(figures) if wanted else None


def _horizon(figures: Figures) -> str:
    at, begin = horizon_words(figures)
    return f"{parse_duration(at).words()} after {begin}" if at else ""
