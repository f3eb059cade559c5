"""What people are still to be told, as the store has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiops.adapters.store import Store


def waiting(store: Store) -> dict[str, Any]:
    """Return what waits on the routes, in order, and how much each of them lost of which nobody was told yet."""
    from aiops.adapters.notify.notices import Severity

    rows = [
        {
            **{name: one[name] for name in ("route", "key", "at", "state", "told_at")},
            "severity": Severity(one["severity"]).name.lower(),
        }
        for one in store.notices.waiting()
    ]
    return {"waiting": rows, "lost": {name: count for name, count in store.notices.lost().items() if count}}
