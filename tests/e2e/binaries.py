"""The commands of a real control plane: given, on PATH, or built once from Kubernetes' own modules and cached.

`python -m tests.e2e.binaries` makes them ready and prints where they are; `--can-build` only looks whether it could,
`--helm` makes Helm ready alone, and prints its path.
Exit code 4 says that they are not there and cannot be built.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "controlplane"
GO_LEAST = (1, 26)
"""The Go that Kubernetes 1.36 and KWOK 0.8 are written for; 1.27 breaks /openapi/v2 of Kubernetes 1.36."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A command, and the package that it is built from ('' when Debian's package brings it)."""

    name: str
    package: str = ""
    module: Path = MODULES


TOOLS = (
    Tool("etcd"),
    Tool("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Tool("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Tool("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Tool("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", MODULES / "kwok"),
)


HELM = Tool("helm", "helm.sh/helm/v3/cmd/helm", MODULES / "helm")
"""Beside the control plane: its version is its own, and only the tests of the chart need it."""


class Missing(Exception):
    """A command is not there and cannot be built here; the message says what would help."""


def find() -> tuple[dict[str, Path], tuple[Tool, ...]]:
    """Return the commands that are there, and those that are not."""
    assets, cache = os.environ.get("KUBEBUILDER_ASSETS"), cache_folder()
    found: dict[str, Path] = {}
    for tool in TOOLS:
        places = [Path(assets) / tool.name] if assets else []
        on_path = shutil.which(tool.name)
        # a kubectl on PATH may be of any age, so the one that is built with the server comes first
        rest = [cache / tool.name, *([Path(on_path)] if on_path else [])]
        places += rest if tool.name == "kubectl" else reversed(rest)
        there = next((one for one in places if os.access(one, os.X_OK)), None)
        if there is not None:
            found[tool.name] = there
    return found, tuple(tool for tool in TOOLS if tool.name not in found)


def ready(say: Callable[[str], object]) -> dict[str, Path]:
    """Return every command, built when it is missing; raise Missing when that cannot be done."""
    found, missing = find()
    if not missing:
        return found
    if any(not tool.package for tool in missing):
        raise Missing("etcd is missing: `make e2e` installs Debian's etcd-server when it is root")
    go = _go()
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once: the second finds what the first has built
        _, missing = find()
        for number, tool in enumerate(missing, 1):
            if tool.package:
                say(f"building {tool.name} ({number} of {len(missing)}; all of them take 10 to 20 minutes, once) ...")
                started = time.monotonic()
                _build(go, tool, folder)
                say(f"built {tool.name} in {time.monotonic() - started:.0f} s")
    return find()[0]


def helm(say: Callable[[str], object] = lambda _: None) -> Path:
    """Return Helm, built when it is not there (minutes, once); raise Missing when that cannot be done."""
    folder = _cache_of(HELM.module)
    made = folder / HELM.name
    if os.access(made, os.X_OK):
        return made
    go = _go()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(made, os.X_OK):
            say("building helm (two minutes, once) ...")
            _go_build(go, HELM, folder, _helm_stamps())
    return made


def cache_folder() -> Path:
    """Return where the commands of these go.mod files are kept, outside of the repository."""
    return _cache_of(MODULES, MODULES / "kwok")


def _cache_of(*modules: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256()
    for module in modules:
        for name in ("go.mod", "go.sum"):
            digest.update((module / name).read_bytes())
    return base / "aiops-controlplane" / digest.hexdigest()[:16]


def _go() -> str:
    go = shutil.which("go")
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True).stdout if go else ""
    match = re.match(r"go(\d+)\.(\d+)", said)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if go is None or version < GO_LEAST:
        have = f"this machine has {said.strip()}" if said else "this machine has no Go"
        wanted = ".".join(map(str, GO_LEAST))
        raise Missing(
            f"no control plane: set KUBEBUILDER_ASSETS to a folder with {', '.join(t.name for t in TOOLS)}, "
            f"or install Go {wanted} to build them ({have})"
        )
    return go


def _build(go: str, tool: Tool, folder: Path) -> None:
    version = _kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".", 2)
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    _go_build(go, tool, folder, {f"{one}.{name}": value for one in packages for name, value in stamps.items()})


def _helm_stamps() -> dict[str, str]:
    """Return what Helm's own build stamps: its version, and the Kubernetes that it knows, by the client in it."""
    text = (HELM.module / "go.mod").read_text(encoding="utf-8")
    helm, client = re.search(r"helm\.sh/helm/v3 (v\S+)", text), re.search(r"k8s\.io/client-go v0\.(\d+)", text)
    assert helm is not None, "go.mod names no Helm"
    assert client is not None, "go.mod names no client of Kubernetes"
    package = "helm.sh/helm/v3"
    known = {f"{package}/pkg/{one}.k8sVersion": client[1] for one in ("lint/rules", "chartutil")}
    majors = {f"{name}Major": "1" for name in known}
    minors = {f"{name}Minor": minor for name, minor in known.items()}
    return {f"{package}/internal/version.version": helm[1], **majors, **minors}


def _go_build(go: str, tool: Tool, folder: Path, stamps: Mapping[str, str]) -> None:
    flags = " ".join(f"-X {name}={value}" for name, value in stamps.items())
    made = folder / f"{tool.name}.part"
    command = [go, "build", "-p", str(os.cpu_count() or 2), "-trimpath", "-ldflags", f"-s -w {flags}"]
    run = subprocess.run(
        [*command, "-o", str(made), tool.package],
        cwd=tool.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"},
        stderr=subprocess.PIPE,
        text=True,
    )
    if run.returncode:
        raise Missing(f"{tool.name} cannot be built: {run.stderr.strip()[-2000:]}")
    made.rename(folder / tool.name)


def _kubernetes_version() -> str:
    match = re.search(r"k8s\.io/kubernetes (v\S+)", (MODULES / "go.mod").read_text(encoding="utf-8"))
    assert match is not None, "go.mod names no k8s.io/kubernetes"
    return match[1]


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    try:
        if "--helm" in arguments:
            print(helm(_told))
            return 0
        if "--can-build" in arguments:
            found, missing = find()
            if any(tool.package for tool in missing):
                _go()
        else:
            found = ready(_told)
            found["helm"] = helm(_told)
    except Missing as err:
        print(f"e2e: {err}", file=sys.stderr)
        return 4
    for name, path in found.items():
        print(f"{name}\t{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
