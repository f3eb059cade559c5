"""The process that speaks to Ray: the only one that imports it, so that a fatal error there ends no daemon.

It takes orders from a pipe and sends answers back. Its end is that of the connection; shards are detached actors and
stay. Ray is imported here, inside functions, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import secrets
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any

from aiops.engine.placing import Place
from aiops.engine.shard import Means, Shard

_LOG = logging.getLogger("aiops.clerk")
_POLL_S, _IDLE_S = 0.02, 1.0
_KEEP_WITHIN_S, _CODE_WITHIN_S, _STATUS_S = 60.0, 5.0, 2.0
_ACTOR = re.compile(r"shard-\d+-of-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Where Ray is, and what shards ask of it. address: `local` begins a Ray of one's own, on this machine alone.

    cpus, memory_bytes: of one shard, as Ray counts them. object_store_bytes: of a local Ray.
    """

    address: str
    namespace: str
    shards: int
    cpus: float = 1.0
    memory_bytes: float = 0.0
    object_store_bytes: float = 100e6
    connect_within_s: float = 20.0


class Trouble(StrEnum):
    """Why there is no connection."""

    MISSING = "missing"
    VERSION = "version"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


class ShardActor(Shard):
    """A shard as an actor: each life of its process has a name of its own."""

    def __init__(self, place: Place, means: Means) -> None:
        super().__init__(place, means, f"{os.uname().nodename}/{os.getpid()}/{secrets.token_hex(4)}")


