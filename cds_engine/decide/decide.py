"""decide(bundle, H_t): the judgement of the referee, with its reasons in words."""

from collections.abc import Mapping

from cds_engine.bundle.model import Branch, DecisionList, RuleBundle
from cds_engine.criteria.syntax import Criterion, IsMissing, Not
from cds_engine.decide.decision import Decision, Judgement, Reason, ReasonCode, Removed
from cds_engine.decide.scalar import complete, judge, missing_inputs
from cds_engine.history.value import History, Known, Missing, MissingReason
from cds_engine.vocabulary.time import iso_date
from cds_engine.vocabulary.value import State

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
        reasons = _reasons(bundle, judgement, history, state)
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


def _reasons(
    bundle: RuleBundle, judgement: Judgement, history: History, state: State
) -> tuple[Reason, ...]:
    if judgement.code is None:
        return ()
    lacking = _lacking(bundle, judgement, state)
    about_inputs = _input_reasons(bundle, lacking, history)
    if judgement.code == "missing" and about_inputs:
        return about_inputs
    main = Reason(judgement.code, _words(bundle, judgement), (), judgement.place)
    return (main, *about_inputs)


def _lacking(bundle: RuleBundle, judgement: Judgement, state: State) -> tuple[str, ...]:
    """Return the inputs that would have to be known for there to be advice."""
    if judgement.code == "safeguard":
        unsure = {removed.action for removed in _barring(bundle, judgement) if not removed.certain}
        left_open = {step.place for step in judgement.steps if step.verdict is None}
        guards = [g for g in bundle.safeguards if g.place in left_open and g.never & unsure]
        return missing_inputs(bundle, {n for g in guards for n in g.when.names()}, state)
    if judgement.code == "rule-abstains":
        return missing_inputs(bundle, _asked_for(judgement), state)
    return judgement.undecided


def _asked_for(judgement: Judgement) -> set[str]:
    """Return what the branch that abstains found missing, and holds because of."""
    spoke = next(step for step in judgement.steps if step.place == judgement.place)
    leaves = (judgement.leaves or [])[spoke.first : spoke.last]
    found = {leaf.name for leaf, held in leaves if held and isinstance(leaf, IsMissing)}
    return found & _wanted(spoke.criterion) if spoke.criterion else set()


def _wanted(guard: Criterion, *, negated: bool = False) -> set[str]:
    """Return the names whose absence speaks for a guard, not against it."""
    match guard:
        case IsMissing(name):
            return set() if negated else {name}
        case Not(inner):
            return _wanted(inner, negated=not negated)
    return {name for part in guard.children() for name in _wanted(part, negated=negated)}


def _input_reasons(
    bundle: RuleBundle, lacking: tuple[str, ...], history: History
) -> tuple[Reason, ...]:
    reasons = []
    for name in lacking:
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
            return _safeguard_words(bundle, judgement)
        case "rule-abstains":
            branch = _branch(bundle, judgement.place)
            return branch.abstain or "" if branch else ""
    return "an input is missing"


def _barring(bundle: RuleBundle, judgement: Judgement) -> tuple[Removed, ...]:
    """Return the removals that stand between the rule and its advice."""
    branch = _branch(bundle, judgement.place)
    if branch is None and not judgement.candidates:
        return judgement.removed
    wanted = (*branch.actions, *branch.instead) if branch else judgement.candidates
    return tuple(removed for removed in judgement.removed if removed.action in wanted)


def _safeguard_words(bundle: RuleBundle, judgement: Judgement) -> str:
    causes = dict.fromkeys(removed.because for removed in _barring(bundle, judgement))
    return "what the rule would advise is barred by a safeguard: " + " ".join(causes)


def _branch(bundle: RuleBundle, place: str) -> Branch | None:
    for stage in bundle.stages:
        if isinstance(stage.rule, DecisionList):
            for branch in stage.rule.walk():
                if branch.place == place:
                    return branch
    return None
