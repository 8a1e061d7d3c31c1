"""CDS_HOOKS.md, section E, as far as a service shows it: what a success says."""

import uuid
from typing import Any

from builders.hook_calls import Served, decision_of, hook_body, prefetch, pressure, searchset


def cards() -> list[dict[str, Any]]:
    served = Served(base_url="https://cds.hospital.example")
    found: list[dict[str, Any]] = served.call().json()["cards"]
    return found


def test_066_cards_are_always_there() -> None:
    assert isinstance(Served().call().json()["cards"], list)


def test_067_no_guidance_is_an_empty_list_whose_outcome_is_named() -> None:
    low = prefetch(observations_sbp=searchset(pressure(value=120)))
    answer = Served().call(hook_body(prefetch=low))
    assert answer.json()["cards"] == []
    assert decision_of(answer)["outcome"] == "no_change"


def test_068_system_actions_are_not_sent() -> None:
    assert set(Served().call().json()) == {"cards", "extension"}


def test_069_080_cards_and_suggestions_have_uuids_of_their_own() -> None:
    found = [card["uuid"] for card in cards() + cards()]
    found += [s["uuid"] for card in cards() for s in card["suggestions"]]
    assert len(set(found)) == len(found)
    assert all(str(uuid.UUID(text)) == text for text in found)


def test_070_to_096_a_card_is_as_the_specification_wants_it() -> None:
    for card in cards():
        assert 0 < len(card["summary"]) < 140
        assert "\n" not in card["summary"]
        assert card["indicator"] in {"info", "warning", "critical"}
        assert card["source"]["label"]
        assert card["selectionBehavior"] in {"at-most-one", "any"}
        assert sum(s.get("isRecommended", False) for s in card["suggestions"]) <= 1
        for suggestion in card["suggestions"]:
            assert suggestion["label"]
            assert "actionSelectionBehavior" not in suggestion
            for action in suggestion["actions"]:
                assert action["type"] == "create"
                assert action["description"]
                assert action["resource"]["subject"] == {"reference": "Patient/patient-1"}
                assert action["resource"]["status"] == "draft"
        for reason in card["overrideReasons"]:
            assert reason["code"]
            assert reason["system"]
            assert reason["display"]
        for link in card["links"]:
            assert link["label"]
            assert link["type"] == "absolute"
            assert link["url"].startswith("https://cds.hospital.example/")


def test_096_links_lead_to_the_public_address() -> None:
    served = Served(base_url="https://cds.hospital.example/")
    for card in served.call().json()["cards"]:
        for link in card["links"]:
            assert link["url"].startswith("https://cds.hospital.example/")


def test_097_the_answer_names_version_digest_stage_and_audit_record() -> None:
    served = Served()
    said = decision_of(served.call())
    record = served.audit.last
    assert said == {
        "id": record.id,
        "outcome": "recommendation",
        "stage": "baseline",
        "action": "lifestyle",
        "regime": "pressure",
        "version": "1.2.0",
        "digest": record.digest,
        "as_of": "2025-06-02T09:00:00Z",
    }
    assert record.digest.startswith("sha256:")


def test_003_097_what_a_decision_has_not_is_left_out() -> None:
    said = decision_of(Served().call(hook_body(prefetch=prefetch(conditions=None))))
    assert said["outcome"] == "not_applicable"
    assert not {"stage", "action"} & set(said)


def test_098_one_decision_gives_one_card() -> None:
    assert len(cards()) == 1


def test_099_the_answer_says_for_which_instant_it_holds() -> None:
    assert decision_of(Served().call())["as_of"] == "2025-06-02T09:00:00Z"


def test_tr_05_an_abstention_shows_a_card_unless_the_site_turns_it_off() -> None:
    body = hook_body(prefetch=prefetch(observations_sbp=searchset()))
    shown, hidden = Served(), Served(show_abstentions=False)
    first, second = shown.call(body), hidden.call(body)
    assert len(first.json()["cards"]) == 1
    assert second.json()["cards"] == []
    for answer in (first, second):
        assert decision_of(answer)["outcome"] == "abstention"
    assert set(shown.audit.last.reasons) == {"missing"}
    assert shown.audit.last.reasons == hidden.audit.last.reasons


def test_064_a_complete_call_stays_far_below_half_a_second() -> None:
    served = Served()
    for _ in range(20):
        served.call()
    durations = sorted(record.duration for record in served.audit.records)
    assert durations[18] < 500_000
