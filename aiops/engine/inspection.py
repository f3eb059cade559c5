"""The process that looks at a Ray cluster once, for the doctor."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from aiops.engine.clerk import RayOptions, connected

_OURS = re.compile(r"shard-\d+-of-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is: nodes that live, CPUs and which of them are free, shards of the number that is wanted."""

    nodes: int
    cpus: float
    free: float
    shards: int


def serve(pipe: Connection, options: RayOptions) -> None:
    """Connect, and say what there is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what Ray says of its own accord; why it fails is told
    trouble = connected(options)
    pipe.send(trouble)
    if trouble is not None:
        return
    import ray

    every: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    names = (_OURS.fullmatch(name) for name in ray.util.list_named_actors())
    pipe.send(
        Seen(
            nodes=sum(bool(node["Alive"]) for node in nodes),
            cpus=every.get("CPU", 0.0),
            free=free.get("CPU", 0.0),
            shards=sum(match is not None and int(match[1]) == options.shards for match in names),
        )
    )
    ray.shutdown()
