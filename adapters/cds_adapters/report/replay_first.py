"""What a reader of a replay must read first: refusals, doubts, warnings, then the answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cds_adapters.report.numbers import count, percent, with_interval
from cds_adapters.report.sides import better_side, verdict
from cds_adapters.report.ways_out import ways_out
from cds_engine.vocabulary.units import unit_words

Figures = Mapping[str, Any]
NOT_ALONE = "Do not go live on this number alone."
BELOW = "Options that may help are named below."
Answer = tuple[str, str, str, str]
"""What is told, the number, what stands below it, and which way is better where that is asked."""


def version_name(figures: Figures, key: str) -> str:
    """Return what a version is called: the version, or the first or second one of two."""
    turn = "second " if key == "against" else "first " if figures["against"] else ""
    return f"The {turn}version"


def first(figures: Figures) -> dict[str, Any]:
    """Return the answer in the order in which a reader asks for it.

    ``state`` is ``problem`` where something is refused or hardly covered, ``doubt`` where
    an assumption is doubtful, else empty.
    """
    if figures["empty"]:
        return {"state": "problem", "said": [figures["empty"]], "warned": [], "answers": []}
    refused = list(_refused(figures))
    doubts = list(_doubts(figures))
    poor = any(one["assumption"] == "positivity" for one in doubts_of(figures))
    warned = list(_warned(figures))
    alarmed = bool(warned or figures["run"].get("warnings"))
    state = "problem" if refused or poor else "doubt" if doubts or alarmed else ""
    answers = [*spoken(figures), *_same(figures), *_worth(figures)]
    return {"state": state, "said": [*refused, *doubts], "warned": warned, "answers": answers}


def doubts_of(figures: Figures) -> list[dict[str, Any]]:
    """Return the doubtful assumptions, each with the reasons why."""
    told = figures["value"]["assumptions"] or {}
    bare = [{"assumption": one["assumption"], "whys": []} for one in told.get("ledger", ())
            if one["judgement"] == "doubtful"]  # fmt: skip
    found: list[dict[str, Any]] = told.get("doubts", bare)
    return found


def unheld_words(figures: Figures) -> list[str]:
    """Return for each version what its study adjusted for and this replay cannot."""
    lacks = [tuple((figures[key] or {}).get("unheld_confounders") or ())
             for key in ("bundle", "against")]  # fmt: skip
    if lacks[0] == lacks[1]:
        return [_unheld("The studies of both versions", lacks[0])] if lacks[0] else []
    whose = ("The study", "The study behind the second version")
    return [_unheld(study, names) for study, names in zip(whose, lacks, strict=True) if names]


def _unheld(study: str, names: Sequence[str]) -> str:
    it = "it" if len(names) == 1 else "them"
    return (f"{study} adjusted for {', '.join(names)}; this replay does not, as the rule bundle "
            f"does not hold {it}.")  # fmt: skip


def recoded_words(figures: Figures) -> list[str]:
    """Return which actions the two versions see as other codes, and what that does."""
    told = (figures.get("second") or {}).get("recoded", ())
    return [
        f"{one['label']} ({one['action']}) is seen as {_codes(one['second'])} by the second "
        f"version, as {_codes(one['first'])} by the first: values judge what was taken by the "
        "first version's codes, and counts of each version by its own."
        for one in told
    ]  # fmt: skip


def _codes(codes: Sequence[str]) -> str:
    return ", ".join(codes) or "no code"


def deaths_words(figures: Figures) -> str:
    """Return how many died before the outcome and what that means; empty where nobody did."""
    told = figures["value"]["cohort"].get("deaths")
    if not told or not told["patients"]:
        return ""
    said = (f"{count(told['patients'])} of {count(told['of'])} patients whose outcome was due died "
            f"before it ({percent(told['share'])}).")  # fmt: skip
    if figures["value"]["refused"]:
        return said
    return (f"{said} The values weight for them like for outcomes that merely lack; what the dead "
            "would have measured is not defined, so count deaths beside these values.")  # fmt: skip


def already_words(figures: Figures) -> str:
    """Return how many outcomes were true before anything was decided; empty where none was."""
    told = figures["value"]["cohort"].get("already")
    if not told or not told["patients"]:
        return ""
    outcome = figures["bundle"]["aim"]["outcome"]
    label = figures["bundle"]["variables"].get(outcome, outcome)
    return (
        f"Of {count(told['of'])} patients in whom the outcome ({label}) is true, it was true at "
        f"their first decision already in {count(told['patients'])}. They count like those in whom "
        "it came about later, though nothing that was done since can have brought it about."
    )


def spoken(figures: Figures) -> Iterator[Answer]:
    """Yield how often a card, nothing to change and no advice came of decisions with a choice."""
    told, second = figures.get("spoken"), (figures.get("second") or {}).get("spoken")
    if not told or not told["decisions"]:
        return
    for key, words in (("card", "Would show a card"), ("no_change", "Nothing to change"),
                       ("none", "No advice")):  # fmt: skip
        among = f"of {count(told['decisions'])} decisions at stages with a choice"
        if second and second["decisions"]:
            share = percent(second[key] / second["decisions"])
            among = f"of {_decisions(told, second)}; the second version {share}"
        yield words, percent(told[key] / told["decisions"]), among, ""


def _decisions(told: Figures, second: Figures) -> str:
    n, other = told["decisions"], second["decisions"]
    both = count(n) if n == other else f"{count(n)} (second version {count(other)})"
    return f"{both} decisions at stages with a choice"


def _refused(figures: Figures) -> Iterator[str]:
    value = figures["value"]
    if value["refused"]:
        yield f"No value is told. {value['refused']}"
    if ways_out(figures):
        yield BELOW
    for one in value["regimes"]:
        if one["refused"] and one["kind"] == "regime":
            yield f"{version_name(figures, one['key'])} has no value: {one['refused']}."


def _doubts(figures: Figures) -> Iterator[str]:
    doubts = doubts_of(figures)
    for one in doubts:
        whys = "; ".join(one["whys"])
        yield f"Doubtful: {one['assumption']}.{' ' if whys else ''}{_sentence(whys)}"
    if doubts and not figures["value"]["refused"]:
        yield NOT_ALONE


def _warned(figures: Figures) -> Iterator[str]:
    yield from unheld_words(figures)
    yield from recoded_words(figures)
    if died := deaths_words(figures):
        yield died
    if already := already_words(figures):
        yield already


def _same(figures: Figures) -> Iterator[Answer]:
    agreed = _all(figures)
    if not agreed["decisions"]:
        return
    ends = f"{percent(agreed['low'])} to {percent(agreed['high'])}"
    among = f"of {count(agreed['decisions'])} decisions with a choice ({ends})"
    second = figures.get("second")
    if second and (other := _all(second))["decisions"]:
        among += f"; the second version {percent(other['share'])} of {count(other['decisions'])}"
    yield "Clinicians did the same in", percent(agreed["share"]), among, ""


def _all(figures: Figures) -> dict[str, Any]:
    return next(one for one in figures["concordance"] if not one["stage"])


def _worth(figures: Figures) -> Iterator[Answer]:
    unit = unit_words(figures["bundle"]["aim"]["unit"] or "")
    deviates = {one["key"]: one.get("deviates") for one in figures["value"]["regimes"]}
    for one in figures["value"]["differences"]:
        if one["refused"] or one["minus"] not in ("usual", "against"):
            continue
        told = one["robust"]
        value, ends = with_interval(told["estimate"], told["low"], told["high"], unit)
        said = f"{ends}, doubly robust"
        if one["minus"] == "usual" and (apart := deviates.get(one["of"])):
            said += (f"; its advice differs from what was done in {percent(apart['share'])} of "
                     f"{count(apart['of'])} patients")  # fmt: skip
        yield one["label"], value, said, sided(figures, one)


def sided(figures: Figures, one: Figures) -> str:
    """Return which side of a difference speaks for whom, and where its interval lies.

    Args:
        figures: of the run, ``bundle`` being the version whose aim it is.
        one: of ``value.differences``, with an estimate.
    """
    better, told = figures["bundle"]["aim"]["better"], one["robust"]
    side, whose = better_side(better), version_name(figures, one["of"])
    return (f"{side[0].upper()}{side[1:]} {whose[0].lower()}{whose[1:]} is better. "
            f"{verdict(told['low'], told['high'], better)}")  # fmt: skip


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""
