"""The rule bundles that ship with the project, their cases, and sample patients decided by them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cds_adapters.fhir.decode import decode_bundle
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.samples import SamplePatient, sample_patient, to_json, to_transaction_bundle
from cds_adapters.storage.shelf import read_bundle_folder
from cds_engine.bundle.model import DecisionList, RuleBundle
from cds_engine.criteria.syntax import Criterion, IntegerForm, Threshold, leaves
from cds_engine.decide.cases import CaseResult, run_cases
from cds_engine.decide.decision import Decision
from cds_engine.decide.regime import Regime
from cds_engine.vocabulary.time import instant

RULES = Path(__file__).resolve().parents[2] / "rules"
SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "fhir-r4" / "ndjson"
"""Public sample records beside the repository; tests that read them skip where they are absent."""

NOW = instant(datetime(2026, 6, 1, tzinfo=UTC))


@cache
def shipped(regime: str, version: str = "1.0.0") -> RuleBundle:
    folder = RULES / regime / version
    return read_bundle_folder(folder)


@cache
def case_results(regime: str) -> tuple[CaseResult, ...]:
    return run_cases(shipped(regime), NOW)


def case_names(regime: str) -> list[str]:
    cases = shipped(regime).cases
    return [case.case for case in cases.cases] if cases else []


def case_name_pairs(regimes: Iterable[str]) -> list[tuple[str, str]]:
    return [(regime, case) for regime in regimes for case in case_names(regime)]


def case_result(regime: str, case: str) -> CaseResult:
    return next(result for result in case_results(regime) if result.case.case == case)


def given_values(regime: str) -> list[Mapping[str, object]]:
    """What each case says of every variable that is read from a record; None where missing."""
    bundle = shipped(regime)
    assert bundle.cases is not None
    names = bundle.base_variables
    return [
        {name: {**bundle.cases.defaults, **case.given}.get(name) for name in names}
        for case in bundle.cases.cases
    ]


def criteria(bundle: RuleBundle) -> Iterator[Criterion]:
    """Every criterion of a bundle; derived ones where they are defined."""
    yield bundle.population
    yield from (guard.when for guard in bundle.safeguards)
    for derived in bundle.derived:
        if not isinstance(derived.expression, IntegerForm):
            yield derived.expression
    for stage in bundle.stages:
        yield stage.when
        if isinstance(stage.rule, DecisionList):
            yield from (branch.when for branch in stage.rule.walk() if branch.when)


def thresholds(bundle: RuleBundle) -> set[Threshold]:
    found = (leaf for criterion in criteria(bundle) for leaf in leaves(criterion))
    return {leaf for leaf in found if isinstance(leaf, Threshold)}


def sides(threshold: Threshold, digits: int) -> tuple[float, float]:
    """The threshold itself, and the nearest number for which the answer is another one."""
    step = 10.0**-digits
    beyond = threshold.bound - step if threshold.op in (">=", "<") else threshold.bound + step
    return threshold.bound, round(beyond, digits)


def decisions(regime: str, story: str, number: int) -> tuple[SamplePatient, list[Decision]]:
    """Decide at every visit of a sample patient, from FHIR JSON as it would be sent."""
    patient = sample_patient(story, number)
    body = decode_bundle(to_json(to_transaction_bundle(patient)).encode())
    record = record_of(body, patient.id)
    taker = Regime(shipped(regime))
    instants = [instant(datetime.fromisoformat(visit)) for visit in patient.visits]
    return patient, [taker.decide(record, at)[1] for at in instants]
