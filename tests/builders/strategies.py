"""Hypothesis strategies: valid rule bundles with every construct that the language has.

Bundles are drawn as documents and read like any other, so that only what an author could write is
tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from builders.bundles import (
    ACTIONS,
    DIGITS,
    FLAGS,
    LABELS,
    Document,
    a_document,
    a_stage,
    bundle_of,
    variables,
)
from hypothesis import strategies as st

from cds_engine.bundle.model import RuleBundle

Draw = st.DrawFn
OPERATORS = ("<", "<=", ">", ">=", "==", "!=")
WEIGHTS = ("2", "-1", "0.5", "1.1", "-0.25", "3")
FINE_WEIGHTS = ("0.123456789012", "-1.000000000001", "0.333333333333")
"""Weights with so many decimals that sums of scaled values outgrow the whole numbers of a float."""


@dataclass(frozen=True)
class Words:
    """The names that criteria may speak of."""

    numbers: tuple[str, ...] = tuple(DIGITS)
    flags: tuple[str, ...] = FLAGS
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: LABELS)


WORDS = Words()


@dataclass(frozen=True)
class Wish:
    """What drawn bundles may hold."""

    safeguards: bool = True
    missing: bool = True
    scores: bool = True
    stages: int = 3


# --- criteria, as text --------------------------------------------------------------------------


@st.composite
def numbers_text(draw: Draw) -> str:
    """A constant near zero, sometimes finer than any variable's digits."""
    whole = draw(st.integers(-3, 6))
    decimals = draw(st.sampled_from(["", "", ".5", ".1", ".25", ".05", ".3", ".005"]))
    return f"{whole}{decimals}"


@st.composite
def sums(draw: Draw, words: Words = WORDS) -> str:
    """A weighted sum: ``2 * n0 - n1 / 3 + 0.5``."""
    names = draw(st.lists(st.sampled_from(words.numbers), min_size=1, max_size=3, unique=True))
    parts = []
    for name in names:
        weight = draw(st.sampled_from((*WEIGHTS, *WEIGHTS, *FINE_WEIGHTS)))
        parts.append(draw(st.sampled_from([name, f"{weight} * {name}", f"{name} / 3"])))
    if draw(st.booleans()):
        parts.append(draw(numbers_text()))
    return " + ".join(parts)


@st.composite
def number_tests(draw: Draw, words: Words = WORDS) -> str:
    """A threshold either way round, a chain, or two sums compared."""
    name = draw(st.sampled_from(words.numbers))
    op, bound = draw(st.sampled_from(OPERATORS)), draw(numbers_text())
    kind = draw(st.sampled_from(["plain", "plain", "flipped", "chain", "sums"]))
    if kind == "plain":
        return f"{name} {op} {bound}"
    if kind == "flipped":
        return f"{bound} {op} {name}"
    if kind == "chain":
        return f"{bound} {draw(st.sampled_from(['<', '<=']))} {name} {op} {draw(numbers_text())}"
    left, right = draw(sums(words)), draw(st.one_of(numbers_text(), st.sampled_from(words.numbers)))
    return f"{left} {op} {right}" if right not in left else f"{left} {op} {bound}"


@st.composite
def label_tests(draw: Draw, words: Words = WORDS) -> str:
    """A label that is, or is not, one or one of several."""
    name = draw(st.sampled_from(sorted(words.labels)))
    known = [repr(label) for label in words.labels[name]]
    if draw(st.booleans()):
        return f"{name} {draw(st.sampled_from(['is', 'is not']))} {draw(st.sampled_from(known))}"
    several = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
    return f"{name} {draw(st.sampled_from(['in', 'not in']))} [{', '.join(several)}]"


def criteria(words: Words = WORDS, *, missing: bool = False) -> st.SearchStrategy[str]:
    """A criterion of any shape; ``missing(x)`` only where it is allowed."""
    leaf = st.one_of(
        number_tests(words), label_tests(words), st.sampled_from([*words.flags, "true"])
    )
    if missing:
        names = [*words.numbers, *words.flags, *words.labels]
        leaf = st.one_of(leaf, st.sampled_from([f"missing({name})" for name in names]))

    def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        several = st.lists(inner, min_size=2, max_size=3).map(lambda p: [f"({x})" for x in p])
        return st.one_of(
            several.map(" and ".join), several.map(" or ".join), inner.map(lambda x: f"not ({x})")
        )

    return st.recursive(leaf, joined, max_leaves=4)


# --- rules, as documents ------------------------------------------------------------------------


