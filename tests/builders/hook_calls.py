"""A CDS Hooks service on a small regime, one patient for whom it has advice, and calls of it."""

import asyncio
import copy
import json
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
from fakes.hook_logs import FakeAudit, FakeFeedback
from fastapi import FastAPI

from cds_adapters.cds_hooks.discovery import PLAIN_OFFER, Offer
from cds_adapters.cds_hooks.service import HookService, add_cds_hooks
from cds_adapters.cds_hooks.upstream import Source
from cds_adapters.clock import parse_instant
from cds_adapters.site import Site
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.regime import Regime

NOW = "2025-06-02T09:00:00Z"
PATIENT = "patient-1"
BASE = "http://cds.example"
SERVICE = "pressure-patient-view"
Json = dict[str, Any]

RULES = """
regime: pressure
version: 1.2.0
title: Stepped care of high blood pressure
description: Advice first, then a drug.
aim: {outcome: sbp, better: lower}
population: age >= 18 and hypertension
variables:
  age: {from: patient.age, unit: a}
  hypertension: {from: condition, codes: [snomed|38341003], absent: false}
  sbp: {from: observation, codes: [loinc|8480-6], panels: [loinc|85354-9], unit: "mm[Hg]",
        take: mean, within: P30D}
  sbp_latest: {from: observation, codes: [loinc|8480-6], panels: [loinc|85354-9], unit: "mm[Hg]",
        within: P14D}
  potassium: {from: observation, codes: [loinc|2823-3], unit: mmol/L, within: P180D}
  ace_allergy: {from: allergy, codes: [snomed|295036000], absent: false}
  on_ace: {from: medication, codes: [rxnorm|314076], take: active, absent: false}
  heart_rate: {from: observation, codes: [loinc|8867-4], unit: "/min", within: P30D}
  step: {from: course, take: latest_action}
actions:
  lifestyle: {label: Advise diet and exercise,
    order: {resource: ServiceRequest, code: snomed|443402002}, seen_as: [snomed|443402002]}
  add_ace: {label: Start lisinopril 10 mg daily,
    order: {resource: MedicationRequest, code: rxnorm|314076}, seen_as: [rxnorm|314076]}
  monitor: {label: Measure again in 3 months, change: false}
safeguards:
  - {never: [add_ace], when: potassium > 5.5 or ace_allergy, because: It raises potassium.}
stages:
  - stage: baseline
    when: step is none and not on_ace
    choose: [lifestyle, monitor]
    rule:
      - {when: sbp >= 140 and sbp_latest >= 135, then: lifestyle, because: Advice comes first.}
      - {otherwise: monitor}
  - stage: later
    when: step is not none or on_ace
    choose: [add_ace, monitor]
    rule:
      - {when: sbp >= 140, then: add_ace, because: Still high.}
      - {otherwise: monitor}
"""

TALK = """
regime: talk
version: 1.0.0
title: A regime that orders nothing
aim: {outcome: age, better: lower}
population: age >= 18
variables:
  age: {from: patient.age, unit: a}
actions:
  talk: {label: Talk about it}
stages:
  - {stage: only, when: age >= 18, choose: [talk], rule: [{otherwise: talk}]}
"""


@cache
def bundle_of(text: str = RULES) -> RuleBundle:
    return read_bundle({"bundle.yaml": text.encode()})


def observation(
    identifier: str, code: str, value: float, unit: str, at: str = "2025-06-01T08:00:00Z"
) -> Json:
    return {
        "resourceType": "Observation",
        "id": identifier,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": at,
        "valueQuantity": {
            "value": value,
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def pressure(
    identifier: str = "sbp-1", value: float = 152, at: str = "2025-06-01T08:00:00Z"
) -> Json:
    return observation(identifier, "8480-6", value, "mm[Hg]", at)


def person(identifier: str = PATIENT) -> Json:
    return {
        "resourceType": "Patient",
        "id": identifier,
        "birthDate": "1970-01-01",
        "gender": "female",
        "name": [{"family": "Canaryname", "given": ["Zebedee"]}],
    }


def condition(identifier: str = "condition-1") -> Json:
    system = "http://terminology.hl7.org/CodeSystem"
    return {
        "resourceType": "Condition",
        "id": identifier,
        "clinicalStatus": {
            "coding": [{"system": f"{system}/condition-clinical", "code": "active"}]
        },
        "verificationStatus": {
            "coding": [{"system": f"{system}/condition-ver-status", "code": "confirmed"}]
        },
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "recordedDate": "2020-01-01",
    }


def prescription(identifier: str = "rx-1", **fields: Any) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": identifier,
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "authoredOn": "2025-03-01T08:00:00Z",
        "medicationCodeableConcept": {
            "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "314076"}]
        },
        **fields,
    }


def searchset(*resources: Json, **fields: Any) -> Json:
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    page: Json = {"resourceType": "Bundle", "type": "searchset", **fields}
    return page | ({"entry": entries} if entries else {})


def outcome(severity: str = "error") -> Json:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": "processing", "diagnostics": "x"}],
    }


