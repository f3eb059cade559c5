"""Where watched series are looked at: is Ray there, is there room, and how policies are parted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, warn
from aiops.app.doctor.scene import Scene
from aiops.errors import FatalError

_NAME = "engine"
CONNECT_RATIO = 0.7
"""Of a check's time, how long a connection may take: it takes a while to end it, too."""


def checks(scene: Scene) -> list[Check]:
    """Return the check of the engine."""
    return [Check(area=Area.SETTINGS, name=_NAME, look=lambda: _looked(scene))]


def _looked(scene: Scene) -> Iterator[Finding]:
    one = scene.settings.engine
    if one.kind == "local":
        yield ok(_NAME, "series are watched in this process")
        return
    from aiops.app.sharding import ray_options
    from aiops.engine.hiring import ended, hired
    from aiops.engine.inspection import Seen, serve

    # the doctor does not wait as long as a daemon does, and the process that tries is gone before it ends
    options = replace(ray_options(one), connect_within_s=min(one.connect_within, CONNECT_RATIO * scene.timeout_s))
    try:
        process, pipe = hired(options, serve)
        with closing(pipe):
            told = pipe.poll((1.0 - CONNECT_RATIO) * scene.timeout_s)
            seen: Seen | None = pipe.recv() if told else None
        ended(process, at_once=seen is None)
    except FatalError as err:
        fix = "is the address right, and is the Ray there of the version that is installed here? --timeout waits longer"
        yield fail(_NAME, str(err), fix)
        return
    except (EOFError, OSError) as err:
        yield fail(_NAME, f"Ray at {one.address} ended the connection ({err!r})", "look at its logs")
        return
    if seen is None:
        yield fail(
            _NAME, f"Ray at {one.address} does not say what it has", "look at its logs, or wait longer: --timeout"
        )
        return
    missing = one.shards - seen.shards
    where = f"Ray at {one.address}: {seen.nodes} nodes, {seen.free:g} of {seen.cpus:g} CPUs free, {seen.shards} shards"
    if missing * one.cpus > seen.free:
        fix = "fewer engine.shards or engine.cpus, or more nodes; until then the policies of what has no room hold"
        yield warn(_NAME, f"{where}; {missing} more need {missing * one.cpus:g} CPUs", fix)
    else:
        yield ok(_NAME, where)
    yield from _parted(scene)


def _parted(scene: Scene) -> Iterator[Finding]:
    """Say which policies are not parted, as a large one of these is one shard's alone."""
    from aiops.engine.part import parted_by

    label = scene.settings.engine.label
    by = {one.key: parted_by(one, label) for one in scene.policies.watches}
    if by:
        counts = Counter(by.values())
        told = ", ".join(f"{count} by {name}" if name else f"{count} not at all" for name, count in counts.items())
        whole = [key for key, name in by.items() if not name]
        more = f" (whole in one shard: {', '.join(whole[:5])}{', ...' if len(whole) > 5 else ''})" if whole else ""
        yield ok(_NAME, f"WatchPolicies are parted: {told}{more}")
