"""CDS_HOOKS.md, section F: what clinicians did with a card."""

from typing import Any

import pytest
from builders.hook_calls import SERVICE, Json, Served, diagnostics
from fhir.resources.R4B.operationoutcome import OperationOutcome

from cds_engine.vocabulary.time import iso

CARD = "11111111-1111-4111-8111-111111111111"
SUGGESTION = "22222222-2222-4222-8222-222222222222"


def accepted(**fields: Any) -> Json:
    return {
        "card": CARD,
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": SUGGESTION}],
        "outcomeTimestamp": "2025-06-02T09:05:00Z",
        **fields,
    }


def overridden(**fields: Any) -> Json:
    return {
        "card": CARD, "outcome": "overridden", "outcomeTimestamp": "2025-06-02T09:06:00Z", **fields,
    }  # fmt: skip


def batch(*items: Any) -> Json:
    return {"feedback": list(items)}


def test_100_feedback_is_answered_with_200_and_an_empty_object() -> None:
    answer = Served().post_feedback(batch(accepted()))
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body", [{}, [], 5, {"feedback": {}}, {"feedback": []}, {"feedback": None}, "x"]
)
def test_100_a_body_without_items_is_400(body: Any) -> None:
    answer = Served().post_feedback(body)
    assert answer.status_code == 400
    assert diagnostics(answer)


@pytest.mark.parametrize("field", ["card", "outcome", "outcomeTimestamp"])
@pytest.mark.parametrize("value", [None, "", 5])
def test_101_each_required_field_is_named_with_its_place(field: str, value: object) -> None:
    answer = Served().post_feedback(batch(accepted(**{field: value})))
    assert answer.status_code == 400
    assert "feedback[0]" in diagnostics(answer)
    assert field in diagnostics(answer)


def test_101_an_absent_field_is_named() -> None:
    item = accepted()
    del item["outcome"]
    assert "outcome" in diagnostics(Served().post_feedback(batch(item)))


@pytest.mark.parametrize("outcome", ["ignored", "ACCEPTED", "rejected"])
def test_101_there_are_two_outcomes(outcome: str) -> None:
    assert Served().post_feedback(batch(accepted(outcome=outcome))).status_code == 400


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-06-02T09:05:00Z", "2025-06-02T09:05:00Z"),
        ("2025-06-02T11:05:00.250+02:00", "2025-06-02T09:05:00.250000Z"),
        ("2025-06-02t09:05:00z", "2025-06-02T09:05:00Z"),
    ],
)
def test_101_times_are_rfc_3339(text: str, instant: str) -> None:
    served = Served()
    assert served.post_feedback(batch(accepted(outcomeTimestamp=text))).status_code == 200
    assert [iso(item.at) for item in served.feedback.items.values()] == [instant]


@pytest.mark.parametrize(
    "text",
    ["2025-06-02", "2025-06-02T09:05:00", "20250602T090500Z", "yesterday", "2025-13-01T00:00:00Z"],
)
def test_101_other_times_are_not(text: str) -> None:
    answer = Served().post_feedback(batch(accepted(outcomeTimestamp=text)))
    assert answer.status_code == 400
    assert "RFC 3339" in diagnostics(answer)


@pytest.mark.parametrize("suggestions", [None, [], [{"id": ""}], [{}], ["x"]])
def test_102_accepting_names_what_was_accepted(suggestions: Any) -> None:
    item = accepted(acceptedSuggestions=suggestions)
    answer = Served().post_feedback(batch(item))
    assert answer.status_code == 400
    assert "feedback[0]" in diagnostics(answer)


