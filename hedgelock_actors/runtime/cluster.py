"""The Ray cluster that a run starts for itself, and Serve on it: token, loopback, small, quiet. No other is touched."""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from hedgelock_actors.runtime.config import DEFAULT_FILE, Config, ConfigError
from hedgelock_actors.runtime.wiring import scratch, write_private

RAY_TOKEN_FILE = "ray.token"  # noqa: S105 - the name of a file
SERVE_FILE = DEFAULT_FILE.parent / "serve.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where things listen on loopback."""

    http: int
    dashboard: int


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


def taken(port: int) -> bool:
    """True when something listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def choose_ports(config: Config) -> Ports:
    """Configured ports, free ones where 0 is configured. Raises ConfigError when a configured HTTP port is taken."""
    http = config.http.port or free_port()
    if taken(http):
        raise ConfigError("http.port", f"port {http} is in use; stop what uses it, or set 0 to take a free one")
    dashboard = config.ray.dashboard_port
    if dashboard == 0 or taken(dashboard):  # the dashboard is a convenience: it moves aside
        dashboard = free_port()
    return Ports(http=http, dashboard=dashboard)


def environment(config: Config, state: Path) -> dict[str, str]:
    """Variables that Ray and Serve read at start; every process of the cluster inherits them."""
    place = scratch(state)
    values = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(_token_file(state)),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # by default Ray runs its workers behind everything else on the host
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # by default a proxy that needs 5 s on a busy machine is killed
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if config.http.haproxy:
        values |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(place / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(place / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(place),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(place / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",  # it would listen on every interface
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        }
    return values


def _token_file(state: Path) -> Path:
    path = state / RAY_TOKEN_FILE
    write_private(path, secrets.token_hex(32))  # a new cluster has a new token
    return path


def start_ray(config: Config, state: Path, ports: Ports) -> None:
    """Start a cluster of this process. It ends with the process, or by `stop_ray`."""
    _set_environment(environment(config, state))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        ray.init(
            address="local",
            namespace="hedgelock",
            num_cpus=config.ray.num_cpus,
            include_dashboard=config.ray.dashboard,
            dashboard_host="127.0.0.1",
            dashboard_port=ports.dashboard,
            object_store_memory=config.ray.object_store_mb * 1024 * 1024,
            log_to_driver=False,
            configure_logging=True,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )


def address() -> str | None:
    """Where another process of this host may join the cluster of this process."""
    import ray

    return str(ray.get_runtime_context().gcs_address) if ray.is_initialized() else None


def join_ray(state: Path, where: str) -> None:
    """Join the cluster of the run in `state`, for as long as this process lives or until `stop_ray`.

    Raises:
        OSError: nothing listens at `where`.
        RuntimeError: it does not let us in.
    """
    host, _, port = where.rpartition(":")
    socket.create_connection((host, int(port)), timeout=1.0).close()
    _set_environment({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(state / RAY_TOKEN_FILE)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        ray.init(address=where, namespace="hedgelock", log_to_driver=False, logging_level=logging.ERROR)


def _set_environment(values: Mapping[str, str]) -> None:
    """For this process too: Ray's core has read its environment when it was imported, so it is told to look again."""
    os.environ.update(values)
    os.environ.pop("RAY_ADDRESS", None)  # never join somebody else's cluster
    core: Any = importlib.import_module("ray._raylet")  # compiled: it has no types
    core.Config.initialize("")
    core.AuthenticationTokenLoader.instance().reset_cache()


def stop_ray() -> None:
    """End the cluster of this process, and no other."""
    import ray

    ray.shutdown()


def start_supervisor(state: Path) -> None:
    """Start the supervisor, which starts the actors."""
    import ray

    from hedgelock_actors.runtime.names import NAMESPACE, SUPERVISOR
    from hedgelock_actors.runtime.supervisor import Supervisor

    ray.remote(Supervisor).options(
        name=SUPERVISOR,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
    ).remote(str(state))


class ServeFailed(Exception):
    """HTTP did not start."""


def start_serve(config: Config, state: Path, port: int, file: Path = SERVE_FILE) -> list[str]:
    """Deploy the applications that `file` declares, on loopback. Returns their names. Raises ServeFailed."""
    from ray.exceptions import RayError

    try:
        try:
            return _start_serve(config, state, port, file)
        except RayError as error:  # one of Serve's own actors died on the way up: once more
            logging.getLogger(__name__).warning("serve.start_failed %s", error)
            return _start_serve(config, state, port, file)
    except (RayError, RuntimeError, OSError, ValueError) as error:
        raise ServeFailed(f"HTTP did not start: {type(error).__name__}: {error}") from error


def _start_serve(config: Config, state: Path, port: int, file: Path) -> list[str]:
    from ray import serve
    from ray.serve.config import HTTPOptions, ProxyLocation
    from ray.serve.schema import LoggingConfig

    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # a person at a terminal does not need its progress
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    quiet = LoggingConfig(enable_access_log=False, log_level="WARNING")
    serve.start(
        proxy_location=ProxyLocation.HeadOnly,
        http_options=HTTPOptions(host=config.http.host, port=port, request_timeout_s=10),
        logging_config=quiet,
    )
    targets = [
        serve.RunTarget(
            target=_import(str(application["import_path"]))({**application.get("args", {}), "state_dir": str(state)}),
            name=str(application["name"]),
            route_prefix=str(application["route_prefix"]),
            logging_config=quiet,
        )
        for application in cast("Sequence[Mapping[str, Any]]", declared["applications"])
    ]
    serve.run_many(targets)  # together: their replicas start side by side
    return [target.name for target in targets]


def stop_serve() -> None:
    """End Serve with its replicas."""
    from ray import serve

    serve.shutdown()  # type: ignore[no-untyped-call]


def _import(path: str) -> Callable[[Mapping[str, object]], Any]:
    module, _, name = path.partition(":")
    return cast("Callable[[Mapping[str, object]], Any]", getattr(importlib.import_module(module), name))
