"""A study's confounders that its rule bundle does not hold are known by name."""

import json

import pytest
from builders.cohorts import a_cohort
from builders.shipped import RULES, shipped

from cds_engine.assume.balance import balance
from cds_engine.assume.consistency import mapped
from cds_engine.assume.ledger import ledger
from cds_engine.assume.positivity import overlap
from cds_engine.bundle.confounders import unheld_confounders
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle


@pytest.mark.parametrize(
    ("regime", "names"),
    [
        pytest.param("hypertension-intensification", ("diabetes",), id="one that no rule reads"),
        pytest.param("diabetes-second-line", (), id="a cohort whose rule reads them all"),
        pytest.param("activity-smart", (), id="a trial, which adjusts for nothing"),
        pytest.param("hypertension-stepped-care", (), id="written by hand, without evidence"),
    ],
)
def test_the_shipped_bundles_name_what_they_lack(regime: str, names: tuple[str, ...]) -> None:
    assert unheld_confounders(shipped(regime)) == names


def with_evidence(evidence: object) -> RuleBundle:
    """Return a shipped bundle that says something else of its evidence."""
    files = {"bundle.yaml": (RULES / "hypertension-stepped-care/1.0.0/bundle.yaml").read_bytes()}
    found = read_bundle(files)
    document = json.loads(found.document.model_dump_json(by_alias=True, exclude_unset=True))
    return read_bundle({"bundle.yaml": json.dumps(document | {"evidence": evidence}).encode()})


def test_it_reads_what_the_ledger_writes() -> None:
    cohort = a_cohort(400)
    overlaps, shares = overlap(cohort)
    entries = ledger(cohort, mapped(cohort), overlaps, balance(cohort, shares))
    bundle = with_evidence({"assumptions": [entry.document() for entry in entries]})
    names = {name for h in cohort.stages for name in h.spec.variables}
    assert len(names) > 1
    assert set(unheld_confounders(bundle)) == names


@pytest.mark.parametrize(
    "evidence",
    [{}, {"assumptions": "none"}, {"assumptions": [3, {"assumption": "other"}]},
     {"assumptions": [{"assumption": "sequential exchangeability", "evidence": "told"}]}],
)  # fmt: skip
def test_evidence_in_words_of_its_own_names_nothing(evidence: object) -> None:
    assert unheld_confounders(with_evidence(evidence)) == ()
