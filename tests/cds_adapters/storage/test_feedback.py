"""Feedback is counted once, kept in order, and never lost for another item's sake."""

import asyncio
from dataclasses import replace

import pytest
from builders.audit import NOON, a_record, an_item, change
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from cds_adapters.storage.audit import AuditStore
from cds_adapters.storage.feedback import (
    FeedbackCounts,
    FeedbackError,
    FeedbackStore,
    Stored,
    item_key,
)
from cds_adapters.storage.records import AuditRecord

REASON = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes|prefers-alternative"


@pytest.fixture
def feedback(engine: Engine) -> FeedbackStore:
    return FeedbackStore(engine)


@pytest.fixture
def sent(store: AuditStore) -> AuditRecord:
    """A record whose card was sent."""
    record = a_record()
    store.append(record).result(30)
    return record


def test_feedback_finds_its_decision(
    store: AuditStore, feedback: FeedbackStore, sent: AuditRecord
) -> None:
    item = an_item(
        sent.cards[0].uuid,
        outcome="overridden",
        accepted=(),
        reason=REASON,
        reason_display="Patient prefers an alternative",
        comment="will come back — in spring",
        received=NOON + 5,
    )
    assert feedback.store([item]) == Stored(new=1, repeated=0, unmatched=0)
    assert store.feedback_for(sent.id) == (replace(item, decision_id=sent.id),)


def test_104_the_same_item_is_counted_once_however_often_it_comes(
    store: AuditStore, feedback: FeedbackStore, sent: AuditRecord
) -> None:
    item = an_item(sent.cards[0].uuid)
    assert feedback.store([item, item]) == Stored(new=1, repeated=1, unmatched=0)
    later = replace(item, received=NOON + 1)
    assert feedback.store([later]) == Stored(new=0, repeated=1, unmatched=0)
    assert len(store.feedback_for(sent.id)) == 1
    assert feedback.counts("pressure-demo") == FeedbackCounts(1, 0, 1, {})


def test_104_several_items_for_one_card_are_all_kept(
    store: AuditStore, feedback: FeedbackStore, sent: AuditRecord
) -> None:
    card = sent.cards[0].uuid
    items = [an_item(card, accepted=("a",)), an_item(card, accepted=("b",)), an_item(card, at=1)]
    assert feedback.store(items).new == 3
    assert len(store.feedback_for(sent.id)) == 3


def test_105_an_unknown_card_is_kept_as_unmatched(
    store: AuditStore, feedback: FeedbackStore, sent: AuditRecord
) -> None:
    lying = an_item("nobody's", decision_id=sent.id)
    assert feedback.store([lying, an_item(sent.cards[0].uuid)]) == Stored(2, 0, 1)
    assert feedback.unmatched() == 1
    assert [item.card for item in store.feedback_for(sent.id)] == [sent.cards[0].uuid]


def test_106_a_card_that_nobody_answered_counts_nowhere(
    feedback: FeedbackStore, sent: AuditRecord
) -> None:
    assert feedback.counts(sent.regime) == FeedbackCounts(0, 0, 0, {})


@pytest.mark.parametrize("order", [("accepted", "overridden"), ("overridden", "accepted")])
@pytest.mark.parametrize("late", [False, True], ids=["in order", "the first comes last"])
def test_107_accepted_and_then_overridden_are_both_kept_in_order(
    store: AuditStore,
    feedback: FeedbackStore,
    sent: AuditRecord,
    order: tuple[str, str],
    late: bool,
) -> None:
    items = [
        an_item(sent.cards[0].uuid, outcome=outcome, at=NOON + i) for i, outcome in enumerate(order)
    ]
    for item in reversed(items) if late else items:
        feedback.store([item])
    assert tuple(item.outcome for item in store.feedback_for(sent.id)) == order
    assert feedback.counts("pressure-demo", "1.0.0") == FeedbackCounts(1, 1, 1, {"": 1})


def test_counts_are_of_one_version(store: AuditStore, feedback: FeedbackStore) -> None:
    for version, outcome, reason in (
        ("1.0.0", "accepted", ""),
        ("1.0.0", "overridden", REASON),
        ("1.0.0", "overridden", ""),
        ("1.1.0", "overridden", REASON),
    ):
        record = a_record(version=version)
        store.append(record).result(30)
        feedback.store([an_item(record.cards[0].uuid, outcome=outcome, reason=reason)])
    assert feedback.counts("pressure-demo", "1.0.0") == FeedbackCounts(1, 2, 3, {"": 1, REASON: 1})
    assert feedback.counts("pressure-demo") == FeedbackCounts(1, 3, 4, {"": 1, REASON: 2})
    assert feedback.counts("other") == FeedbackCounts(0, 0, 0, {})


def test_a_batch_is_stored_whole_or_not_at_all(feedback: FeedbackStore, sent: AuditRecord) -> None:
    good, bad = an_item(sent.cards[0].uuid), an_item("x", at="not a number")
    bad = replace(bad, service=None)  # type: ignore[arg-type]
    with pytest.raises(FeedbackError, match=r"could not be stored: .*; send it again later"):
        feedback.store([good, bad])
    assert feedback.counts("pressure-demo").accepted == 0


def test_the_refused_words_are_not_repeated(feedback: FeedbackStore) -> None:
    item = replace(an_item("x"), service=None, comment="Mr Miller")  # type: ignore[arg-type]
    with pytest.raises(FeedbackError) as caught:
        feedback.store([item])
    assert "Miller" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_database_without_tables_is_said_so(feedback: FeedbackStore, engine: Engine) -> None:
    change(engine, "ALTER TABLE feedback RENAME TO elsewhere")
    with pytest.raises(FeedbackError, match="could not be stored"):
        feedback.store([an_item("x")])


def test_odd_text_is_kept(store: AuditStore, feedback: FeedbackStore, sent: AuditRecord) -> None:
    card = sent.cards[0].uuid
    feedback.store([an_item(card, comment="a\0b\ud800c", accepted=("\0",))])
    (kept,) = store.feedback_for(sent.id)
    assert (kept.comment, kept.accepted) == ("a\ufffdb\ufffdc", ("\ufffd",))


def test_many_items_are_one_batch(feedback: FeedbackStore, sent: AuditRecord) -> None:
    items = [an_item(f"nobody's {i}") for i in range(1200)]
    stored = asyncio.run(feedback.store_async([*items, an_item(sent.cards[0].uuid)]))
    assert stored == Stored(1201, 0, 1200)


@given(st.lists(st.sampled_from('ab|,[]"'), max_size=6).map("".join), st.integers(0, 5))
def test_different_items_have_different_keys(text: str, cut: int) -> None:
    one = an_item("c", service=text[:cut], reason=text[cut:])
    other = an_item("c", service=text[:cut] + "x", reason=text[cut:])
    swapped = an_item("c", accepted=("s", text))
    assert len({item_key(one), item_key(other), item_key(swapped)}) == 3


@pytest.mark.parametrize(
    "changed",
    [{"service": "x"}, {"card": "x"}, {"outcome": "overridden"}, {"at": 1}, {"accepted": ()},
     {"reason": "x"}, {"comment": "x"}],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_what_an_item_says_is_part_of_its_key(changed: dict[str, object]) -> None:
    item = an_item("card")
    assert item_key(item) != item_key(replace(item, **changed))  # type: ignore[arg-type]
    assert item_key(item) == item_key(replace(item, received=9, decision_id="d"))
