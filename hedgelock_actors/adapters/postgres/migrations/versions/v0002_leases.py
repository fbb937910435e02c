"""The trading leases: who may trade an account, in which epoch, and until when by the database's clock.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE hedgelock.leases (
        account text PRIMARY KEY,
        epoch bigint NOT NULL,
        holder text NOT NULL,
        expires_at timestamptz NOT NULL,
        free_at timestamptz NOT NULL,
        CONSTRAINT leases_epoch_positive CHECK (epoch > 0)
    )
    """,
    "COMMENT ON COLUMN hedgelock.leases.free_at IS 'when the right of the last predecessor ends'",
    """
    CREATE TRIGGER leases_stay BEFORE DELETE OR TRUNCATE ON hedgelock.leases
        FOR EACH STATEMENT EXECUTE FUNCTION hedgelock.refuse_change()
    """,
    "ALTER TABLE hedgelock.leases ENABLE ALWAYS TRIGGER leases_stay",
    # Within an epoch only the expiry moves; whatever else changes needs the next epoch.
    """
    CREATE FUNCTION hedgelock.leases_pass_on() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.account <> OLD.account OR NEW.epoch < OLD.epoch
           OR (NEW.epoch = OLD.epoch AND (NEW.holder <> OLD.holder OR NEW.free_at <> OLD.free_at)) THEN
            RAISE EXCEPTION 'the epoch of the lease of % can only grow', OLD.account
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER leases_epochs_grow BEFORE UPDATE ON hedgelock.leases
        FOR EACH ROW EXECUTE FUNCTION hedgelock.leases_pass_on()
    """,
    "ALTER TABLE hedgelock.leases ENABLE ALWAYS TRIGGER leases_epochs_grow",
    "REVOKE ALL ON hedgelock.leases FROM PUBLIC",
    "GRANT SELECT, INSERT ON hedgelock.leases TO hedgelock_app",
    "GRANT UPDATE (epoch, holder, expires_at, free_at) ON hedgelock.leases TO hedgelock_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("a lease that is forgotten lets two trade at once: there is no way back")
