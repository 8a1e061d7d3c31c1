"""CDS_HOOKS.md, section 0: the traps that real clients set."""

import httpx
import pytest
from builders.hook_calls import (
    OBSERVATIONS,
    SERVICE,
    Json,
    Served,
    decision_of,
    diagnostics,
    hook_body,
    outcome,
    prefetch,
    pressure,
    searchset,
    without,
)

NEXT = [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]


def call_with(key: str, value: object) -> httpx.Response:
    return Served().call(hook_body(prefetch=prefetch(**{key: value})))


@pytest.mark.parametrize("none", [None, searchset(), searchset(total=0)])
def test_000_null_and_an_empty_bundle_are_data_that_say_none(none: Json | None) -> None:
    answer = call_with("conditions", none)
    assert answer.status_code == 200
    assert decision_of(answer)["outcome"] == "not_applicable"


def test_000_an_absent_key_is_not_none() -> None:
    answer = Served().call(hook_body(prefetch=without("conditions")))
    assert answer.status_code == 412
    assert "`conditions` was not sent" in diagnostics(answer)


def test_000_an_operation_outcome_is_a_failed_search() -> None:
    answer = call_with("conditions", outcome())
    assert answer.status_code == 412
    assert "`conditions` is, or holds, an OperationOutcome" in diagnostics(answer)


def test_000_a_bundle_with_a_next_link_is_only_a_page() -> None:
    answer = call_with(OBSERVATIONS, searchset(pressure(), link=NEXT))
    assert answer.status_code == 412
    assert "only the first page" in diagnostics(answer)


def test_000_a_complete_bundle_is_data() -> None:
    answer = call_with(OBSERVATIONS, searchset(pressure(), total=1))
    assert decision_of(answer)["action"] == "lifestyle"


def pages(count: int, newest: int = 1, oldest: int = 1) -> list[Json]:
    """Return readings, newest first, that reach back the given number of months."""
    months = [f"2025-{6 - step:02}-01T08:00:00Z" for step in (newest - 1, oldest - 1)]
    return [
        pressure(f"sbp-{number}", at=months[0] if number < count - 1 else months[1])
        for number in range(count)
    ]


def test_000_exactly_as_many_results_as_asked_for_may_not_be_all() -> None:
    answer = call_with(OBSERVATIONS, searchset(*pages(200)))
    assert answer.status_code == 412
    assert "cut short" in diagnostics(answer)


def test_000_a_full_page_that_reaches_back_past_the_window_is_enough() -> None:
    answer = call_with(OBSERVATIONS, searchset(*pages(200, oldest=3)))
    assert decision_of(answer)["action"] == "lifestyle"


def test_000_a_full_page_in_no_order_by_date_is_not_enough() -> None:
    resources = pages(200, oldest=3)
    answer = call_with(OBSERVATIONS, searchset(resources[-1], *resources[:-1]))
    assert answer.status_code == 412


def test_000_a_full_page_that_counts_itself_complete_is_enough() -> None:
    assert call_with(OBSERVATIONS, searchset(*pages(200), total=200)).status_code == 200


def test_000_a_page_that_counts_more_than_it_holds_is_cut_short() -> None:
    assert call_with(OBSERVATIONS, searchset(pressure(), total=2)).status_code == 412


def test_000_one_result_less_than_asked_for_is_all() -> None:
    assert call_with(OBSERVATIONS, searchset(*pages(199))).status_code == 200


def test_000_a_list_without_a_window_is_cut_short_however_far_it_reaches() -> None:
    many = [
        {"resourceType": "Procedure", "id": f"p{n}", "status": "completed",
         "code": {"coding": [{"system": "http://snomed.info/sct", "code": "443402002"}]},
         "subject": {"reference": "Patient/patient-1"}, "performedDateTime": "1999-01-01"}
        for n in range(200)
    ]  # fmt: skip
    assert call_with("procedures", searchset(*many)).status_code == 412


def test_000_user_tokens_and_encounters_are_never_needed() -> None:
    for service in Served().services().values():
        for template in service["prefetch"].values():
            assert "encounterId" not in template
            assert "user" not in template


def test_000_every_regime_and_hook_has_its_own_id() -> None:
    services = Served().discover().json()["services"]
    assert len({service["id"] for service in services}) == len(services) == 5


def test_000_an_accepted_draft_is_not_suggested_again() -> None:
    served = Served()
    draft = {
        "resourceType": "ServiceRequest",
        "id": "draft-1",
        "status": "draft",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "443402002"}]},
    }
    body = hook_body("order-sign")
    body["context"]["draftOrders"]["entry"] = [{"resource": draft}]
    answer = served.call(body, "pressure-order-sign")
    assert decision_of(answer)["action"] == "lifestyle"
    assert answer.json()["cards"] == []


def test_000_a_handler_that_raises_never_looks_like_no_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = Served()
    monkeypatch.setattr("cds_adapters.cds_hooks.service.gather", None)
    answer = served.call()
    assert answer.status_code == 500
    assert "cards" not in answer.json()
    assert "not the same as nothing to advise" in diagnostics(answer)
    assert served.audit.last.service == SERVICE
