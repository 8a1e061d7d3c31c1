"""Small rule bundles, histories and hook contexts for the tests of cards."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from cds_adapters.cds_hooks.cards import CardContext, CardRenderer, Rendered
from cds_adapters.cds_hooks.drafts import Draft
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision
from cds_engine.history.value import Finding, History, Known, Missing, MissingReason, Reading
from cds_engine.vocabulary.time import DAY, instant
from cds_engine.vocabulary.value import Scalar, Span

AS_OF = instant(datetime(2025, 4, 7, 9, 30, tzinfo=UTC))

UNHURRIED = settings(deadline=None, suppress_health_check=(HealthCheck.too_slow,))
"""For property tests: how busy a machine is proves nothing about cards."""

STEPPED = """
regime: stepped-care
version: 1.2.0
title: Stepped care for hypertension
source: https://example.org/guideline
review_by: "2030-01-01"
aim: {outcome: sbp, at: P9M, unit: "mm[Hg]", better: lower}
about:
  intended_use: Adults in primary care.
  cautions: [Not for emergencies.]
  evidence_date: "2024-06-01"
population: age >= 18 and hypertension
variables:
  age: {from: patient.age, unit: a}
  hypertension: {from: condition, codes: [snomed|38341003], absent: false}
  pregnant: {from: condition, codes: [snomed|77386006], absent: unknown, label: Pregnant}
  sbp:
    {from: observation, codes: [loinc|8480-6], unit: "mm[Hg]", take: mean, within: P30D,
     plausible: [60, 280], digits: 0, label: Systolic blood pressure}
  potassium:
    {from: observation, codes: [loinc|2823-3], unit: mmol/L, within: P180D, plausible: [1.5, 9],
     digits: 1, label: Potassium}
  step: {from: course, take: latest_action}
  weeks: {from: course, take: elapsed, unit: wk, label: Weeks on this step}
  high: {derive: sbp >= 140, label: Blood pressure is high}
  risk: {derive: 2 * sbp - 300, digits: 0, label: Twice the excess}
actions:
  lifestyle:
    label: Advise diet and exercise
    order: {resource: ServiceRequest, code: snomed|443402002}
    seen_as: [snomed|443402002]
  ace:
    label: Start lisinopril 10 mg daily
    order:
      resource: MedicationRequest
      code: rxnorm|314076
      text: lisinopril 10 MG Oral Tablet
      dosage: 1 tablet by mouth once a day
    seen_as: [rxnorm|29046]
  ccb:
    label: Start amlodipine 5 mg daily
    order: {resource: MedicationRequest, code: rxnorm|197361}
    seen_as: [rxnorm|17767]
  refer: {label: Refer to a specialist}
  monitor: {label: Continue and measure again in 3 months, change: false, seen_as: [loinc|85354-9]}
safeguards:
  - never: [ace]
    when: pregnant or potassium > 5.5
    because: ACE inhibitors harm the fetus and raise potassium.
stages:
  - stage: baseline
    title: First visit
    when: step is none
    choose: [lifestyle, ace, ccb, monitor]
    rule:
      - {when: sbp >= 180, then: ace, instead: ccb, because: Such pressure needs a drug at once.}
      - {when: sbp >= 160, then: ace, because: This pressure needs a drug.}
      - {when: high and age < 80, then: lifestyle, because: "Diet and exercise come first."}
      - {otherwise: monitor}
  - stage: three_months
    when: step is lifestyle and weeks >= 10
    choose: [ace, ccb, refer, monitor]
    rule:
      - {when: risk > 100, then: refer, because: This is far too high.}
      - {when: high, then: [ace, ccb], because: Both drugs work equally well.}
      - {when: sbp < 90, abstain: A pressure this low needs a clinician first.}
      - {otherwise: monitor}
"""

SCORED = """
regime: scored-care
version: 0.1.0
title: Choice of a drug by scores
aim: {outcome: sbp, better: lower}
population: age >= 18
variables:
  age: {from: patient.age, unit: a}
  sbp: {from: observation, codes: [loinc|8480-6], unit: "mm[Hg]", within: P30D, digits: 0}
  bmi: {from: observation, codes: [loinc|39156-5], unit: kg/m2, within: P1Y, digits: 1}
  diabetes: {from: condition, codes: [snomed|44054006], absent: false}