def test_102_several_suggestions_may_be_accepted() -> None:
    served = Served()
    served.post_feedback(batch(accepted(acceptedSuggestions=[{"id": "a"}, {"id": "b"}])))
    assert [item.accepted for item in served.feedback.items.values()] == [("a", "b")]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (None, ("", "", "")),
        ({}, ("", "", "")),
        ({"userComment": "not now"}, ("", "", "not now")),
        ({"reason": {"code": "c", "system": "s", "display": "d"}}, ("s|c", "d", "")),
        ({"reason": {"code": "c", "system": "s"}, "userComment": "x"}, ("s|c", "", "x")),
    ],
)
def test_103_an_override_may_have_a_reason_a_comment_both_or_none(
    reason: Any, kept: tuple[str, str, str]
) -> None:
    served = Served()
    item = overridden() if reason is None else overridden(overrideReason=reason)
    assert served.post_feedback(batch(item)).status_code == 200
    found = next(iter(served.feedback.items.values()))
    assert (found.reason, found.reason_display, found.comment) == kept


@pytest.mark.parametrize("reason", [{"reason": {"code": "c"}}, {"reason": "x"}, "x", []])
def test_103_a_reason_that_was_picked_has_code_and_system(reason: Any) -> None:
    assert Served().post_feedback(batch(overridden(overrideReason=reason))).status_code == 400


def test_104_the_same_post_twice_counts_once() -> None:
    served = Served()
    for _ in range(2):
        assert served.post_feedback(batch(accepted(), overridden())).status_code == 200
    assert len(served.feedback.items) == 2


def test_104_several_items_for_one_card_are_all_kept() -> None:
    served = Served()
    items = [accepted(outcomeTimestamp=f"2025-06-02T09:0{n}:00Z") for n in range(5)]
    served.post_feedback(batch(*items))
    assert len(served.feedback.items) == 5


def test_105_an_unknown_card_is_kept_and_answered_with_200() -> None:
    served = Served()
    assert served.post_feedback(batch(accepted(card="never-sent"))).status_code == 200
    assert len(served.feedback.items) == 1


def test_105_a_bad_item_does_not_cost_the_good_ones() -> None:
    served = Served()
    answer = served.post_feedback(batch(accepted(), accepted(outcome="x"), 5, overridden()))
    assert answer.status_code == 200
    found = OperationOutcome.model_validate_json(answer.content)
    words = [str(issue.diagnostics) for issue in found.issue]
    assert words[0].startswith("feedback[1].outcome")
    assert words[1].startswith("feedback[2]")
    assert {issue.severity for issue in found.issue} == {"warning"}
    assert len(served.feedback.items) == 2


def test_106_a_call_whose_card_is_ignored_leaves_no_feedback() -> None:
    served = Served()
    served.call()
    assert served.feedback.items == {}


def test_107_accepting_and_then_overriding_are_both_kept_in_order() -> None:
    served = Served()
    served.post_feedback(batch(accepted()))
    served.post_feedback(batch(overridden()))
    assert [item.outcome for item in served.feedback.items.values()] == ["accepted", "overridden"]


def test_108_a_comment_reaches_neither_the_answer_nor_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    served = Served()
    served.feedback.broken = True
    comment = {"userComment": "Zebedee Canaryname said no"}
    answers = [
        served.post_feedback(batch(overridden(overrideReason=comment))),
        served.post_feedback(batch(overridden(overrideReason=comment, outcome="x"))),
    ]
    assert [answer.status_code for answer in answers] == [503, 400]
    assert "Canaryname" not in caplog.text + "".join(answer.text for answer in answers)


def test_108_a_comment_without_end_is_refused() -> None:
    item = overridden(overrideReason={"userComment": "x" * 10_001})
    assert Served().post_feedback(batch(item)).status_code == 400


def test_the_service_and_the_instant_of_receipt_are_kept() -> None:
    served = Served()
    served.post_feedback(batch(accepted()))
    item = next(iter(served.feedback.items.values()))
    assert item.service == SERVICE
    assert item.received > item.at


def test_feedback_that_cannot_be_kept_is_503_and_asks_to_come_again() -> None:
    served = Served()
    served.feedback.broken = True
    answer = served.post_feedback(batch(accepted()))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_more_items_than_fit_one_post_are_413() -> None:
    assert Served().post_feedback(batch(*[accepted()] * 1_001)).status_code == 413
