"""An embedded regime chooses one arm at every randomisation that its followers can meet."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from cds_engine.design.smart import (
    NON_RESPONDERS,
    RESPONDERS,
    Design,
    DesignQuestionError,
    Path,
)


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One line of a regime's rules.

    Attributes:
        stage: name of the stage.
        at: path of those whom the line is for.
        when: the same as a criterion over the table's columns; None for everybody.
        then: the arm.
    """

    stage: str
    at: Path
    when: str | None
    then: str


@dataclass(frozen=True, slots=True)
class EmbeddedRegime:
    """A regime that the trial contains by design.

    Attributes:
        label: such as ``coaching, gym``; where responders have options too, ``coaching, a if
            response else b``.
        words: the regime as a sentence.
        rules: its rules, in order of time.
        ends: the paths of those who followed it.
    """

    label: str
    words: str
    rules: tuple[RuleLine, ...]
    ends: tuple[Path, ...]

    def arm(self, at: Path) -> str | None:
        """Return the arm that it chooses for those on a path; None if it never leads there."""
        return next((line.then for line in self.rules if line.at == at), None)


def embedded_regimes(design: Design) -> tuple[EmbeddedRegime, ...]:
    """Return every embedded regime, in the order in which the arms are written."""
    return tuple(
        EmbeddedRegime(
            found.label,
            _words(design, found.rules, found.ends),
            tuple(sorted(found.rules, key=lambda line: len(line.at))),
            found.ends,
        )
        for found in _from(design, ())
    )


def regime_named(design: Design, label: str) -> EmbeddedRegime:
    """Return an embedded regime by its label.

    Raises:
        DesignQuestionError: if there is none.
    """
    known = embedded_regimes(design)
    for one in known:
        if one.label == label:
            return one
    raise DesignQuestionError(
        f"no embedded regime is called {label!r}; there is " + "; ".join(one.label for one in known)
    )


@dataclass(frozen=True, slots=True)
class _Found:
    label: str
    rules: tuple[RuleLine, ...]
    ends: tuple[Path, ...]


def _from(design: Design, path: Path) -> Iterator[_Found]:
    """Yield every way to go on from a path."""
    if path in design.responses:
        groups = [list(_from(design, child)) for child in design.children(path)]
        for one, other in product(*groups):
            yield _Found(_joined(one.label, other.label), (*one.rules, *other.rules),
                         (*one.ends, *other.ends))  # fmt: skip
    elif path in design.randomisations:
        here = design.randomisations[path]
        stage = design.stages[here.stage].stage
        for arm in here.arms:
            line = RuleLine(stage, path, design.criterion(path), arm)
            for rest in _from(design, (*path, arm)):
                label = f"{arm}, {rest.label}" if rest.label else arm
                yield _Found(label, (line, *rest.rules), rest.ends)
    else:
        yield _Found("", (), (path,))


def _joined(responders: str, others: str) -> str:
    """Return the label of what follows a response; what only goes on has none."""
    if responders and others:
        return f"{responders} if response else {others}"
    return others or (responders and f"{responders} if response")


def _words(design: Design, rules: tuple[RuleLine, ...], ends: tuple[Path, ...]) -> str:
    said = [(line.at, f"{_whom(design, line.at)}{design.label(line.then)}") for line in rules]
    said += [(end, f"{_group(design, end)} go on as before")
             for end in ends if end[-1] in (RESPONDERS, NON_RESPONDERS)]  # fmt: skip
    said.sort(key=lambda one: design.nodes.index(one[0]))
    return "; ".join(words for _, words in said) + "."


def _whom(design: Design, at: Path) -> str:
    if not at:
        return "Start with "
    if at[-1] in (RESPONDERS, NON_RESPONDERS):
        return f"{_group(design, at)} get "
    return f"then all after {design.label(at[-1])} get "


def _group(design: Design, at: Path) -> str:
    return at[-1] if len(at) == 2 else f"{at[-1]} to {design.label(at[-2])}"
