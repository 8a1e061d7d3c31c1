"""Linear contrasts become scores, with their covariance, support and the patients behind them."""

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cds_engine.bundle.estimates import CONSTANT as CONSTANT_NAME
from cds_engine.criteria.syntax import label_text
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.export.forms import LinearForm, Term, significant
from cds_engine.estimate.export.support import bands, supports
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.study import LearnedStage, StudyDocument
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import number_text
from cds_engine.vocabulary.variable import Variable

Document = dict[str, Any]

COVARIANCE_DIGITS = 5
"""Significant digits of a covariance of centred terms; ``check_spread`` measures what they cost."""
BANDS = 4
"""Into how many bands the first tailoring number is parted to count similar patients."""


def score_stage(
    study: StudyDocument, stage: LearnedStage, part: Document, h: StageData, form: LinearForm,
    kinds: Mapping[str, Kind], method: str,
) -> Document:  # fmt: skip
    """Return ``rule`` and ``estimates`` of one served stage.

    Args:
        study: the study.
        stage: the learned stage.
        part: the served stage, with its ``choose``.
        h: the data of the stage, of this part's patients alone.
        form: the contrasts, as they are to be written.
        kinds: how variables are declared.
        method: how the contrasts and their intervals were estimated.
    """
    actions: Sequence[str] = part["choose"]
    own = form.among(actions).written(study.method.digits)
    rule: Document = {"scores": {action: _score(own, action) for action in actions}}
    if study.method.margin:
        rule["margin"] = study.method.margin
    if study.aim.unit:
        rule["unit"] = study.aim.unit
    rule["support"] = supports(h, actions, stage.tailoring, dict(kinds), study.method.support)
    rule["because"] = stage.because or (
        f"The larger expected {'gain' if study.aim.better == 'higher' else 'reduction'} in "
        f"{_lower(study.outcome.label)}, compared with {own.reference.replace('_', ' ')}."
    )
    estimates: Document = {"outcome": study.outcome.label}
    estimates |= {"unit": study.aim.unit} if study.aim.unit else {}
    estimates |= {"level": study.method.level, "method": method}
    estimates["groups"] = groups(h, actions, stage.tailoring, kinds)
    if own.covariance is not None:
        estimates["contrasts"] = _contrasts(own, centres_of(own, h, kinds))
    return {"rule": rule, "estimates": estimates}


def term_name(term: Term) -> str:
    """Return the name of a term in a rule bundle; a label's is a derived variable."""
    if not term.variable:
        return CONSTANT_NAME
    if term.label is None:
        return term.variable
    plain = unicodedata.normalize("NFKD", term.label.lower()).encode("ascii", "ignore").decode()
    tidy = "".join(c if c.isalnum() else "_" for c in plain)
    return f"{term.variable}_is_{tidy}"[:64]


def derived_terms(form: LinearForm, variables: Mapping[str, Variable]) -> dict[str, Document]:
    """Return the yes-or-no variables that stand for labels in scores.

    Raises:
        EstimationError: if two labels, or a label and a variable, would have one name.
    """
    names = [term_name(t) for t in dict.fromkeys(term for _, term in form.coefficients) if t.label]
    for name in names:
        if names.count(name) > 1 or name in variables:
            raise EstimationError(
                f"two things would be called `{name}` in the rule bundle; give the labels names "
                "that differ in their letters, or rename the variable"
            )
    return {
        term_name(term): {
            "derive": f"{term.variable} is {label_text(term.label)}",
            "label": f"{variables[term.variable].label or term.variable}: "
            + term.label.replace("_", " "),
        }
        for _, term in form.coefficients
        if term.label is not None
    }


def groups(
    h: StageData, actions: Sequence[str], tailoring: Sequence[str], kinds: Mapping[str, Kind]
) -> list[Document]:
    """Count who took what in bands of the first tailoring variable that is a number."""
    name = next((one for one in tailoring if kinds[one].type == "number"), None)
    if name is None:
        return []
    values = h.columns[name].astype(np.float64)
    cuts = bands(values[h.decided], kinds[name], BANDS)
    edges = [None, *cuts, None]
    found = []
    for low, high in pairwise(edges):
        rows = h.decided.copy()
        rows &= values >= low if low is not None else True
        rows &= values < high if high is not None else True
        found.append({"when": _band(name, low, high), "n": counts(h, rows, actions)})
    return found


def counts(h: StageData, rows: Bools, actions: Sequence[str]) -> dict[str, int]:
    """Return action -> how many of the rows took it."""
    return {a: int(np.count_nonzero(rows & (h.action == h.spec.place(a)))) for a in actions}


def _band(name: str, low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "true"
    if low is None:
        return f"{name} < {number_text(high or 0.0)}"
    if high is None:
        return f"{name} >= {number_text(low)}"
    return f"{number_text(low)} <= {name} < {number_text(high)}"


def _score(form: LinearForm, action: str) -> Document:
    own = {term: value for (name, term), value in form.coefficients.items() if name == action}
    score: Document = {"constant": own.get(Term(), 0.0)}
    terms = {term_name(term): value for term, value in own.items() if term != Term()}
    return score | ({"terms": terms} if terms else {})


def centres_of(form: LinearForm, h: StageData, kinds: Mapping[str, Kind]) -> dict[str, float]:
    """Return variable -> the mean of those with a decision, on its own decimals.

    Without them the variance at a patient would be a small difference of large numbers, and the
    digits that are written would not carry it.
    """
    terms = {term for _, term in form.coefficients if term.variable and term.label is None}
    found = {
        term.variable: float(np.mean(term.values(h.columns, h.rows)[h.decided]))
        for term in terms
        if kinds[term.variable].type == "number"
    }
    return {name: round(found[name], kinds[name].digits) for name in sorted(found)}


def centred(form: LinearForm, centres: Mapping[str, float]) -> Floats:
    """Return the covariance of the coefficients of centred terms, in the same order.

    With z = x - c, the constant's coefficient becomes b_0 + sum of c_j b_j of the same action.
    """
    keys = list(form.coefficients)
    T = np.eye(len(keys))
    for row, (action, term) in enumerate(keys):
        if term == Term():
            for column, (other, one) in enumerate(keys):
                if other == action and one.label is None and one.variable in centres:
                    T[row, column] = centres[one.variable]
    covariance = np.zeros_like(T) if form.covariance is None else form.covariance
    found: Floats = T @ covariance @ T.T
    return found


def _contrasts(form: LinearForm, centres: Mapping[str, float]) -> Document:
    return {
        "reference": form.reference,
        "coefficients": [[action, term_name(term)] for action, term in form.coefficients],
        "centres": dict(centres),
        "covariance": [
            [significant(float(value), COVARIANCE_DIGITS) for value in row[: at + 1]]
            for at, row in enumerate(centred(form, centres))
        ],
    }


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if not text[:2].isupper() else text
