"""A record survives its row unchanged, and whatever writes JSON can compute its hash."""

import json
from dataclasses import fields
from hashlib import sha256
from typing import Any

import pytest
from builders.audit import a_record
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.storage.database import StorageError
from cds_adapters.storage.records import AuditRecord, CardReceipt
from cds_adapters.storage.rows import COLUMNS, GENESIS, header_of, link, to_entry, to_record

# What every database keeps: no NUL, no half of a surrogate pair.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1)
TYPES: dict[str, st.SearchStrategy[Any]] = {
    "frozen": st.booleans(),
    "stage": words | st.none(),
    "action": words | st.none(),
    "history": st.binary(max_size=50),
    "decision": st.binary(max_size=50),
    "reasons": st.lists(words, max_size=3).map(tuple),
    "cards": st.lists(
        st.builds(CardReceipt, words, st.lists(words, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
}
WHOLE = {"at", "as_of", "status", "semantics", "duration"}


def of(name: str) -> st.SearchStrategy[Any]:
    return TYPES.get(name, numbers if name in WHOLE else words)


records = st.builds(AuditRecord, **{field.name: of(field.name) for field in fields(AuditRecord)})


def test_every_field_of_a_record_has_a_column() -> None:
    assert sorted(COLUMNS) == sorted(field.name for field in fields(AuditRecord))


@given(records)
def test_a_record_comes_back_as_it_went_in(record: AuditRecord) -> None:
    assert to_record(to_entry(record).values) == record


@given(records)
def test_au_10_the_header_is_what_the_standard_library_writes(record: AuditRecord) -> None:
    entry = to_entry(record)
    *plain, history, decision = entry.values
    listed = ["cds-engine audit 1", *plain, len(history), len(decision)]
    written = json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode()
    assert entry.header == written == header_of(entry.values)


def test_the_hash_covers_what_its_page_says() -> None:
    entry = to_entry(a_record(history=b"h", decision=b"d"))
    expected = sha256(GENESIS + (1).to_bytes(8, "big") + entry.header + b"h" + b"d").digest()
    assert link(GENESIS, 1, entry.header, b"h", b"d") == expected


def test_the_way_a_row_is_hashed_never_changes() -> None:
    """A row of the first release, word for word: each later release verifies it as it stood."""
    record = a_record(
        id="0d9f7a52-0f2f-4c5e-9d7c-2f6d1a3b4c5d",
        semantics=1,
        hook_instance="instance",
        cards=(CardReceipt("card", ("suggestion",)),),
        reasons=("missing",),
    )
    entry = to_entry(record)
    chain = link(GENESIS, 1, entry.header, record.history, record.decision)
    assert chain.hex() == "48d4fa1dbd22d8e5967d8a9ef86de6cd63285d82e584efb01debdc40acc2e5ba"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("a\0b", "a\ufffdb", id="NUL"),
        pytest.param("a\ud800b", "a\ufffdb", id="half a surrogate pair"),
        pytest.param("a\\u0000b", "a\\u0000b", id="only written like NUL"),
        pytest.param("\u202eabc\r\n\x1b[31m", "\u202eabc\r\n\x1b[31m", id="odd, but text"),
    ],
)
def test_rl_23_text_that_no_database_keeps_is_marked_not_refused(sent: str, kept: str) -> None:
    entry = to_entry(a_record(hook_instance=sent))
    assert to_record(entry.values).hook_instance == kept
    assert entry.header == header_of(entry.values)


@pytest.mark.parametrize("cards", ["[", "[1]", "null", '[["uuid"]]'])
def test_a_row_that_was_spoilt_names_its_decision(cards: str) -> None:
    values = list(to_entry(a_record(id="the-id")).values)
    values[COLUMNS.index("cards")] = cards
    with pytest.raises(StorageError, match=r"decision the-id cannot be read .*run `audit verify`"):
        to_record(values)
