"""What has to agree before a process begins: one build in all processes of a run, and no real venue in a replay.

Processes come and go while a run lasts. One that was started from other code, after an upgrade in place, could read the
same words in another sense; it stays out, and says so, until the run has been ended and begun anew.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version

from hedgelock_actors.domain.messages import ENVELOPE
from hedgelock_actors.runtime.config import Config


class Disagreement(Exception):
    """This process may not take part; the message says why and what to do."""


def build() -> str:
    """The version, and the words that its actors use with one another as a hash: `0.1.0+3f2a…`."""
    words = json.dumps(ENVELOPE.json_schema(), sort_keys=True)
    return f"{version('hedgelock')}+{hashlib.sha256(words.encode()).hexdigest()[:12]}"


def check_agreement(config: Config, *, run_build: str, replay: bool, venue_url: str | None) -> None:
    """Compare this process with the run that it is to join. Raises Disagreement."""
    mine = build()
    if run_build != mine:
        raise Disagreement(
            f"the run was started by build {run_build} and this process is {mine}: end the run with `hedgelock down`, "
            "then start it again"
        )
    environment = config.venue.environment
    if replay and (environment != "local" or venue_url is None):
        raise Disagreement(f"a replay knows simulated exchanges only, not {environment}: no order may come of it")
    if not replay and environment == "local":
        raise Disagreement("environment local has the time of its exchange, and this run goes by the wall clock")
