"""Whether a daemon stays as large as it is over as many turns as a day has, and whether a leak would be found."""

from __future__ import annotations

import itertools
import math
import re
import time
from typing import Any

import pytest

from tests.e2e.postgres import PostgresServer
from tests.e2e.rig import Daemon, Rig, scaling_policy
from tests.e2e.soak_memory import Turning

TICK_S = 0.1
TURNS = 6000
"""A day has 5,760 turns of 15 s."""

LEAK_BYTES = 1024
LOOK_S = 5.0
WITHIN_S = 1500.0
SWING_S, MEAN_RPS, SWING_RPS = 40.0, 450.0, 350.0


def hasty(rig: Rig, name: str, **more: Any) -> Daemon:
    """Start a daemon that turns ten times a second."""
    environment = {"AIOPS_E2E_TICK_S": str(TICK_S), **more.pop("environment", {})}
    log = {"format": "json", "level": "warning"}
    return rig.daemon(name, module="tests.e2e.hasty", environment=environment, log=log, **more)


def turns(daemon: Daemon) -> int:
    """Return how often it has turned, 0 while nobody answers."""
    found = re.search(r"^aiops_ticks_total (\S+)$", daemon.metrics(), re.MULTILINE)
    return 0 if found is None else int(float(found[1]))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_day_of_turns_leaves_a_daemon_as_large_as_it_was_and_a_leak_is_found(
    rig: Rig, deploy: Any, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
):
    """One acts, over PostgreSQL, and must not grow; one looks on, over SQLite, and keeps 1 kB a turn."""
    deploy(replicas=9)
    rig.demand(MEAN_RPS)
    rig.shared_store = postgres.create(f"{rig.namespace}_memory")
    rig.policy(scaling_policy(rig.namespace))
    beside = {"mode": "dry-run", "store": {"url": f"sqlite:///{rig.folder / 'leaky.db'}"}}
    leak = {"AIOPS_E2E_LEAK_BYTES": str(LEAK_BYTES)}
    daemons = {"kept": hasty(rig, "kept"), "leaky": hasty(rig, "leaky", environment=leak, **beside)}
    lives = {name: Turning(daemon.process.pid) for name, daemon in daemons.items()}
    ends_at = time.monotonic() + WITHIN_S
    for look in itertools.count():
        rig.demand(MEAN_RPS + SWING_RPS * math.sin(2 * math.pi * look * LOOK_S / SWING_S))
        time.sleep(LOOK_S)
        for name, daemon in daemons.items():
            assert daemon.process.poll() is None, daemon.process.tail()
            lives[name].note(turns(daemon), daemon.process.rss_bytes())
        if all(life.turns >= TURNS for life in lives.values()) or time.monotonic() > ends_at:
            break
    with capsys.disabled():
        print("", *(f"{name}: {life}" for name, life in lives.items()), sep="\n")
    assert all(life.turns >= TURNS for life in lives.values()), "the machine is too slow for this"
    assert len(rig.writes()) >= 50
    assert not lives["kept"].grows, str(lives["kept"])
    assert lives["leaky"].grows, str(lives["leaky"])
