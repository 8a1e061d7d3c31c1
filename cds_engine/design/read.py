"""Plain data become a checked SMART, or one error that lists every fault with place and cure."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cds_engine.design.document import (
    AssumptionsDocument,
    DesignDocument,
    RandomisationDocument,
    ResponseDocument,
)
from cds_engine.design.smart import (
    GROUPS,
    Design,
    DesignError,
    Path,
    Randomisation,
    parsed,
    written,
)
from cds_engine.errors import Fault

MOST_REGIMES = 256
"""A design with more embedded regimes is refused; few trials have more than eight."""

_WORDS: Mapping[str, str] = {
    "missing": "this field is required",
    "extra_forbidden": "there is no such field here; remove it",
    "string_type": "must be a text; put it in quotes",
    "dict_type": "must be a mapping of fields",
    "model_type": "must be a mapping of fields",
    "tuple_type": "must be a list; write it as [a, b]",
    "float_type": "must be a number, without quotes",
    "int_type": "must be a number, without quotes",
    "too_short": "holds too little; at least {min_length} must stand here",
    "string_too_short": "must not be empty",
    "greater_than": "must be more than {gt:g}",
    "less_than": "must be less than {lt:g}",
    "literal_error": "only {expected} can stand here",
    "string_pattern_mismatch": "is no name; names are lower-case letters, digits and _ (a design's "
    "name: -), starting with a letter",
}


def read_design(content: Mapping[str, Any]) -> Design:
    """Check a design that was read from a file, and return it.

    Args:
        content: plain data, as ``DesignDocument`` describes them.

    Raises:
        DesignError: lists every fault found.
    """
    return Reader(design_document(content)).read()


def design_document(content: Mapping[str, Any]) -> DesignDocument:
    """Return the document before its tree is checked.

    Raises:
        DesignError: lists every field that is not as it must be.
    """
    try:
        return DesignDocument.model_validate_json(json.dumps(content, allow_nan=False))
    except ValidationError as error:
        faults = {_place(d["loc"]): _say(d) for d in error.errors(include_url=False)}
        raise DesignError("the design", [Fault(*one) for one in faults.items()]) from error
    except (TypeError, ValueError) as error:
        problem = f"holds what is no plain text, number or list: {error}"
        raise DesignError("the design", [Fault("", problem)]) from error


def _say(detail: ErrorDetails) -> str:
    words = _WORDS.get(detail["type"])
    if words is None:
        return detail["msg"][:1].lower() + detail["msg"][1:]
    return words.format(**detail.get("ctx", {}))


def _place(loc: Sequence[int | str]) -> str:
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in {"[key]", "int", "float"}:
            text += f".{part}" if text else part
    return text


class Reader:
    """One reading of one document; faults are gathered before it gives up."""

    def __init__(self, document: DesignDocument) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.known: set[Path] = {()}
        self.responses: dict[Path, ResponseDocument] = {}
        self.randomisations: dict[Path, Randomisation] = {}

    def read(self) -> Design:
        """Return the design.

        Raises:
            DesignError: lists every fault found.
        """
        document = self.document
        self._check_names()
        self.responses = {parsed(text): one for text, one in document.response.items()}
        for number, stage in enumerate(document.stages):
            made: set[Path] = set()
            for at, one in enumerate(stage.randomise):
                place = f"stages[{number}].randomise[{at}]"
                made |= self._randomise(place, number, one)
            self.known |= made
        self._check_responses()
        design = Design(document, self.randomisations, self.responses)
        self._check_labels()
        if (count := design.regimes()) > MOST_REGIMES:
            self._fault("stages", f"{count} embedded regimes are more than can be compared; at "
                        f"most {MOST_REGIMES} are read, so randomise fewer groups")  # fmt: skip
        if not self.faults and document.assume is not None:
            self._check_assumptions(design, document.assume)
        if self.faults:
            raise DesignError(f"design {document.design}", self.faults)
        return design

    def _fault(self, place: str, problem: str) -> None:
        self.faults.append(Fault(place, problem))

    def _check_names(self) -> None:
        stages = self.document.stages
        names = [stage.stage for stage in stages]
        columns = [stage.column or f"action_{stage.stage}" for stage in stages]
        others = {self.document.identifier: "the identifier", self.document.outcome.column:
                  "the outcome"}  # fmt: skip
        for number in range(len(stages)):
            if names[number] in names[:number]:
                self._fault(f"stages[{number}].stage", f"{names[number]} is named twice; stages "
                            "must differ")  # fmt: skip
            elif columns[number] in columns[:number]:
                self._fault(f"stages[{number}].column", f"{columns[number]} is another stage's "
                            "column too; give each its own")  # fmt: skip
            if columns[number] in others:
                self._fault(f"stages[{number}].column", f"{columns[number]} is "
                            f"{others[columns[number]]}'s column; give each its own")  # fmt: skip

    def _randomise(self, place: str, stage: int, one: RandomisationDocument) -> set[Path]:
        """Take up one randomisation; return the paths to which it leads."""
        before = self._before(place, stage, one)
        if before is None:
            return set()
        at = before if one.who == "all" else (*before, one.who)
        if at in self.randomisations:
            self._fault(place, f"{_who(at)} are randomised twice; leave one out")
            return set()
        self._check_group(place, before, one)
        total = sum(one.arms.values())
        if abs(total - 1) > 1e-6 and all(share < 1 for share in one.arms.values()):
            self._fault(f"{place}.arms", f"the probabilities add to {total:g}; let them add to 1, "
                        "or write a ratio such as 1 : 1")  # fmt: skip
        for arm in one.arms:
            if arm in GROUPS:
                self._fault(f"{place}.arms", f"{arm!r} means a group here; give the arm another "
                            "name")  # fmt: skip
        arms = {arm: share / total for arm, share in one.arms.items()}
        self.randomisations[at] = Randomisation(at, stage, arms)
        made = {(*at, arm) for arm in arms}
        return made | {(*path, group) for path in made if path in self.responses
                       for group in GROUPS}  # fmt: skip

    def _before(self, place: str, stage: int, one: RandomisationDocument) -> Path | None:
        """Return the path after which somebody is randomised, if it is one."""
        if stage == 0:
            if one.after is not None or one.who != "all":
                self._fault(place, "the first stage randomises everybody; leave out `after` and "
                            "`who`")  # fmt: skip
                return None
            return ()
        if one.after is None:
            self._fault(place, "after which path? Name it with `after`, such as "
                        + _some(self.known))  # fmt: skip
            return None
        before = parsed(one.after)
        if before not in self.known:
            self._fault(f"{place}.after", f"no earlier stage leads to {one.after!r}"
                        + _hint(one.after, self.known))  # fmt: skip
            return None
        return before

    def _check_group(self, place: str, before: Path, one: RandomisationDocument) -> None:
        split = before in self.responses
        if one.who != "all" and not split:
            self._fault(place, f"who are the {one.who} after {written(before)}? Say it under "
                        f"`response: {{{written(before)}: ...}}`")  # fmt: skip
        elif one.who == "all" and split:
            self._fault(place, f"`response` splits those after {written(before)}, but all are "
                        "randomised alike; write one randomisation for responders and one for "
                        "non-responders, or leave the response out")  # fmt: skip

    def _check_responses(self) -> None:
        columns: dict[str, int] = {}
        for path, one in self.responses.items():
            place = f"response.{written(path)}"
            origin = self.randomisations.get(path[:-1])
            if origin is None or path[-1] not in origin.arms:
                self._fault(place, "nobody is randomised to this path"
                            + _hint(written(path), self.known - {()}))  # fmt: skip
            elif columns.setdefault(one.column, origin.stage) != origin.stage:
                self._fault(place, f"the column {one.column} tells the response at another stage; "
                            "give each stage its own")  # fmt: skip

    def _check_labels(self) -> None:
        arms = {arm for one in self.randomisations.values() for arm in one.arms}
        for name in self.document.labels:
            if name not in arms:
                self._fault(f"labels.{name}", "there is no such arm" + _close(name, arms))

    def _check_assumptions(self, design: Design, assume: AssumptionsDocument) -> None:
        self._check_keys("assume.response", assume.response, design.responses)
        self._check_keys("assume.mean", assume.mean, design.ends)
        if self.document.outcome.kind == "continuous":
            if assume.sd is None:
                self._fault("assume.sd", "a continuous outcome needs its standard deviation")
            return
        for path, chance in assume.mean.items():
            if not 0 < chance < 1:
                self._fault(f"assume.mean.{path}", f"{chance:g} is no probability of a binary "
                            "outcome; give one between 0 and 1")  # fmt: skip
        for name in ("sd", "rho", "response_rho"):
            if getattr(assume, name):
                self._fault(f"assume.{name}", "is for continuous outcomes; leave it out")

    def _check_keys(self, place: str, given: Mapping[str, Any], wanted: Iterable[Path]) -> None:
        needed = {written(path) for path in wanted}
        held = {written(parsed(text)) for text in given}
        for text in sorted(needed - held):
            self._fault(place, f"nothing is assumed for {text!r}; add it")
        for text in sorted(held - needed):
            self._fault(f"{place}.{text}", "there is no such path" + _close(text, needed))


def _who(at: Path) -> str:
    return f"those on {written(at)!r}" if at else "all"


def _some(paths: Iterable[Path]) -> str:
    return " or ".join(sorted(written(path) for path in paths if path)[:3])


def _hint(text: str, paths: Iterable[Path]) -> str:
    known = {written(path) for path in paths if path}
    return _close(text, known) or f"; there is {_some(paths)}"


def _close(text: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(text, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
