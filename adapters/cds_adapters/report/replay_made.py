"""How a replay was made, in words: its settings, what was checked again, what was on record."""

from collections.abc import Iterator, Mapping
from typing import Any

from cds_adapters.report.numbers import count, number, percent
from cds_engine.vocabulary.time import parse_duration

Figures = Mapping[str, Any]
Row = tuple[str, str]
VOCABULARY_CAPTION = (
    "What the records hold of each variable, each patient as of the last entry of the record"
)
_TOLD = {
    "points", "classes", "types", "instant", "offset", "first", "last", "every", "window",
    "horizon", "horizon_from", "tolerance", "data_until", "recheck", "seed", "complete",
    "max_damaged", "accept_cut", "time_zone",
}  # fmt: skip


def made(figures: Figures) -> list[Row]:
    """Return the settings of a run and of its figures, a heading and its words each."""
    settings = figures["run"].get("settings") or {}
    found = [*_of_run(figures, settings)] if settings else []
    return [*found, *_checked(figures), *_of_figures(figures["settings"])]


def vocabulary_rows(figures: Figures) -> list[tuple[str, ...]]:
    """Return what the records hold of each variable, in the order of the bundle."""
    words = figures["bundle"]["variables"]
    told = figures["run"].get("vocabulary") or {}
    return [
        (words.get(one["variable"], one["variable"]), count(one["patients"]), count(one["known"]),
         _counts(one["units"]), _counts(one["missing"]))
        for one in told.get("variables", ())
    ]  # fmt: skip


def action_rows(figures: Figures) -> list[tuple[str, str]]:
    """Return how many patients have each action on record that is seen as some code."""
    words = figures["bundle"]["actions"]
    told = figures["run"].get("vocabulary") or {}
    return [
        (words.get(one["action"], one["action"]), count(one["patients"]))
        for one in told.get("actions", ())
    ]


def unread_rows(figures: Figures) -> list[tuple[str, str]]:
    """Return the commonest codes that nothing reads: first of what can show an action, then all."""
    told = figures["run"].get("vocabulary") or {}
    treated = [one for kind in told.get("treatments", ()) for one in kind["codes"]]
    found = {one["code"]: one["number"] for one in (*treated, *told.get("unmapped", ()))}
    return [(code, count(n)) for code, n in found.items()]


def listed_vocabulary(told: Figures) -> dict[str, Any]:
    """Return ``vocabulary.json`` with lists for what has an order, which JSON keeps."""
    variables = [{"variable": name, **one} for name, one in told["variables"].items()]
    return {
        "patients": told["patients"], "variables": variables,
        "actions": [{"action": name, "patients": n} for name, n in told.get("actions", {}).items()],
        "treatments": [
            {"type": name, **one, "codes": _coded(one["codes"])}
            for name, one in told.get("treatments", {}).items()
        ],
        "unmapped": _coded(told.get("unmapped", {})),
    }  # fmt: skip


def _coded(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"code": code, "number": n} for code, n in counts.items()]


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{name or 'no unit'} {count(n)}" for name, n in ordered)


def _of_run(figures: Figures, settings: Figures) -> Iterator[Row]:
    yield "Decision points", _points(settings)
    yield "Action taken", f"what is on record within {_long(settings, 'window')} of the decision"
    at = settings.get("horizon") or figures["bundle"]["aim"]["at"]
    if at:
        begin = ("a patient's first decision at a stage"
                 if settings.get("horizon_from") == "start" else "each decision")  # fmt: skip
        yield (
            "Outcome",
            (
                f"the measurement nearest to {parse_duration(at).words()} after {begin}, at most "
                f"{_long(settings, 'tolerance')} before or after that"
                f"{'' if settings.get('horizon') else '; the version itself names that time'}"
            ),
        )
    until = settings.get("data_until")
    yield "The data end", f"{_instant(until)}; what would be later is pending" if until else (
        "it is not known when")  # fmt: skip
    complete = settings.get("complete")
    yield "Searches taken as complete", ", ".join(complete) if complete else "none was named"
    if "max_damaged" in settings:
        yield (
            "Damaged lines",
            (f"refused where more than {percent(settings['max_damaged'])} of them are"),
        )
    if settings.get("accept_cut"):
        yield "Records that are cut off", "were accepted"
    if settings.get("time_zone"):
        yield "Time zone", f"{settings['time_zone']}, where a record names none"
    for name, value in settings.items():
        if name not in _TOLD and value:
            yield name.replace("_", " "), _plain(value)


def _points(settings: Figures) -> str:
    if settings.get("points") == "schedule":
        return (f"every {parse_duration(settings['every']).words()} from "
                f"{_instant(settings['first'])} to {_instant(settings['last'])}")  # fmt: skip
    said = f"the {settings.get('instant', 'start')} of each encounter"
    offset = settings.get("offset")
    if offset and offset != "P0D":
        said = f"{parse_duration(offset).words()} after {said}"
    for name, words in (("classes", "class"), ("types", "type")):
        if settings.get(name):
            said += f" of {words} {' or '.join(settings[name])}"
    return said


def _checked(figures: Figures) -> Iterator[Row]:
    told = figures["run"].get("checked_again")
    if told:
        share = percent(figures["run"]["settings"]["recheck"])
        yield (
            "Decided a second time",
            (
                f"{count(told['rows'])} decisions ({share}, drawn by chance) by the evaluator that "
                f"serves one patient: {count(told['differences'])} differences"
            ),
        )


def _of_figures(settings: Figures) -> Iterator[Row]:
    yield "Too little for a value", (
        f"fewer than {number(settings['least_effective_n'])} effective followers; outcomes "
        f"observed of less than {percent(settings['least_observed'])}"
        + (f"; more than {percent(settings['most_deaths'])} dead before the outcome"
           if "most_deaths" in settings else "")
    )  # fmt: skip
    yield (
        "Small counts",
        (
            f"in subgroups, pairs and flips, below {settings['smallest_cell']} held back, with "
            "what would give them away"
        ),
    )
    yield "Adjustment", (
        f"leaves out a variable that is known in less than {percent(settings['least_known'])} of "
        "a stage's decision points"
        + (f"; asked for alone: {', '.join(settings['adjust_for'])}" if settings["adjust_for"]
           else "")
    )  # fmt: skip
    yield "Chance", f"folds are drawn with seed {settings['seed']}"


def _long(settings: Figures, name: str) -> str:
    return parse_duration(settings.get(name) or "P30D").words()


def _instant(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {one}" for name, one in sorted(value.items()))
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
