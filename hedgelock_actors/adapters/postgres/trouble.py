"""What may go wrong between us and PostgreSQL, and how it is told."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

# What the network, the server or the driver may raise. None of it says whether a commit happened.
TROUBLE = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


def summary(trouble: BaseException) -> str:
    """One line without the statement and its parameters."""
    origin = getattr(trouble, "orig", None) or trouble
    lines = str(origin).strip().splitlines()
    return f"{type(origin).__name__}: {lines[0] if lines else 'no answer'}"
