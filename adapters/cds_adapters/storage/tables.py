"""The tables: an append-only chain of audit records, the cards they sent, and the feedback."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)

#: SQLite numbers rows by itself only in a column whose type is exactly INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


audit = Table(
    "audit",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    _text("source"),
    _text("outcome"),
    Column("status", Integer, nullable=False),
    _text("regime"),
    _text("version"),
    _text("digest"),
    Column("semantics", Integer, nullable=False),
    _text("engine"),
    Column("stage", Text),
    Column("action", Text),
    Column("frozen", Boolean, nullable=False),
    _text("hook"),
    _text("hook_instance"),
    _text("service"),
    _text("cards"),
    _text("reasons"),
    _text("error"),
    Column("duration", BigInteger, nullable=False),
    Column("history", LargeBinary, nullable=False),
    Column("decision", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Index(None, "regime", "version", "outcome"),
)

#: One row: the number and the hash of the last audit row. Who appends holds it locked.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

card = Table(
    "card",
    metadata,
    Column("uuid", Text, primary_key=True),
    Column("seq", Number, ForeignKey("audit.seq"), nullable=False),
    sqlite_with_rowid=False,
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("item", LargeBinary, nullable=False, unique=True),
    _text("service"),
    _text("card"),
    _text("outcome"),
    Column("at", BigInteger, nullable=False),
    _text("accepted"),
    _text("reason"),
    _text("reason_display"),
    _text("comment"),
    Column("received", BigInteger, nullable=False),
    Column("decision_id", Text, ForeignKey("audit.id"), index=True),
)
