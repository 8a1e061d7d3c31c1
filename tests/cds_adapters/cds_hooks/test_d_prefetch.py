"""CDS_HOOKS.md, section D, lines 50 to 59: what the prefetch means."""

import random

import pytest
from builders.hook_calls import (
    OBSERVATIONS,
    Json,
    Served,
    condition,
    decision_of,
    diagnostics,
    hook_body,
    outcome,
    person,
    prefetch,
    prescription,
    pressure,
    searchset,
    without,
)

REQUIRED = (
    "patient", "conditions", "observations_sbp", "observations_potassium", "allergies",
    "medication_requests", "procedures", "service_requests",
)  # fmt: skip
OPTIONAL = (
    "observations_heart_rate", "medication_statements", "medication_dispenses",
    "medication_administrations", "care_plans",
)  # fmt: skip


def answer_to(**keys: object) -> Json:
    answer = Served().call(hook_body(prefetch=prefetch(**keys)))
    assert answer.status_code == 200
    return decision_of(answer)


def reasons_for(served: Served, body: Json) -> tuple[str, ...]:
    assert served.call(body).status_code == 200
    return served.audit.last.reasons


def test_050_a_complete_searchset_is_authoritative() -> None:
    assert answer_to()["action"] == "lifestyle"


def test_051_a_patient_that_is_null_leaves_its_facts_unknown() -> None:
    served = Served()
    answer = served.call(hook_body(prefetch=prefetch(patient=None)))
    assert decision_of(answer)["outcome"] == "abstention"
    assert served.audit.last.reasons == ("incomplete",)


@pytest.mark.parametrize("key", REQUIRED)
def test_052_without_a_required_key_the_call_is_412_and_names_it(key: str) -> None:
    served = Served()
    answer = served.call(hook_body(prefetch=without(key)))
    assert answer.status_code == 412
    assert diagnostics(answer) == (
        f"prefetch key `{key}` was not sent, and no fhirServer was given to fetch it from"
    )
    assert (served.audit.last.outcome, served.audit.last.status) == ("error", 412)


def test_041_a_client_that_ignores_code_sort_and_count_gets_the_same_answer() -> None:
    noise = [pressure(f"x{n}") | {"code": other_code(n)} for n in range(20)]
    old = pressure("sbp-0", 90, "2019-01-01T08:00:00Z")
    everything = searchset(old, *noise, pressure(), *noise[:3], pressure())
    assert answer_to(observations_sbp=everything)["action"] == "lifestyle"


def other_code(number: int) -> Json:
    return {"coding": [{"system": "http://loinc.org", "code": f"1234-{number}"}]}


def test_052_every_required_key_that_is_missing_is_named_at_once() -> None:
    words = diagnostics(Served().call(hook_body(prefetch={})))
    assert all(f"`{key}`" in words for key in REQUIRED)
    assert not any(f"`{key}`" in words for key in OPTIONAL)


def test_052_no_prefetch_at_all_is_412_too() -> None:
    body = hook_body()
    del body["prefetch"]
    assert Served().call(body).status_code == 412


def test_052_a_key_that_feeds_nothing_decisive_may_be_left_out() -> None:
    answer = Served().call(hook_body(prefetch=without("observations_heart_rate")))
    assert decision_of(answer)["action"] == "lifestyle"


@pytest.mark.parametrize("key", OPTIONAL[1:])
def test_052_without_another_optional_key_nothing_is_decided_that_rests_on_it(key: str) -> None:
    served = Served()
    body = hook_body(prefetch=without(key))
    assert "incomplete" in reasons_for(served, body)
    assert served.audit.last.outcome == "abstention"


def test_052_what_is_missing_is_named_on_the_card() -> None:
    answer = Served().call(hook_body(prefetch=without("care_plans")))
    assert "care\\_plans" in answer.json()["cards"][0]["detail"]


@pytest.mark.parametrize("key", REQUIRED[1:])
def test_053_a_first_page_is_no_history(key: str) -> None:
    link = [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]
    answer = Served().call(hook_body(prefetch=prefetch(**{key: searchset(link=link)})))
    assert answer.status_code == 412


def test_053_other_links_mean_nothing() -> None:
    link = [{"relation": "self", "url": "https://ehr.example/fhir/Condition"}]
    answer_to(conditions=searchset(condition(), link=link))


@pytest.mark.parametrize("key", REQUIRED)
def test_054_an_operation_outcome_is_no_data(key: str) -> None:
    for severity in ("error", "fatal", "information"):
        answer = Served().call(hook_body(prefetch=prefetch(**{key: outcome(severity)})))
        assert answer.status_code == 412
        assert f"`{key}`" in diagnostics(answer)


def test_054_an_error_inside_a_searchset_makes_it_incomplete() -> None:
    page = searchset(condition(), outcome("error"))
    page["entry"][1]["search"] = {"mode": "outcome"}
    assert Served().call(hook_body(prefetch=prefetch(conditions=page))).status_code == 412


def test_054_a_remark_inside_a_searchset_does_not() -> None:
    page = searchset(condition(), outcome("information"))
    page["entry"][1]["search"] = {"mode": "outcome"}
    assert answer_to(conditions=page)["action"] == "lifestyle"


