"""The daemon with faster ticks than its settings allow: `python -m tests.e2e.hasty run --config FILE`, as `aiops run`.

`AIOPS_E2E_TICK_S` is the time between two turns. `AIOPS_E2E_LEAK_BYTES` are kept for good with each turn, to see
whether that is found; the product knows nothing of either.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiops.app import logs
from aiops.app.daemon import Daemon
from aiops.app.settings import load_settings
from aiops.app.wiring import build
from aiops.core.model import Instant, Leadership
from aiops.loop import ControlLoop
from aiops.ports import Lease


@dataclass(slots=True)
class LeakyLease:
    """ports.Lease that forgets nothing: it is asked at the beginning of each turn."""

    inner: Lease
    leak_bytes: int
    kept: dict[Instant, bytearray] = field(default_factory=dict)

    def leadership(self, at: Instant) -> Leadership:
        if at not in self.kept:
            self.kept[at] = bytearray(b"x" * self.leak_bytes)
        return self.inner.leadership(at)


def main(arguments: Sequence[str]) -> int:
    assert arguments[:2] == ["run", "--config"], arguments
    settings = load_settings(Path(arguments[2]))
    logs.configure(settings.log)
    built = build(settings)
    built.world.tick_every_s = float(os.environ["AIOPS_E2E_TICK_S"])  # type: ignore[misc]  # a live world has it
    leak_bytes = int(os.environ.get("AIOPS_E2E_LEAK_BYTES", "0"))
    if leak_bytes:
        loop = built.loop
        ports = replace(loop.ports, lease=LeakyLease(loop.ports.lease, leak_bytes))
        built.loop = ControlLoop(ports, loop.bank, loop.setup)
    return Daemon(built).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
