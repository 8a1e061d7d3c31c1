"""A small rule bundle as text, and variations of it."""

from functools import cache

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle

TEXT = """
regime: pressure
version: 1.0.0
title: Pressure
aim: {outcome: sbp, at: P6M, unit: "mm[Hg]", better: lower, because: Fewer strokes.}
review_by: 2027-01-01
about: {developer: Us, cautions: [Not for children., Not for emergencies.]}
population: age >= 18
variables:
  age: {from: patient.age, unit: a, label: Age}
  sbp: {from: observation, label: Pressure, codes: [loinc|8480-6], unit: "mm[Hg]", take: mean,
        within: P30D, plausible: [60, 280]}
  potassium: {from: observation, label: Potassium, codes: [loinc|2823-3], unit: mmol/L,
              units: {meq/L: 1}, within: P180D}
  pregnant: {from: condition, label: Pregnancy, codes: [snomed|77386006], absent: unknown}
  supply: {from: medication, label: Adherence, codes: [rxnorm|314076], take: adherence,
           within: P6M}
  sbp_before: {from: observation, label: Pressure before, codes: [loinc|8480-6],
               unit: "mm[Hg]", take: mean, within: P30D, before: start}
  step: {from: course, label: Step}
  high: {derive: sbp >= 140, label: High pressure}
  fall: {derive: sbp_before - sbp, label: Fall}
actions:
  start: {label: Start the drug, kind: drug, seen_as: [rxnorm|314076],
          order: {resource: MedicationRequest, code: rxnorm|314076, dosage: once a day}}
  other: {label: Start the other drug, seen_as: [rxnorm|197361]}
  wait: {label: Wait, kind: monitor, change: false}
safeguards:
  - {never: [start], when: pregnant or potassium > 5.5, because: It harms the child.}
stages:
  - stage: first
    when: step is none
    choose: [start, other, wait]
    rule:
      - {when: missing(sbp), abstain: Measure first.}
      - when: high
        rule:
          - {when: sbp >= 160, then: start, instead: other, because: Very high.}
          - {otherwise: [start, other], because: Either.}
      - {otherwise: wait, because: Not high.}
  - stage: later
    title: Later on
    when: step is not none
    choose: [other, wait]
    rule:
      better: lower
      margin: 2
      unit: points
      because: The lower risk.
      scores:
        other: {constant: 10, terms: {fall: -0.5, supply: 2}}
        wait: {terms: {high: 4}}
      support:
        - {actions: [other], when: age < 80, because: Nobody older was in the trial.}
"""

CASES = """
defaults: {age: 50}
cases:
  - {case: high, given: {sbp: 150, step: none}, expect: {outcome: equipoise}}
"""


@cache
def pressure(*replacements: tuple[str, str], cases: str = CASES) -> RuleBundle:
    """Read the bundle with texts replaced; each must be there."""
    text = TEXT
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return read_bundle({"bundle.yaml": text.encode(), "cases.yaml": cases.encode()})
