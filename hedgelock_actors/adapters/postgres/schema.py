"""The tables of the journal. The migrations create them; here they are for queries.

`journal` is append-only: the application role may SELECT and INSERT, and triggers refuse UPDATE, DELETE and TRUNCATE to
everybody, the owner included. `writers` fences: one row per stream with the newest epoch, which can only grow.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
)

SCHEMA = "hedgelock"
APP_ROLE = "hedgelock_app"

METADATA = MetaData(schema=SCHEMA)

JOURNAL = Table(
    "journal",
    METADATA,
    Column("stream", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("account", Text, nullable=False),
    # Text and not jsonb: the hash is over these very bytes, and jsonb would reorder and re-round them.
    Column("payload", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    # For people. Set by the database, so it is the one column that the hash does not cover.
    Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    PrimaryKeyConstraint("stream", "n", name="journal_pk"),
    UniqueConstraint("stream", "key", name="journal_key_once"),
    CheckConstraint("n > 0", name="journal_n_positive"),
    Index("journal_by_kind", "stream", "kind", "n"),
)

WRITERS = Table(
    "writers",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    CheckConstraint("epoch > 0", name="writers_epoch_positive"),
)
