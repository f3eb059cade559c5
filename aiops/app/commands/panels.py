"""Commands by what one is about to do, in the order of that: what `--help` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperGroup

Panels = Mapping[str, tuple[str, ...]]

TOP: Panels = {
    "Begin": ("run", "status", "doctor", "follow", "version"),
    "Write policies, and try them": ("policy", "record", "backtest", "simulate"),
    "Look: what was decided, and why": (
        *("decisions", "explain", "why", "whatif", "replay", "actions", "effects", "incidents", "alerts", "plans"),
        *("rightsize", "prices", "report"),
    ),
    "Step in": ("approvals", "pause", "resume", "stop-all", "release", "failover"),
    "Foretell and detect": ("forecast", "detect", "watch", "models"),
    "Install and look after": ("rbac", "tokens", "notify", "store", "audit", "handback", "halt"),
}

POLICY: Panels = {
    "Begin one": ("init", "convert"),
    "Check it": ("validate", "test", "show"),
    "Let it earn trust": ("diff", "promote", "demote"),
    "For editors and clusters": ("rules", "reference", "schema", "crd"),
}


def panelled(panels: Panels) -> type[TyperGroup]:
    """Return a group of commands whose help shows them by panel; what is in none stands before all others."""
    every = [(panel, name) for panel, names in panels.items() for name in names]
    places = {name: (panel, place) for place, (panel, name) in enumerate(every)}

    class Panelled(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for name, command in self.commands.items():
                if name in places:
                    command.rich_help_panel = places[name][0]  # type: ignore[attr-defined]

        def list_commands(self, ctx: Any) -> list[str]:
            return sorted(super().list_commands(ctx), key=lambda name: places.get(name, ("", -1))[1])

    return Panelled