def serve(pipe: Connection, options: RayOptions, means: Means) -> None:
    """Connect, then do what is ordered until the other end is closed. It says first whether it is connected."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is for the daemon, which stops in stages
    trouble = connected(options)
    pipe.send(trouble)
    if trouble is None:
        _Clerk(pipe, options, means).run()


def connected(options: RayOptions) -> tuple[Trouble, str] | None:
    """Connect to Ray, or return why not. Ray itself may try for minutes: whoever waits ends this process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.dup2(2, 1)  # Ray prints of its own accord, and the standard output is for answers
    try:
        import ray
    except ImportError as err:
        return Trouble.MISSING, str(err)
    own: dict[str, Any] = {"address": options.address}
    if options.address == "local":
        cpus = max(1, round(options.shards * options.cpus))
        own |= {"num_cpus": cpus, "object_store_memory": int(options.object_store_bytes), "include_dashboard": False}
    try:
        ray.init(namespace=options.namespace, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (Exception, SystemExit) as err:  # Ray raises many kinds, and some end the process
        return _trouble(str(err)), _short(err)
    return None


def _trouble(words: str) -> Trouble:
    if "ersion mismatch" in words:
        return Trouble.VERSION
    return Trouble.REFUSED if "uthToken" in words or "uthentication" in words else Trouble.UNREACHABLE


def _short(err: BaseException) -> str:
    text = " ".join(str(err).split())
    return f"{type(err).__name__}: {text[:300]}" if text else type(err).__name__


@dataclass(slots=True)
class _Clerk:
    """Turns orders into calls of actors, and their results into answers."""

    pipe: Connection
    options: RayOptions
    means: Means
    actors: dict[int, Any] = field(default_factory=dict)
    waiting: dict[Any, tuple[int, int]] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    status_at: float = 0.0

    def run(self) -> None:
        """Serve until the pipe ends."""
        import ray

        try:
            while True:
                if self.pipe.poll(0.0 if self.waiting else _IDLE_S):
                    self._order(self.pipe.recv())
                    continue
                if self.waiting:
                    done, _ = ray.wait(list(self.waiting), num_returns=1, timeout=_POLL_S, fetch_local=False)
                    for ref in done:
                        self._answer(ref)
                    self._say_what_is_waited_for()
        except (EOFError, OSError):
            ray.shutdown()

    def _order(self, order: tuple[Any, ...]) -> None:
        match order:
            case ("ask", number, shard, method, given):
                try:
                    ref = getattr(self._actor(shard), method).remote(*given)
                except Exception as err:  # Ray raises many kinds, and each is one shard's failure
                    self.actors.pop(shard, None)
                    self.pipe.send(("failed", number, _short(err), True))
                    return
                self.waiting[ref] = (number, shard)
            case ("renew", shard):
                self._renew(shard)
            case ("end",):
                raise EOFError
            case unknown:
                raise AssertionError(f"an order that nobody knows: {unknown!r}")

    def _answer(self, ref: Any) -> None:
        import ray

        number, shard = self.waiting.pop(ref)
        try:
            value = ray.get(ref)
        except ray.exceptions.RayActorError as err:
            self.actors.pop(shard, None)
            self.answered.discard(shard)
            self.pipe.send(("failed", number, f"its process has ended ({_short(err)})", True))
        except ray.exceptions.RayTaskError as err:
            self.pipe.send(("failed", number, _short(err.cause), False))
        except ray.exceptions.RayError as err:
            self.pipe.send(("failed", number, _short(err), True))
        except Exception as err:  # what cannot be unpickled here raises whatever its class does
            self.pipe.send(("failed", number, f"its answer cannot be read ({_short(err)})", False))
        else:
            self.answered.add(shard)
            self._send(number, value)

    def _send(self, number: int, value: Any) -> None:
        """Send an answer as bytes: one that cannot be read or written is one question's failure, not the pipe's."""
        try:
            self.pipe.send(("answer", number, pickle.dumps(value, pickle.HIGHEST_PROTOCOL)))
        except (pickle.PicklingError, TypeError, AttributeError) as err:
            self.pipe.send(("failed", number, f"its answer cannot be sent ({_short(err)})", False))

    def _say_what_is_waited_for(self) -> None:
        """Say now and then which shards have no process yet while there is no room for one."""
        import ray

        if time.monotonic() - self.status_at < _STATUS_S:
            return
        self.status_at = time.monotonic()
        new = {shard for _, shard in self.waiting.values()} - self.answered
        waits: dict[int, str] = {}
        if new:
            free: Mapping[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
            every: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            for name, wanted in (("CPU", self.options.cpus), ("memory", self.options.memory_bytes)):
                if free.get(name, 0.0) < wanted:
                    has = f"{free.get(name, 0.0):g} of {every.get(name, 0.0):g} free"
                    waits |= dict.fromkeys(new, f"it waits for room in Ray ({name} {wanted:g}; {has})")
        self.pipe.send(("waits", waits))

    # -- actors ----------------------------------------------------------------------------------------

    def _actor(self, shard: int) -> Any:
        """Return a shard's actor: the one that is there by its name, or a new one."""
        import ray

        if shard in self.actors:
            return self.actors[shard]
        if not self.actors:
            self._retire()
        place = Place(number=shard, of=self.options.shards)
        there = place.name in ray.util.list_named_actors()
        actor = self._made(place)
        if there and self._is_old(actor):
            _LOG.warning("shard_of_another_version", extra={"shard": shard})
            self._end(actor)
            actor = self._made(place)
        self.actors[shard] = actor
        return actor

    def _made(self, place: Place) -> Any:
        import ray

        room: Mapping[str, float] = {"memory": self.options.memory_bytes} if self.options.memory_bytes else {}
        kind = ray.remote(ShardActor).options(
            name=place.name,
            get_if_exists=True,
            lifetime="detached",
            scheduling_strategy="SPREAD",
            num_cpus=self.options.cpus,
            max_restarts=-1,
            **room,
        )
        return kind.remote(place, self.means)

    def _is_old(self, actor: Any) -> bool:
        """Return whether an actor that is there runs another version of the program; one that is silent is not."""
        import ray

        try:
            return bool(ray.get(actor.code.remote(), timeout=_CODE_WITHIN_S) != self.means.code)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayError):
            return False

    def _retire(self) -> None:
        """End shards of another number of shards, once they have kept what they know."""
        import ray

        for name in ray.util.list_named_actors():
            match = _ACTOR.fullmatch(name)
            if match is not None and int(match[1]) != self.options.shards:
                self._end(ray.get_actor(name))

    def _end(self, actor: Any) -> None:
        import ray

        try:
            ray.get(actor.keep.remote(None), timeout=_KEEP_WITHIN_S)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayError) as err:
            _LOG.warning("shard_not_kept", extra={"reason": _short(err)})
        ray.kill(actor, no_restart=True)

    def _renew(self, shard: int) -> None:
        """Kill a shard's process; Ray makes it anew."""
        import ray

        actor = self.actors.pop(shard, None)
        self.answered.discard(shard)
        if actor is not None:
            ray.kill(actor, no_restart=False)