actions:
  ace: {label: Start an ACE inhibitor, order: {resource: MedicationRequest, code: rxnorm|29046}}
  ccb: {label: Start a calcium blocker, order: {resource: MedicationRequest, code: rxnorm|17767}}
  both: {label: Start both}
safeguards:
  - {never: [ace], when: bmi > 45, because: "Not studied in <severe> obesity."}
stages:
  - stage: only
    when: sbp >= 140
    choose: [ace, ccb, both]
    rule:
      better: lower
      margin: 0.5
      unit: "mm[Hg]"
      because: The lowest pressure is expected.
      scores:
        ace: {constant: 150, terms: {diabetes: -8, bmi: 0.1}}
        ccb: {constant: 146, terms: {bmi: 0.1}}
        both: {constant: 140, terms: {age: 0.2, bmi: 0.1}}
      support:
        - {actions: [both], when: age < 75}
"""


def a_bundle(text: str = STEPPED, **replaced: str) -> RuleBundle:
    """Read a bundle from text, with some phrases replaced first."""
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return read_bundle({"bundle.yaml": text.encode()})


STEPPED_CARE = a_bundle()
SCORED_CARE = a_bundle(SCORED)

PLAIN: Mapping[str, Any] = {
    "age": 54.0,
    "hypertension": True,
    "pregnant": False,
    "sbp": 152.0,
    "potassium": 4.2,
    "step": "none",
    "weeks": None,
}
SCORED_PLAIN: Mapping[str, Any] = {"age": 60.0, "sbp": 150.0, "bmi": 30.0, "diabetes": True}


def a_finding(name: str, value: Any) -> Finding:
    """Return a finding: a value with a source, None as absent, or a finding as it is."""
    if isinstance(value, Known | Missing):
        return value
    if value is None:
        return Missing("absent", "nothing on record, and the search was complete")
    at = AS_OF - 8 * DAY
    return Known(value, (Reading(f"Observation/{name.replace('_', '-')}-1", at, at),))


def a_history(
    bundle: RuleBundle = STEPPED_CARE, *, as_of: int = AS_OF, deceased: bool = False, **values: Any
) -> History:
    """Return a history of the stepped (or scored) bundle with good defaults."""
    defaults = PLAIN if bundle.regime == "stepped-care" else SCORED_PLAIN
    given = {**defaults, **values}
    aside = given.pop("set_aside", ())
    findings = {name: a_finding(name, given.get(name)) for name in bundle.base_variables}
    return History(as_of, findings, deceased, aside)


def counted(prefix: str = "uuid") -> Iterator[str]:
    """Yield uuid-1, uuid-2 ..."""
    number = 0
    while True:
        number += 1
        yield f"{prefix}-{number}"


def a_context(hook: str = "patient-view", **changes: Any) -> CardContext:
    """Return a context with stable identifiers."""
    numbers = counted()
    fields: dict[str, Any] = {
        "decision_id": "8a4c2f6e-0000-4000-8000-000000000001",
        "patient_id": "pat-1",
        "base_url": "https://cds.example.org",
        "hook": hook,
        "frozen": False,
        "show_abstentions": True,
        "uuid": lambda: next(numbers),
    }
    return CardContext(**{**fields, **changes})


_RENDERERS: dict[int, CardRenderer] = {}


def a_renderer(bundle: RuleBundle = STEPPED_CARE) -> CardRenderer:
    """Return the renderer of a bundle, made once."""
    return _RENDERERS.setdefault(id(bundle), CardRenderer(bundle))


def rendered(
    bundle: RuleBundle = STEPPED_CARE,
    context: CardContext | None = None,
    drafts: list[Draft] | None = None,
    **values: Any,
) -> tuple[Decision, Rendered]:
    """Decide a history and render its cards."""
    history = a_history(bundle, **values)
    decision = decide(bundle, history)
    context = context or a_context()
    return decision, a_renderer(bundle).render(decision, history, context, drafts)


def a_card(bundle: RuleBundle = STEPPED_CARE, **values: Any) -> dict[str, Any]:
    """Return the one card of a history."""
    _, found = rendered(bundle, **values)
    (card,) = found.cards
    return card


AT_THREE_MONTHS: Mapping[str, Any] = {"step": "lifestyle", "weeks": 12.0}

HOSTILE = (
    "<script>alert(1)</script>",
    "![x](https://evil.example/p.png)",
    "[click](javascript:alert(1))",
    "| broken | table |",
    "www.evil.example",
    "https://evil.example/x",
    "mail me@evil.example",
    "line\nbreak\r\n# heading",
    "\u202egnp.exe",
    "`code` *bold* _it_ ~~no~~ $x$",
    "&lt;b&gt; &amp; <b>",
    "\ud800lone",
    "- item",
    "1. item",
    "---",
    "trailing \\",
    "\x00\x1b[31mred",
)
"""Texts that a record can hold and that must do nothing on a card."""


def hostile_texts() -> st.SearchStrategy[str]:
    """Draw texts from a record: some harmless, some not."""
    return st.sampled_from(HOSTILE) | st.text(max_size=60)


REASONS: tuple[MissingReason, ...] = (
    "absent", "stale", "unit", "implausible", "conflicting", "incomplete", "unresolved",
)  # fmt: skip
_RANGES = {"age": (0, 100), "sbp": (60, 230), "potassium": (2, 8), "bmi": (15, 60)}


class Drawn:
    """Draws histories from one seed: much quicker than a tree of strategies."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - test data

    def history(self, bundle: RuleBundle) -> History:
        """Return a history of a bundle, texts of any kind included."""
        found = {name: self.finding(bundle, name) for name in bundle.base_variables}
        aside = tuple((self.text(), self.text()) for _ in range(self.random.choice((0, 0, 1, 7))))
        as_of = AS_OF - self.random.randrange(10 * DAY)
        return History(as_of, found, self.random.random() < 0.05, aside)

    def finding(self, bundle: RuleBundle, name: str) -> Finding:
        """Return what a variable can be found to be: mostly known, else missing for any reason."""
        readings = tuple(self.reading() for _ in range(self.random.choice((0, 1, 1, 1, 2, 12))))
        if self.random.random() < 0.85:
            note = self.text() if self.random.random() < 0.2 else ""
            return Known(self.value(bundle, name), readings, note)
        last = self.random.choice((None, AS_OF - self.random.randrange(900) * DAY))
        return Missing(self.random.choice(REASONS), self.text(), readings, last)

    def value(self, bundle: RuleBundle, name: str) -> Scalar:
        """Return a value of the variable's kind; ages and the like are drawn to be usual."""
        kind = bundle.kinds[name]
        if kind.type == "boolean":
            return self.random.random() < (0.9 if name == "hypertension" else 0.2)
        if kind.type == "label":
            usual = ["none", "lifestyle"] * 4
            return self.random.choice([*usual, *sorted(kind.labels or {"other"})])
        low, high = _RANGES.get(name, (0, 40))
        if self.random.random() < 0.15:
            return self.span(low, high)
        return round(self.random.uniform(low, high), kind.digits) + 0.0

    def span(self, low: int, high: int) -> Span:
        """Return a span, open or closed, bounded or not."""
        first, last = sorted(self.random.sample(range(low, high), 2))
        opened = [self.random.random() < 0.5 for _ in range(2)]
        match self.random.choice(("low", "high", "both")):
            case "low":
                return Span(high=float(last), high_open=opened[1])
            case "high":
                return Span(low=float(first), low_open=opened[0])
            case _:
                return Span(float(first), float(last), *opened)

    def reading(self) -> Reading:
        """Return a source: mostly an ordinary reference and an instant or a day."""
        if self.random.random() < 0.1:
            return Reading("Patient", None, None)
        source = f"Observation/o{self.random.randrange(99)}"
        at = AS_OF - self.random.randrange(400 * DAY)
        end = at + self.random.choice((0, 0, DAY - 1, 31 * DAY - 1))
        return Reading(self.text() if self.random.random() < 0.3 else source, at, end)

    def text(self) -> str:
        """Return a text from a record, often a hostile one."""
        if self.random.random() < 0.7:
            return self.random.choice(HOSTILE)
        points = [self.random.choice((self.random.randrange(128), self.random.randrange(0x110000)))
                  for _ in range(self.random.randrange(300))]  # fmt: skip
        return "".join(map(chr, points))


def histories(bundle: RuleBundle) -> st.SearchStrategy[History]:
    """Draw histories of a bundle, texts of any kind included."""
    return st.integers(0, 2**32).map(lambda seed: Drawn(seed).history(bundle))
