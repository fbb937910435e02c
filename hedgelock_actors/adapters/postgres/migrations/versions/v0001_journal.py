"""The journal, its writers, the triggers that keep it append-only, and what the application may do.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE hedgelock.journal (
        stream text NOT NULL,
        n bigint NOT NULL,
        epoch bigint NOT NULL,
        kind text NOT NULL,
        key text NOT NULL,
        ts_ms bigint NOT NULL,
        account text NOT NULL,
        payload text NOT NULL,
        prev_hash text NOT NULL,
        hash text NOT NULL,
        written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT journal_pk PRIMARY KEY (stream, n),
        CONSTRAINT journal_key_once UNIQUE (stream, key),
        CONSTRAINT journal_n_positive CHECK (n > 0)
    )
    """,
    "CREATE INDEX journal_by_kind ON hedgelock.journal (stream, kind, n)",
    """
    CREATE TABLE hedgelock.writers (
        stream text PRIMARY KEY,
        epoch bigint NOT NULL,
        CONSTRAINT writers_epoch_positive CHECK (epoch > 0)
    )
    """,
    """
    CREATE FUNCTION hedgelock.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    """
    CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON hedgelock.journal
        FOR EACH STATEMENT EXECUTE FUNCTION hedgelock.refuse_change()
    """,
    # ALWAYS: also under session_replication_role = replica, which silences ordinary triggers.
    "ALTER TABLE hedgelock.journal ENABLE ALWAYS TRIGGER journal_append_only",
    """
    CREATE TRIGGER writers_stay BEFORE DELETE OR TRUNCATE ON hedgelock.writers
        FOR EACH STATEMENT EXECUTE FUNCTION hedgelock.refuse_change()
    """,
    "ALTER TABLE hedgelock.writers ENABLE ALWAYS TRIGGER writers_stay",
    """
    CREATE FUNCTION hedgelock.epochs_grow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.stream <> OLD.stream OR NEW.epoch <= OLD.epoch THEN
            RAISE EXCEPTION 'the epoch of stream % can only grow', OLD.stream USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER writers_epochs_grow BEFORE UPDATE ON hedgelock.writers
        FOR EACH ROW EXECUTE FUNCTION hedgelock.epochs_grow()
    """,
    "ALTER TABLE hedgelock.writers ENABLE ALWAYS TRIGGER writers_epochs_grow",
    # A database administrator may have made the role beforehand; a login and a password are given outside migrations.
    """
    DO $$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hedgelock_app') THEN
            CREATE ROLE hedgelock_app NOLOGIN;
        END IF;
    END
    $$
    """,
    "REVOKE ALL ON SCHEMA hedgelock FROM PUBLIC",
    "REVOKE ALL ON ALL TABLES IN SCHEMA hedgelock FROM PUBLIC",
    "GRANT USAGE ON SCHEMA hedgelock TO hedgelock_app",
    "GRANT SELECT, INSERT ON hedgelock.journal TO hedgelock_app",
    "GRANT SELECT, INSERT ON hedgelock.writers TO hedgelock_app",
    # Needed to take the row lock that fences, and to raise the epoch; the trigger lets it go up only.
    "GRANT UPDATE (epoch) ON hedgelock.writers TO hedgelock_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("the journal is append-only: there is no way back from its first version")
