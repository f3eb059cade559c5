"""Beginning the process that speaks to Ray, and waiting for its connection no longer than is said."""

from __future__ import annotations

import importlib.util
import multiprocessing
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias, assert_never

from aiops.engine.clerk import RayOptions, Trouble
from aiops.errors import CannotReach, ConfigurationError, FatalError

Hire: TypeAlias = Callable[[], tuple[BaseProcess, Connection]]

_PROBE_S, _END_S, _KILL_S = 3.0, 5.0, 0.5


def hired(options: RayOptions, serve: Callable[..., None], *given: Any) -> tuple[BaseProcess, Connection]:
    """Begin a process that runs `serve(pipe, options, *given)`, and return it once it says that it is connected.

    Raises ConfigurationError without Ray, for an address that is none and for another version than the cluster's;
    CannotReach when nothing answers in time.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigurationError("engine: ray is not installed (pip install 'aiops[ray]', or engine: local)")
    probe(options)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, options, *given), name="aiops-ray", daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(options.connect_within_s):
            raise CannotReach(said(options, f"no connection within {options.connect_within_s:g} s"))
        trouble = ours.recv()
        if trouble is not None:
            raise _fatal(options, *trouble)
    except (EOFError, OSError) as err:
        ended(process, at_once=True)
        raise CannotReach(said(options, "the process that connects to it has ended")) from err
    except FatalError:
        ended(process, at_once=True)
        raise
    return process, ours


def probe(options: RayOptions) -> None:
    """Raise CannotReach at once where nothing listens: Ray itself would try for two minutes."""
    host, _, port = options.address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        if options.address in ("local", "auto"):
            return
        known = "HOST:PORT, ray://HOST:PORT, auto, local"
        raise ConfigurationError(f"engine.address: {options.address!r} is no address ({known})")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S).close()
    except OSError as err:
        raise CannotReach(said(options, f"nothing listens there ({err.strerror or err})")) from err


def said(options: RayOptions, what: str) -> str:
    """Return what is to be said of the Ray that was meant."""
    return f"engine.address: Ray at {options.address}: {what}"


def ended(process: BaseProcess | None, *, at_once: bool = False) -> None:
    """See to it that a process is gone; it may take its time to let go, unless it is to end at once."""
    if process is None:
        return
    if not at_once:
        process.join(_END_S)
    if process.is_alive():
        process.terminate()
        process.join(_KILL_S if at_once else _END_S)
    if process.is_alive():
        process.kill()
        process.join(_END_S)


def _fatal(options: RayOptions, trouble: Trouble, why: str) -> FatalError:
    match trouble:
        case Trouble.MISSING:
            return ConfigurationError(f"engine: ray is not installed (pip install 'aiops[ray]'): {why}")
        case Trouble.VERSION:
            return ConfigurationError(said(options, f"it runs another version than this process: {why}"))
        case Trouble.REFUSED:
            return ConfigurationError(said(options, f"it refuses us (RAY_AUTH_MODE, RAY_AUTH_TOKEN): {why}"))
        case Trouble.UNREACHABLE:
            return CannotReach(said(options, why))
        case unknown:
            assert_never(unknown)
