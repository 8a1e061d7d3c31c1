"""decide(bundle, H_t): the judgement of the referee, with its reasons in words."""

from collections.abc import Mapping

from cds_engine.bundle.model import Branch, DecisionList, RuleBundle
from cds_engine.decide.decision import Decision, Judgement, Reason, ReasonCode
from cds_engine.decide.scalar import complete, judge
from cds_engine.history.value import History, Known, Missing, MissingReason
from cds_engine.vocabulary.time import iso_date

_CODES: Mapping[MissingReason, ReasonCode] = {
    "absent": "missing",
    "stale": "stale",
    "unit": "unit-unknown",
    "implausible": "out-of-range",
    "conflicting": "conflicting-data",
    "incomplete": "incomplete",
    "unresolved": "unresolved",
}


def decide(bundle: RuleBundle, history: History) -> Decision:
    """Return what the rule bundle recommends for a history, and why.

    Pure and total: the same bundle and history always give the same decision, and every history
    gives one.
    """
    state = complete(bundle, history.state())
    dated = _out_of_date(bundle, history.as_of)
    if dated is not None:
        judgement = Judgement("abstention", dated.code)
        reasons: tuple[Reason, ...] = (dated,)
    else:
        judgement = judge(bundle, state, deceased=history.deceased)
        reasons = _reasons(bundle, judgement, history)
    return Decision(
        bundle.regime,
        bundle.version,
        bundle.digest,
        history.as_of,
        judgement,
        reasons,
        dict(state),
        _notes(bundle, history.as_of),
    )


def _out_of_date(bundle: RuleBundle, as_of: int) -> Reason | None:
    """Compare the day of the decision with the version's own dates (days in UTC)."""
    day = iso_date(as_of)
    document = bundle.document
    if document.effective_from and day < document.effective_from:
        words = f"this version is not in force before {document.effective_from}"
        return Reason("not-yet-effective", words)
    if document.expires and day > document.expires:
        return Reason("expired-bundle", f"this version expired on {document.expires}")
    return None


def _notes(bundle: RuleBundle, as_of: int) -> tuple[str, ...]:
    due = bundle.document.review_by
    if due and iso_date(as_of) > due:
        return (f"This version was due for review by {due}.",)
    return ()


def _reasons(bundle: RuleBundle, judgement: Judgement, history: History) -> tuple[Reason, ...]:
    if judgement.code is None:
        return ()
    about_inputs = _input_reasons(bundle, judgement, history)
    if judgement.code == "missing" and about_inputs:
        return about_inputs
    main = Reason(judgement.code, _words(bundle, judgement), (), judgement.place)
    return (main, *about_inputs)


def _input_reasons(
    bundle: RuleBundle, judgement: Judgement, history: History
) -> tuple[Reason, ...]:
    reasons = []
    for name in judgement.undecided:
        label = bundle.kinds[name].label
        finding = history.findings.get(name)
        if isinstance(finding, Known):
            text = f"{label} is only known as a range"
            reasons.append(Reason("unresolved", text, (name,)))
        else:
            gap = finding or Missing("absent", "it was not given")
            reasons.append(Reason(_CODES[gap.reason], f"{label}: {gap.detail}", (name,)))
    return tuple(reasons)


def _words(bundle: RuleBundle, judgement: Judgement) -> str:
    match judgement.code:
        case "deceased":
            return "the patient is recorded as deceased"
        case "out-of-population":
            return "the regime is not meant for this patient"
        case "no-stage":
            return "no stage of the regime fits this history"
        case "several-stages":
            return "more than one stage of the regime fits this history"
        case "positivity-unsupported":
            return "the data behind the regime could not compare the options for such a patient"
        case "safeguard":
            return _safeguard_words(judgement)
        case "rule-abstains":
            return _branch(bundle, judgement.place).abstain or ""
    return "an input is missing"


def _safeguard_words(judgement: Judgement) -> str:
    causes = dict.fromkeys(removed.because for removed in judgement.removed)
    return "what the rule would advise is barred by a safeguard: " + " ".join(causes)


def _branch(bundle: RuleBundle, place: str) -> Branch:
    for stage in bundle.stages:
        if isinstance(stage.rule, DecisionList):
            for branch in stage.rule.walk():
                if branch.place == place:
                    return branch
    raise KeyError(place)
