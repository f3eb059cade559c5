"""KEDA's own client of external scalers, built from KEDA's module: nothing of it is copied here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.e2e.binaries import MODULES, Missing, cache_folder
from tests.e2e.pki import Pair
from tests.e2e.processes import Process

MODULE = MODULES / "keda"
BUILD_S = 300


@cache
def binary() -> Path:
    """Return the client, built when it is not there (seconds); raise Missing when it cannot be."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((MODULE / name).read_bytes())
    made = cache_folder() / f"keda-client-{digest.hexdigest()[:16]}"
    if os.access(made, os.X_OK):
        return made
    go = shutil.which("go")
    if go is None:
        raise Missing("no Go to build KEDA's client with")
    made.parent.mkdir(parents=True, exist_ok=True)
    part = made.with_name(f"{made.name}.{os.getpid()}.part")
    done = subprocess.run(
        [go, "build", "-trimpath", "-o", str(part), "."],
        cwd=MODULE,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    if done.returncode:
        raise Missing(f"KEDA's client cannot be built: {done.stderr.strip()[-1000:]}")
    part.rename(made)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaClient:
    """Asks a scaler as KEDA's operator does for one ScaledObject. ca: None is without TLS."""

    address: str
    namespace: str
    metadata: Mapping[str, str]
    ca: Path | None = None
    pair: Pair | None = None

    def command(self, call: str, **changes: str) -> list[str]:
        """Return the command line of a call; changes: of the trigger's metadata."""
        files = [] if self.ca is None else ["-ca", str(self.ca)]
        if self.pair is not None:
            files += ["-cert", str(self.pair.cert), "-key", str(self.pair.key)]
        given = [f"{key}={value}" for key, value in {**self.metadata, **changes}.items()]
        about = ["-address", self.address, "-namespace", self.namespace, "-name", "checkout"]
        return [str(binary()), "-call", call, *about, *files, *given]

    def ask(self, call: str, **changes: str) -> list[dict[str, Any]]:
        """Return the lines that a call answers."""
        done = subprocess.run(self.command(call, **changes), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return [dict(json.loads(line)) for line in done.stdout.splitlines()]

    def stream(self, log: Path, **changes: str) -> Process:
        """Start to listen to `StreamIsActive`; each message is a line in the log."""
        return Process(self.command("stream", **changes), log=log)