@st.composite
def ends(draw: Draw, word: str) -> Document:
    """Where a branch ends: one action, several that are equally good, perhaps a way out."""
    several = st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2, unique=True)
    actions = draw(several)
    end: Document = {word: actions[0] if len(actions) == 1 else actions}
    if draw(st.integers(0, 3)) == 0:
        end["instead"] = draw(several)
    return end


@st.composite
def decision_lists(draw: Draw, words: Words, wish: Wish, depth: int = 0) -> list[Document]:
    """A list of branches that ends with one for everybody."""
    branches: list[Document] = []
    for _ in range(draw(st.integers(0 if depth else 1, 4))):
        kinds = ["then", "then", "then", "abstain", "rule" if depth < 2 else "then"]
        kind = draw(st.sampled_from(kinds))
        if kind == "abstain":
            when = draw(criteria(words, missing=wish.missing))
            branches.append({"when": when, "abstain": "Ask a specialist."})
            continue
        when = draw(criteria(words))
        if kind == "rule":
            branches.append({"when": when, "rule": draw(decision_lists(words, wish, depth + 1))})
        else:
            branches.append({"when": when, **draw(ends("then"))})
    last = draw(ends("otherwise"))
    if depth == 0 or draw(st.booleans()):
        return [*branches, last]
    return [*branches, {"when": "true", "abstain": "Nothing is known to help."}]


@st.composite
def score_rules(draw: Draw, words: Words) -> Document:
    """Linear scores with a margin and with support."""
    actions = draw(st.lists(st.sampled_from(ACTIONS), min_size=2, max_size=4, unique=True))
    scores = {action: draw(one_score(words)) for action in actions}
    better = draw(st.sampled_from(["higher", "lower"]))
    rule: Document = {"scores": scores, "better": better}
    rule["margin"] = draw(st.sampled_from([0, 0, 0.5, 1, 0.1]))
    if draw(st.booleans()):
        wanted = draw(st.lists(st.sampled_from(actions), min_size=1, max_size=3, unique=True))
        rule["support"] = [{"actions": wanted, "when": draw(criteria(words))}]
    return rule


@st.composite
def one_score(draw: Draw, words: Words) -> Document:
    names = st.sampled_from([*words.numbers, *words.flags])
    weights = st.sampled_from([*WEIGHTS, "0", *FINE_WEIGHTS]).map(float)
    terms = draw(st.dictionaries(names, weights, max_size=3))
    return {"constant": draw(st.integers(-2, 2)), "terms": terms}


@st.composite
def derivations(draw: Draw) -> tuple[Document, Words]:
    """Up to four derived variables, later ones reading earlier ones, and the words with them."""
    found: Document = {}
    words = WORDS
    for at in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            digits = draw(st.integers(0, 3))
            found[f"d{at}"] = {"derive": draw(sums(words)), "digits": digits}
            words = Words((*words.numbers, f"d{at}"), words.flags, words.labels)
        else:
            found[f"d{at}"] = {"derive": draw(criteria(words))}
            words = Words(words.numbers, (*words.flags, f"d{at}"), words.labels)
    return found, words


@st.composite
def documents(draw: Draw, wish: Wish = Wish()) -> Document:
    """A whole document."""
    derived, words = draw(derivations())
    stages = []
    several = draw(st.integers(1, wish.stages))
    for at in range(several):
        scored = wish.scores and draw(st.integers(0, 3)) == 0
        rule = draw(score_rules(words)) if scored else draw(decision_lists(words, wish))
        stages.append(a_stage(rule, f"s{at}", _stage_when(draw, words, at, several)))
    document = a_document(variables=variables(**derived), stages=stages)
    if draw(st.integers(0, 2)) == 0:
        document["population"] = draw(criteria(words))
    if wish.safeguards:
        document["safeguards"] = draw(st.lists(safeguards(words), max_size=2))
    return document


def _stage_when(draw: Draw, words: Words, at: int, several: int) -> str:
    """Mostly stages that exclude each other, sometimes ones that overlap or leave gaps."""
    if several == 1:
        return "true"
    if draw(st.integers(0, 4)) == 0:
        return draw(criteria(words))
    return [f"step is {LABELS['step'][at]}", "step is none or step is keep"][at == 2]


@st.composite
def safeguards(draw: Draw, words: Words) -> Document:
    never = draw(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2, unique=True))
    return {"never": never, "when": draw(criteria(words)), "because": "It would do harm."}


def bundles(wish: Wish = Wish()) -> st.SearchStrategy[RuleBundle]:
    """A rule bundle that was read from a drawn document."""
    return documents(wish).map(bundle_of)
