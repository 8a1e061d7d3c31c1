"""Rule bundles, stored decisions and an application of pages, for tests of the pages."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from fakes.web_audit import FakeAudit
from fastapi import FastAPI

from cds_adapters.site import Site
from cds_adapters.storage.records import AuditRecord, CardReceipt
from cds_adapters.storage.shelf import Shelf
from cds_adapters.web.pages import Pages, add_pages
from cds_engine import SEMANTICS_VERSION, __version__
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.record import canonical, decision_to_plain, history_to_plain
from cds_engine.decide.regime import Regime
from cds_engine.history.value import Finding, History, Known, Missing, Reading
from cds_engine.vocabulary.time import DAY, HOUR

NOW = 1_736_154_000_000_000
"""2025-01-06T09:00:00Z."""

PRESSURE = """\
regime: pressure
version: {version}
title: Stepped care for adults with hypertension
description: A regime in two steps, for tests of the pages.
effective_from: "2024-01-01"
review_by: "2026-01-01"
aim: {{outcome: sbp, at: P9M, unit: "mm[Hg]", better: lower,
       because: Lower pressure means fewer strokes.}}
about:
  developer: The test department
  contact: tests@example.org
  intended_use: To inform a clinician at a planned visit.
  intended_users: Physicians and nurses in primary care.
  time_criticality: Not for emergencies.
  cautions: [Not for use in pregnancy., Not for children.]
  citations: ["Test A et al. (2024), A trial, Journal of Tests 1:1."]
  evidence_date: "2024-05-01"
population: age >= 18 and hypertension
variables:
  age: {{from: patient.age, unit: a, label: age}}
  hypertension: {{from: condition, codes: [snomed|38341003], absent: false}}
  pregnant: {{from: condition, codes: [snomed|77386006], absent: unknown, label: pregnancy}}
  sbp: {{from: observation, codes: [loinc|8480-6], unit: "mm[Hg]", take: mean, within: P30D,
        plausible: [60, 280], digits: 0, label: systolic blood pressure,
        definition: Mean of the office readings of the last month.}}
  potassium: {{from: observation, codes: [loinc|2823-3], unit: mmol/L, within: P180D,
              plausible: [1.5, 9], digits: 1}}
  step: {{from: course, take: latest_action, label: latest step}}
  weeks_on_step: {{from: course, take: elapsed, unit: wk, label: time on this step}}
  uncontrolled: {{derive: sbp >= 140, label: uncontrolled pressure}}
  above_target: {{derive: sbp - 140, label: distance above target}}
actions:
  lifestyle: {{label: Advise diet and exercise, kind: lifestyle, seen_as: [snomed|443402002],
              order: {{resource: ServiceRequest, code: snomed|443402002}}}}
  add_ace: {{label: Start lisinopril 10 mg daily, kind: drug, seen_as: [rxnorm|314076],
            order: {{resource: MedicationRequest, code: rxnorm|314076, dosage: one tablet daily}}}}
  add_ccb: {{label: Start amlodipine 5 mg daily, kind: drug, seen_as: [rxnorm|197361]}}
  monitor: {{label: Continue and measure again in 3 months, kind: monitor, change: false}}
safeguards:
  - never: [add_ace]
    when: pregnant or potassium > 5.5
    because: ACE inhibitors harm the fetus and raise potassium.
stages:
  - stage: baseline
    title: Baseline
    when: step is none
    choose: [lifestyle, monitor]
    rule:
      - {{when: sbp >= 130, then: lifestyle, because: Diet and exercise lower pressure.}}
      - {{otherwise: monitor}}
  - stage: three_months
    title: Three months
    when: step is lifestyle and weeks_on_step >= 10
    choose: [add_ace, add_ccb, monitor]
    rule:
      - when: uncontrolled and age < 55
        then: add_ace
        instead: add_ccb
        because: Younger patients respond to ACE inhibitors.
      - when: uncontrolled
        rule:
          - {{when: sbp >= 180, abstain: Refer such a pressure at once.}}
          - {{when: above_target > 20, then: add_ccb}}
          - {{otherwise: [add_ace, add_ccb], because: Both work equally well.}}
      - {{otherwise: monitor, because: The pressure is controlled.}}
"""
CASES = """\
defaults: {age: 50, hypertension: true, step: none}
cases:
  - {case: high, given: {sbp: 150}, expect: {outcome: recommendation, action: lifestyle}}
  - {case: no reading, expect: {outcome: abstention, missing: [sbp]}}
  - {case: a wrong expectation, given: {sbp: 120}, expect: {outcome: recommendation}}
  - {case: died, deceased: true, expect: {outcome: not_applicable}}
"""
SCORES = """\
regime: walking
version: 1.0.0
title: Walking more
aim: {outcome: steps, better: higher}
population: age >= 18
variables:
  age: {from: patient.age, unit: a}
  sex: {from: patient.sex}
  steps: {from: observation, codes: [loinc|41950-7], unit: "{steps}/d", digits: 0}
  lives_alone: {from: condition, codes: [snomed|105529008], absent: false}
actions:
  coaching: {label: Offer digital coaching}
  gym: {label: Offer a gym membership}