OBSERVATIONS = "observations_sbp"
OTHER_KEYS = (
    "observations_potassium", "observations_heart_rate", "allergies", "medication_requests",
    "medication_statements", "medication_dispenses", "medication_administrations",
    "procedures", "service_requests", "care_plans",
)  # fmt: skip


def prefetch(**changes: Any) -> Json:
    """Return a complete prefetch of the patient for whom lifestyle advice is recommended."""
    complete: Json = {
        "patient": person(),
        "conditions": searchset(condition()),
        OBSERVATIONS: searchset(pressure()),
        **{key: searchset() for key in OTHER_KEYS},
    }
    return complete | changes


def without(*keys: str, **changes: Any) -> Json:
    return {key: value for key, value in prefetch(**changes).items() if key not in keys}


CONTEXTS: Mapping[str, Json] = {
    "patient-view": {"userId": "Practitioner/1", "patientId": PATIENT},
    "order-select": {
        "userId": "Practitioner/1",
        "patientId": PATIENT,
        "selections": ["MedicationRequest/draft-1"],
        "draftOrders": {"resourceType": "Bundle", "entry": []},
    },
    "order-sign": {
        "userId": "PractitionerRole/1",
        "patientId": PATIENT,
        "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": []},
    },
    "order-dispatch": {
        "patientId": PATIENT,
        "dispatchedOrders": ["ServiceRequest/1"],
        "performer": "Organization/1",
        "fulfillmentTasks": [],
    },
    "encounter-start": {"userId": "Practitioner/1", "patientId": PATIENT, "encounterId": "e-1"},
    "encounter-discharge": {"userId": "Practitioner/1", "patientId": PATIENT, "encounterId": "e-1"},
    "appointment-book": {
        "userId": "Patient/1",
        "patientId": PATIENT,
        "appointments": {"resourceType": "Bundle", "entry": []},
    },
}


def hook_body(hook: str = "patient-view", **fields: Any) -> Json:
    """Return a good request; ``fields`` replace what stands at the top of it."""
    return {
        "hook": hook,
        "hookInstance": str(uuid.uuid4()),
        "context": copy.deepcopy(CONTEXTS[hook]),
        "prefetch": prefetch(),
        **fields,
    }


ACCESS = {
    "access_token": "canary-token-8d3f",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/*.read",
    "subject": "cds-service",
}


class Served:
    """A running service with fakes around it; every call goes through HTTP, in process."""

    def __init__(
        self,
        *,
        rules: tuple[str, ...] = (RULES,),
        source: Source | None = None,
        offer: Offer = PLAIN_OFFER,
        now: str = NOW,
        **settings: Any,
    ) -> None:
        self.audit = FakeAudit()
        self.feedback = FakeFeedback()
        self.site = Site(**settings)
        regimes = [Regime(bundle_of(text)) for text in rules]
        self.service = HookService(
            regimes,
            self.audit,
            self.feedback,
            self.site,
            lambda: parse_instant(now),
            source=source,
            offer=offer,
        )
        self.app = FastAPI(openapi_url=None)
        add_cds_hooks(self.app, self.service)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def discover(self, **headers: str) -> httpx.Response:
        return self.request("GET", "/cds-services", headers=headers)

    def services(self) -> dict[str, Json]:
        found: list[Json] = self.discover().json()["services"]
        return {service["id"]: service for service in found}

    def call(self, body: Any = None, service: str = SERVICE, **options: Any) -> httpx.Response:
        """POST a body; bytes are sent as they are, as JSON by their content type."""
        if body is None:
            body = hook_body()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        path = f"/cds-services/{service}"
        return self.request("POST", path, content=content, headers=headers, **options)

    def post_feedback(self, items: Any, service: str = SERVICE) -> httpx.Response:
        return self.request("POST", f"/cds-services/{service}/feedback", json=items)


def decision_of(answer: httpx.Response) -> Json:
    found: Json = answer.json()["extension"]["org.cds-engine.decision"]
    return found


def diagnostics(answer: httpx.Response) -> str:
    """Return the words of an OperationOutcome, and check that it is one."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"] == "application/fhir+json"
    return "; ".join(issue["diagnostics"] for issue in body["issue"])