@pytest.mark.parametrize(
    "value", [{}, {"resourceType": "Claim", "id": "x"}, {"entry": []}, {"resourceType": "Nonsense"}]
)
def test_054_something_else_than_what_was_asked_for_is_no_data(value: Json) -> None:
    answer = Served().call(hook_body(prefetch=prefetch(conditions=value)))
    assert answer.status_code == 412
    assert "`conditions` is no Bundle of Condition resources" in diagnostics(answer)


def test_054_a_single_resource_is_no_search_result() -> None:
    assert Served().call(hook_body(prefetch=prefetch(conditions=condition()))).status_code == 412


def test_054_a_patient_in_a_bundle_of_one_is_taken() -> None:
    assert answer_to(patient=searchset(person()))["action"] == "lifestyle"


@pytest.mark.parametrize("key", ["conditions", OBSERVATIONS, "patient"])
def test_055_rl_10_another_patients_data_rejects_the_whole_request(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    strangers = {
        "conditions": searchset(
            condition(), condition("c2") | {"subject": {"reference": "Patient/p2"}}
        ),
        OBSERVATIONS: searchset(pressure() | {"subject": {"reference": "Patient/p2"}}),
        "patient": person("p2"),
    }
    served = Served()
    answer = served.call(hook_body(prefetch=prefetch(**{key: strangers[key]})))
    assert answer.status_code == 400
    assert "cards" not in answer.json()
    assert "1 other patient than context.patientId" in diagnostics(answer)
    assert served.audit.last.error == "refused: other-patient"
    assert '"event": "security"' in caplog.text
    assert "p2" not in caplog.text + answer.text


def test_055_mixed_patients_are_found_before_missing_keys() -> None:
    stranger = searchset(condition() | {"subject": {"reference": "Patient/p2"}})
    keys = {k: v for k, v in prefetch(conditions=stranger).items() if k != "patient"}
    assert Served().call(hook_body(prefetch=keys)).status_code == 400


def test_055_a_draft_order_for_somebody_else_rejects_the_request_too() -> None:
    body = hook_body("order-sign")
    draft = prescription(status="draft", subject={"reference": "Patient/p2"})
    body["context"]["draftOrders"]["entry"] = [{"resource": draft}]
    answer = Served().call(body, "pressure-order-sign")
    assert answer.status_code == 400
    assert "draftOrders" in diagnostics(answer)


def test_055_references_to_the_patient_by_address_are_the_patients() -> None:
    url = "https://ehr.example/fhir/Patient/patient-1"
    answer_to(conditions=searchset(condition() | {"subject": {"reference": url}}))


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_056_rl_14_what_a_record_takes_back_is_not_used_and_said_in_the_audit(status: str) -> None:
    served = Served()
    page = searchset(pressure(), pressure("sbp-2", value=90) | {"status": status})
    answer = served.call(hook_body(prefetch=prefetch(observations_sbp=page)))
    assert decision_of(answer)["action"] == "lifestyle"
    assert f'["Observation/sbp-2","{status}"]'.encode() in served.audit.last.history


def test_058_an_incomplete_answer_names_keys_and_no_patient() -> None:
    words = Served().call(hook_body(prefetch=without("conditions"))).text
    assert "patient-1" not in words
    assert "Traceback" not in words


def test_059_malformed_is_400_missing_is_412_and_an_own_fault_5xx() -> None:
    served = Served()
    assert served.call(b"{").status_code == 400
    assert served.call(hook_body(prefetch={})).status_code == 412
    served.audit.broken = True
    assert served.call().status_code == 503


def test_rl_09_one_bad_resource_is_set_aside_with_a_reason() -> None:
    served = Served()
    bad = pressure("sbp-2") | {"status": 5}
    answer = served.call(hook_body(prefetch=prefetch(observations_sbp=searchset(pressure(), bad))))
    assert answer.status_code == 200
    assert set(served.audit.last.reasons) == {"incomplete"}


def test_rl_09_one_that_nothing_rests_on_changes_nothing() -> None:
    bad = pressure("hr-1") | {"status": 5, "code": {"coding": [{"system": "urn:x", "code": "y"}]}}
    assert answer_to(observations_heart_rate=searchset(bad))["action"] == "lifestyle"


def test_rl_09_a_patient_that_cannot_be_read_leaves_its_facts_incomplete() -> None:
    served = Served()
    bad = person() | {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}
    assert reasons_for(served, hook_body(prefetch=prefetch(patient=bad))) == ("incomplete",)


def test_rl_15_the_order_of_entries_and_their_number_do_not_matter() -> None:
    resources = [pressure(f"sbp-{n}", 140 + n, f"2025-05-{10 + n}T08:00:00Z") for n in range(12)]
    plain = answer_to(observations_sbp=searchset(*resources))
    for seed in range(5):
        shuffled = [*resources, *resources[:3]]
        random.Random(seed).shuffle(shuffled)  # noqa: S311 - a test, not a key
        other = answer_to(observations_sbp=searchset(*shuffled))
        assert {**other, "id": ""} == {**plain, "id": ""}
