"""The cases of a rule bundle are decided like patients and compared with what is expected."""

from collections.abc import Mapping
from dataclasses import dataclass

from cds_engine.bundle.document import Case
from cds_engine.bundle.model import DecisionList, RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision
from cds_engine.history.value import Finding, History, Known, Missing
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.time import Instant


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; ``differences`` is empty where it came out as expected."""

    case: Case
    decision: Decision
    differences: tuple[str, ...]


def given_history(
    bundle: RuleBundle, given: Mapping[str, object], as_of: Instant, *, deceased: bool = False
) -> History:
    """Return a history that holds exactly the given values; the others are absent.

    Numbers are rounded to the variable's digits, as they are when they come from a record.
    """
    findings: dict[str, Finding] = {}
    for name in bundle.base_variables:
        value = given.get(name)
        if value is None:
            findings[name] = Missing("absent", "it was not given")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            findings[name] = Known(rounded(float(value), bundle.kinds[name].digits))
        else:
            findings[name] = Known(value)  # type: ignore[arg-type]
    return History(as_of, findings, deceased)


def run_cases(bundle: RuleBundle, as_of: Instant) -> tuple[CaseResult, ...]:
    """Decide every case of the bundle at one instant."""
    if bundle.cases is None:
        return ()
    return tuple(_run(bundle, case, as_of) for case in bundle.cases.cases)


def branches_without_case(bundle: RuleBundle, results: tuple[CaseResult, ...]) -> tuple[str, ...]:
    """Return the places of branches that no case made speak."""
    spoken = {result.decision.judgement.place for result in results}
    return tuple(
        branch.place
        for stage in bundle.stages
        if isinstance(stage.rule, DecisionList)
        for branch in stage.rule.walk()
        if branch.rule is None and branch.place not in spoken
    )


def _run(bundle: RuleBundle, case: Case, as_of: Instant) -> CaseResult:
    defaults = bundle.cases.defaults if bundle.cases else {}
    given = {**defaults, **case.given}
    decision = decide(bundle, given_history(bundle, given, as_of, deceased=case.deceased))
    return CaseResult(case, decision, tuple(_differences(case, decision)))


def _differences(case: Case, decision: Decision) -> list[str]:
    expected = case.expect
    codes = [reason.code for reason in decision.reasons]
    inputs = {name for reason in decision.reasons for name in reason.variables}
    pairs: list[tuple[str, object, object]] = [("outcome", expected.outcome, decision.outcome)]
    for field in ("stage", "action"):
        wanted = getattr(expected, field)
        if wanted is not None:
            pairs.append((field, wanted, getattr(decision, field)))
    if expected.candidates is not None:
        pairs.append(("candidates", sorted(expected.candidates), sorted(decision.candidates)))
    if expected.missing is not None:
        pairs.append(("missing", sorted(expected.missing), sorted(inputs)))
    found = [f"{what}: expected {a}, found {b}" for what, a, b in pairs if a != b]
    if expected.reason is not None and expected.reason not in codes:
        found.append(f"reason: expected {expected.reason}, found {', '.join(codes) or 'none'}")
    return found
