"""An audit record becomes a row, and each row's hash covers the whole row and the hash before it.

The hash is SHA-256 over: the hash of the row before (32 bytes; zeros for the first), the row's
number (8 bytes, big-endian), its header, its history, its decision. The header is a compact JSON
list in UTF-8: the words ``cds-engine audit 1``, the columns of ``COLUMNS`` up to ``duration`` in
that order as they are stored, and the lengths of history and decision. Anything that writes JSON
can compute it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from cds_adapters.storage.database import StorageError
from cds_adapters.storage.records import AuditRecord, CardReceipt

FORMAT = "cds-engine audit 1"
GENESIS = bytes(32)

COLUMNS = (
    "id", "at", "as_of", "source", "outcome", "status", "regime", "version", "digest", "semantics",
    "engine", "stage", "action", "frozen", "hook", "hook_instance", "service", "cards", "reasons",
    "error", "duration", "history", "decision",
)  # fmt: skip
_BLOBS = 2

_to_json = msgspec.json.Encoder().encode
#: What cannot be kept as text by every database: NUL and halves of surrogate pairs.
_UNKEPT = re.compile("[\x00\ud800-\udfff]")


class Receipt(NamedTuple):
    """The proof of an audit record that is stored: its number and its hash in the chain."""

    seq: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that is ready to be written.

    Attributes:
        values: the values of ``COLUMNS``.
        header: what the hash covers of them, besides history and decision.
        cards: the uuids of the cards sent.
    """

    values: tuple[Any, ...]
    header: bytes
    cards: tuple[str, ...]


def to_entry(record: AuditRecord) -> Entry:
    """Prepare a record for writing; cheap enough for the event loop."""
    cards = record.cards
    values = (
        record.id, record.at, record.as_of, record.source, record.outcome, record.status,
        record.regime, record.version, record.digest, record.semantics, record.engine,
        record.stage, record.action, record.frozen, record.hook, record.hook_instance,
        record.service, cards_to_text(cards) if cards else "[]",
        _to_json(record.reasons).decode() if record.reasons else "[]", record.error,
        record.duration, record.history, record.decision,
    )  # fmt: skip
    try:
        header = header_of(values)
    except UnicodeEncodeError:
        header = b"\\u0000"
    if b"\\u0000" in header:
        values = tuple(keepable(value) for value in values)
        header = header_of(values)
    return Entry(values, header, tuple(receipt.uuid for receipt in cards))


def to_record(values: Sequence[Any]) -> AuditRecord:
    """Return the record that a row's ``COLUMNS`` hold.

    Raises:
        StorageError: if the row was changed into something that is no record.
    """
    kept = dict(zip(COLUMNS, values, strict=True))
    try:
        kept["cards"] = tuple(
            CardReceipt(uuid, tuple(suggestions)) for uuid, suggestions in json.loads(kept["cards"])
        )
        kept["reasons"] = tuple(json.loads(kept["reasons"]))
    except (TypeError, ValueError) as error:
        raise StorageError(
            f"the audit row of decision {kept['id']} cannot be read ({type(error).__name__}), for "
            "it was changed; run `audit verify`"
        ) from None
    return AuditRecord(**kept)


def header_of(values: Sequence[Any]) -> bytes:
    """Return the header of a row: all of it but the two blobs, of which only the lengths."""
    *plain, history, decision = values
    return _to_json([FORMAT, *plain, len(history), len(decision)])


def link(previous: bytes, seq: int, header: bytes, history: bytes, decision: bytes) -> bytes:
    """Return the hash of a row."""
    chain = sha256(previous)
    chain.update(seq.to_bytes(8, "big"))
    chain.update(header)
    chain.update(history)
    chain.update(decision)
    return chain.digest()


def cards_to_text(cards: Sequence[CardReceipt]) -> str:
    """Write the receipts of cards as the column holds them."""
    return _to_json([[card.uuid, card.suggestions] for card in cards]).decode()


def keepable(value: Any) -> Any:
    """Put U+FFFD where a text has what no database keeps; what is no text stays."""
    return _UNKEPT.sub("\ufffd", value) if isinstance(value, str) else value
