"""What PostgreSQL needs of the host: not to be root, and to be able to reach its own files.

PostgreSQL refuses to run as root. When we are root (a container, CI) it runs as the owner of an existing data
directory, else as the system's `postgres` or `nobody`. That account must be able to walk to its data
and to the binaries, so the directories above them get the traverse bit for others (never read), and that is logged.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

_CANDIDATES = ("postgres", "nobody")


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL could not be started or stopped; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The system account that PostgreSQL runs as. `switch` is False when that is who we are."""

    uid: int
    gid: int
    switch: bool


def account_for(data: Path) -> Account:
    """Who runs PostgreSQL on `data` (which may not exist yet)."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), switch=False)
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(uid=owner.st_uid, gid=owner.st_gid, switch=True)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, switch=True)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and neither of the accounts postgres and nobody exists here: "
        "run hedgelock as an ordinary user, or configure the URL of a PostgreSQL"
    )


def own(path: Path, account: Account, mode: int = 0o700) -> Path:
    """Make the directory if need be and give it to the account."""
    path.mkdir(parents=True, exist_ok=True)
    if account.switch:
        os.chown(path, account.uid, account.gid)
    path.chmod(mode)
    return path


def let_through(path: Path, account: Account) -> None:
    """Let the account walk down to `path`, if it is another than ours."""
    if not account.switch:
        return
    for above in path.resolve().parents:
        mode = stat.S_IMODE(above.stat().st_mode)
        if not mode & stat.S_IXOTH and above.stat().st_uid != account.uid:
            logger.warning("running as root: letting other accounts walk through %s so that PostgreSQL can", above)
            above.chmod(mode | stat.S_IXOTH)


def run_as(
    account: Account, command: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a PostgreSQL binary as the account, in a session of its own so that Ctrl-C does not reach the server."""
    return subprocess.run(  # noqa: S603 - the command is ours, no shell reads it
        command,
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=() if account.switch else None,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", **(env or {})},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
        start_new_session=True,
    )
