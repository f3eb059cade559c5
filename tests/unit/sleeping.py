"""Workloads that sleep by the clock from one evening to the next morning, for the tests of what becomes of them."""

from __future__ import annotations

from aiops.core.model import Reason
from tests.unit.rested import (
    NIGHTS,
    Daemon,
    at,
    nights,
)

EVENING, NIGHT, MORNING = at("2026-03-03 20:10"), at("2026-03-03 23:00"), at("2026-03-04 08:20")
BY_NAME = NIGHTS.replace("{kinds: [Deployment, CronJob], every: true, maxTargets: 20}", "{name: web}")


def slept(daemon: Daemon | None = None) -> Daemon:
    """Return a daemon whose workloads sleep."""
    daemon = nights() if daemon is None else daemon
    daemon.run(EVENING)
    return daemon


def why(daemon: Daemon) -> tuple[Reason | None, str]:
    return daemon.said.reason, daemon.said.detail
