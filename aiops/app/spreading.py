"""Where the command line has many things done: here, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiops.errors import InvalidInput

if TYPE_CHECKING:
    from aiops.engine.spreading import Spread


def spreading(engine: str | None, address: str | None, processes: int) -> Spread | None:
    """Return what does several things at once, None where one process does them one by one; raise InvalidInput.

    engine: the one of the settings where it is not said. address: of Ray; that of the settings likewise.
    """
    from aiops.app.engine_settings import EngineSettings
    from aiops.app.output import SESSION
    from aiops.app.sharding import ray_options
    from aiops.engine.spreading import OverRay, Processes

    if engine not in (None, "local", "ray"):
        raise InvalidInput(f"--engine {engine}: there is no such engine (local, ray)")
    if engine == "ray" or address is not None:
        settings = SESSION.settings()
        own = settings.engine.model_dump() | ({"address": address} if address else {})
        return OverRay(ray_options(EngineSettings(**own)))
    return Processes(processes) if processes > 1 else None


def parted(made: Sequence[Any], names: Sequence[str]) -> tuple[list[Any], dict[str, str]]:
    """Return the results that there are, and why there is none, by name; raise the error when there is no result."""
    from aiops.engine.spreading import Lost

    lost = {name: one for name, one in zip(names, made, strict=True) if isinstance(one, Lost)}
    results = [one for one in made if not isinstance(one, Lost)]
    if lost and not results:
        raise next(iter(lost.values())).error
    return results, {name: str(one.error) for name, one in lost.items()}