stages:
  - stage: first
    when: "true"
    choose: [coaching, gym]
    rule:
      scores:
        coaching: {constant: 100, terms: {steps: -0.5, lives_alone: -2}}
        gym: {terms: {steps: 0.25}}
      better: higher
      margin: 5
      support:
        - {actions: [gym], when: age < 80, because: Nobody older was in the trial.}
"""
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


def hostile() -> str:
    """Return the text of a bundle that carries markup wherever a bundle may carry text."""
    bad = json.dumps(HOSTILE)
    return f"""\
regime: hostile
version: 1.0.0
title: {bad}
description: {bad}
source: {bad}
aim: {{outcome: {bad}, unit: {bad}, better: lower, because: {bad}}}
about: {{developer: {bad}, contact: {bad}, funding: {bad}, intended_use: {bad}, cautions: [{bad}],
        intended_users: {bad}, time_criticality: {bad}, citations: [{bad}],
        evidence_date: "2024-05-01"}}
population: level > 0
variables:
  level: {{from: observation, codes: ["snomed|<b>x</b>"], unit: "<i>u</i>", label: {bad},
          definition: {bad}}}
  answer: {{from: observation, codes: [loinc|1], label: {bad}, answers: {{loinc|2: {bad}}}}}
  flag: {{from: condition, codes: [loinc|3], absent: false, label: {bad}}}
actions:
  one: {{label: {bad}, because: {bad}, seen_as: ["snomed|<b>y</b>"],
        order: {{resource: MedicationRequest, code: "snomed|<b>z</b>", text: {bad},
                dosage: {bad}}}}}
  two: {{label: {bad}}}
safeguards:
  - {{never: [one], when: flag, because: {bad}}}
stages:
  - stage: only
    title: {bad}
    when: level > 0
    choose: [one, two]
    rule:
      - {{when: level > 900, abstain: {bad}}}
      - {{when: level > 9, then: one, instead: two, because: {bad}}}
      - {{otherwise: two, because: {bad}}}
"""


def shelf_of(directory: Path, *texts: str, cases: str = "") -> Shelf:
    """Write bundles into a directory and read them as a shelf."""
    for text in texts:
        lines = dict(line.split(": ", 1) for line in text.splitlines()[:2])
        folder = directory / lines["regime"] / lines["version"]
        folder.mkdir(parents=True)
        (folder / "bundle.yaml").write_text(text, "utf-8")
        if cases:
            (folder / "cases.yaml").write_text(cases, "utf-8")
    return Shelf(directory)


def pressure(version: str = "1.0.0") -> str:
    """Return the text of the stepped regime in some version."""
    return PRESSURE.format(version=version)


def a_history(bundle: RuleBundle, **given: object) -> History:
    """Return a history in which what is given has sources and dates; the rest is absent."""
    findings: dict[str, Finding] = {
        name: Missing("absent", "nothing on record") for name in bundle.base_variables
    }
    for at, (name, value) in enumerate(given.items()):
        if isinstance(value, Known | Missing):
            findings[name] = value
        else:
            end = NOW - at * DAY - 9 * HOUR
            reading = Reading(f"Observation/{name}-1", end - DAY, end - 1)
            findings[name] = Known(value, (reading,))  # type: ignore[arg-type]
    return History(NOW, findings)


def a_record(bundle: RuleBundle, history: History, **changes: Any) -> AuditRecord:
    """Return the audit record of a decision made for a history."""
    decision = decide(bundle, history)
    record = AuditRecord(
        id="0b6f0a9e-6b0c-4b57-9f51-3d1f5a2f7c10",
        at=NOW + 1_000_000,
        as_of=NOW,
        source="cds-hooks",
        outcome=decision.outcome,
        status=200,
        regime=bundle.regime,
        version=bundle.version,
        digest=bundle.digest,
        semantics=SEMANTICS_VERSION,
        engine=__version__,
        stage=decision.stage,
        action=decision.action,
        hook="patient-view",
        service=f"{bundle.regime}-patient-view",
        history=canonical(history_to_plain(history)),
        decision=canonical(decision_to_plain(decision)),
        cards=(CardReceipt("card-1"),),
        duration=8_400,
    )
    return replace(record, **changes)


@dataclass
class Visit:
    """A reader of the pages: an application around a shelf and a fake audit store."""

    shelf: Shelf
    audit: FakeAudit = field(default_factory=FakeAudit)
    site: Site = field(default_factory=Site)
    cookies: dict[str, str] = field(default_factory=dict)

    @cached_property
    def app(self) -> FastAPI:
        app = FastAPI()
        regimes = {bundle.identity: Regime(bundle) for bundle in self.shelf}
        add_pages(app, Pages(self.shelf, regimes, self.audit, self.site, lambda: NOW))
        return app

    def fresh(self) -> "Visit":
        """Forget what was stored and which cookies were given; return this visit."""
        self.audit.records.clear()
        self.audit.feedback.clear()
        self.audit.fault = None
        self.cookies.clear()
        return self

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: str = ""
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8000", cookies=self.cookies
        ) as client:
            response = await client.request(method, path, headers=headers, content=body)
        self.cookies |= dict(response.cookies)
        return response

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Read a page."""
        return asyncio.run(self.send("GET", path, headers))

    def post(self, path: str, body: str = "", **headers: str) -> httpx.Response:
        """Press a button."""
        form = {"content-type": "application/x-www-form-urlencoded"}
        return asyncio.run(self.send("POST", path, {**form, **headers}, body))
