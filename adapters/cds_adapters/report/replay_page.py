"""The report of a replay is one page that needs nothing else: pictures, and a table under each."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from cds_adapters.report import replay_charts as charts
from cds_adapters.report.numbers import (
    count,
    number,
    percent,
    with_interval,
)
from cds_adapters.report.page import page
from cds_adapters.report.ways_out import ways_out
from cds_engine.vocabulary.time import parse_duration
from cds_engine.vocabulary.units import unit_words

Figures = Mapping[str, Any]
Trail = tuple[tuple[str, str], ...]
"""Words and addresses of the pages above one."""
LISTED = 100
"""How many flips the page lists one by one; ``figures.json`` lists them all."""

_UNTOLD: dict[str, Any] = {"warnings": [], "settings": {}, "data": ""}
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
OTHER = {"no advice": "No advice", "not applicable": "Not applicable",
         "several equally good": "Several equally good"}  # fmt: skip


def replay_page(
    figures: Figures, service: Callable[[str, str], str] | None = None, trail: Trail = ()
) -> str:
    """Return the report of a replay.

    Args:
        figures: what ``figures.json`` says.
        service: patient and instant -> address of the patient's page as of then, where the report
            is shown by a service; else names lead to the timelines on the page itself.
        trail: the pages of the service above it.
    """
    told = {one["patient"]: f"patient-{at}" for at, one in enumerate(figures["timelines"])}

    def link(patient: str, as_of: str) -> str:
        if service is not None:
            return service(patient, as_of)
        return f"#{told[patient]}" if patient in told else ""

    labels = figures["bundle"]["actions"] | (figures["against"] or {}).get("actions", {}) | OTHER
    return page(
        "replay.html", figures=figures, run=_UNTOLD | figures["run"],
        outcome=charts.outcome_words(figures), link=link, rewind=service, trail=trail,
        anchors=told, labels=labels, tables=charts.tables(figures), first=_first(figures),
        flips=flips_view(figures["flips"], labels, figures["bundle"]["stages"]),
        listed=LISTED, number=number, count=count,
        percent=percent, horizon=_horizon(figures), ways=ways_out(figures),
        level=f"{100 * figures['settings']['level']:g} %", **_charts(figures),
    )  # fmt: skip


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
        (by, stages.get(one["group"], one["group"]), count(one["flipped"]), count(one["decisions"]),
         percent(one["flipped"] / one["decisions"]))
        for by, rows in parts for one in rows
    ]  # fmt: skip
    return {"chart": charts.flips_chart(told, labels), "shares": shares, "told": told}


def _charts(figures: Figures) -> dict[str, Any]:
    value = figures["value"]
    eligible = not figures["empty"]
    valued = eligible and not value["refused"]
    groups = any(part["groups"] for part in figures["subgroups"])
    both = figures["against"] is not None
    promised = "benefit" in figures["calibration"]  # figures of older runs have none
    checked = eligible and promised and not figures["calibration"]["benefit"]["refused"]
    return {
        "funnel": _if_any(charts.funnel_chart, figures, bool(figures["funnel"][0]["decisions"])),
        "reasons": charts.reasons_chart(figures, REASONS) if figures["abstentions"] else None,
        "firing": _if_any(charts.firing_chart, figures,
                          any(one["fired"] for one in figures["firing"]["months"])),
        "concordance": _if_any(charts.concordance_chart, figures,
                               any(one["agreed"] for one in figures["concordance"])),
        "values": charts.values_chart(figures) if valued else None,
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


def _first(figures: Figures) -> dict[str, Any]:
    """Return the answer in the order in which a reader asks for it."""
    if figures["empty"]:
        return {"problem": True, "said": [figures["empty"]], "answers": []}
    value = figures["value"]
    answers = [_answer(one, figures) for one in value["differences"]
               if one["minus"] in ("usual", "against")]  # fmt: skip
    said = [f"No value is told. {value['refused']}"] if value["refused"] else []
    said += ["Options that may help are named below."] if ways_out(figures) else []
    said += [f"{one['label']}: no value, for {one['refused']}." for one in value["regimes"]
             if one["refused"] and one["kind"] == "regime"]  # fmt: skip
    doubtful = [one["assumption"] for one in (value["assumptions"] or {}).get("ledger", ())
                if one["judgement"] == "doubtful"]  # fmt: skip
    problem = bool(said) or "positivity" in doubtful
    if doubtful:
        said.append(f"By the figures alone, doubtful: {', '.join(doubtful)}.")
    return {
        "problem": problem,
        "said": said,
        "answers": [*_shares(figures), *filter(None, answers)],
    }


def _shares(figures: Figures) -> list[tuple[str, str, str]]:
    steps = {one["step"]: one for one in figures["funnel"]}
    eligible = steps["eligible"]["decisions"]
    agreed = next(one for one in figures["concordance"] if not one["stage"])
    told = [("Advised at", percent(steps["supported"]["decisions"] / eligible),
             f"of {count(eligible)} eligible decisions")]  # fmt: skip
    if agreed["decisions"]:
        ends = f"{percent(agreed['low'])} to {percent(agreed['high'])}"
        among = f"of {count(agreed['decisions'])} decisions with a choice ({ends})"
        told.append(("Clinicians did the same in", percent(agreed["share"]), among))
    return told


def _horizon(figures: Figures) -> str:
    at = figures["bundle"]["aim"]["at"]
    return parse_duration(at).words() if at else ""


def _answer(one: Figures, figures: Figures) -> tuple[str, str, str] | None:
    if one["refused"]:
        return None
    told, unit = one["robust"], unit_words(figures["bundle"]["aim"]["unit"] or "")
    value, ends = with_interval(told["estimate"], told["low"], told["high"], unit)
    return one["label"], value, f"{ends}, doubly robust"
