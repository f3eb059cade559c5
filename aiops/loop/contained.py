"""A part of a turn that nothing else of it rests on: a bug there leaves out that part, and the turn goes on (S10)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from aiops.errors import FatalError
from aiops.ports import Telemetry

_LOG = logging.getLogger("aiops.loop")

_Made = TypeVar("_Made")


def contained(telemetry: Telemetry, event: str, make: Callable[[], _Made]) -> _Made | None:
    """Return what is made, None where that fails, which is logged as `event` and counted; raise FatalError alone."""
    try:
        return make()
    except FatalError:
        raise
    except Exception:
        _LOG.exception(event)
        telemetry.failure("bug")
        return None
