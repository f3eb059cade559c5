"""The store: does it open, is its schema ours, is there room, can the audit chain be read. Nothing is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from aiops.app.doctor.findings import Area, Check, Finding, fail, failed, ok, warn
from aiops.app.doctor.scene import Scene
from aiops.errors import CannotReach, ConfigurationError, StoreUnavailable


def checks(scene: Scene) -> list[Check]:
    """Return the checks of the store, and of the folders that are written to."""
    return [
        Check(area=Area.STORE, name="store", look=lambda: _store(scene)),
        Check(area=Area.STORE, name="store: disk", look=lambda: _disk(scene)),
        Check(area=Area.STORE, name="models", look=lambda: _models(scene)),
    ]


def _store(scene: Scene) -> Iterator[Finding]:
    from aiops.adapters.store import shown
    from aiops.adapters.store.peek import peeked

    url = scene.settings.store.url
    if scene.settings.simulation is not None:
        yield ok("store", f"{shown(url)} begins anew with the simulated world")
        return
    try:
        found = peeked(url)
    except (CannotReach, ConfigurationError, StoreUnavailable) as err:
        yield failed("store", err, "look at store.url, its server and its password; a damaged file: docs/operations.md")
        return
    if found is None or found.revision is None:
        yield ok("store", f"{shown(url)} is new: the daemon makes it")
        return
    if found.revision > found.known:
        fix = "run the newer program, or restore a backup of before (`aiops store restore`)"
        yield fail("store", f"schema {found.revision} is newer than this program, which knows {found.known}", fix)
        return
    if found.revision != found.known:
        fix = "take a backup first: aiops store backup FILE"
        what = f"schema {found.revision} will be brought to {found.known} when the daemon starts"
        yield warn("store", what, fix)
        return
    yield ok("store", f"{shown(url)} opens, schema {found.revision}")
    if found.head is not None:
        records = f"{found.head.seq} records" if found.head.seq else "no record yet"
        yield ok("store: audit chain", f"its end can be read: {records} (`aiops audit verify` checks them all)")


def _disk(scene: Scene) -> Iterator[Finding]:
    from aiops.adapters.store.database import file_of

    settings = scene.settings.store
    file = file_of(settings.url)
    if file is None:
        yield ok("store: disk", f"kept by a server; at most {_size(settings.max_bytes)} are used (store.max_bytes)")
        return
    folder = existing(file.absolute().parent)
    if not os.access(folder, os.W_OK | os.X_OK) or (file.exists() and not os.access(file, os.W_OK)):
        yield fail("store: disk", f"{file} may not be written by us", f"let the daemon's user write in {folder}")
        return
    used = file.stat().st_size if file.exists() else 0
    free, wanted = shutil.disk_usage(folder).free, max(0.0, settings.max_bytes - used)
    what = f"{_size(free)} are free in {folder}; the store takes {_size(used)} of {_size(settings.max_bytes)}"
    if free < 0.05 * settings.max_bytes:
        yield fail("store: disk", what, "make room: without it nothing can be journalled, and nothing is changed")
    elif free < wanted:
        yield warn("store: disk", what, "make room, or lower store.max_bytes or store.max_age")
    else:
        yield ok("store: disk", what)


def _models(scene: Scene) -> Iterator[Finding]:
    path = scene.settings.models.checkpoint
    folder = existing(path.absolute().parent)
    if scene.settings.simulation is not None:
        yield ok("models", "a simulated world's models are not kept")
    elif not os.access(folder, os.W_OK | os.X_OK):
        fix = "set models.checkpoint to a folder that the daemon may write, or mount a volume there"
        yield fail("models", f"{path} may not be written: what is learnt is lost at each restart", fix)
    else:
        yield ok("models", f"what is learnt is kept in {path}{'' if path.exists() else ' (not there yet)'}")


def existing(folder: Path) -> Path:
    """Return the nearest folder that is there."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _size(size: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"
