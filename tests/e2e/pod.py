"""A pod as a process: the args, environment, files, user and rights that its object gives it, and nothing else.

What a kubelet and a container runtime do is done here with a mount namespace: the volumes are laid as the kubelet lays
them, the image's root holds the program and is read-only, the process is the pod's user without capabilities. Its
network is the machine's. The image is taken from the Dockerfile as far as a process sees it (ENV, ENTRYPOINT, USER).
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.cluster import ControlPlane
from tests.e2e.processes import Process

ROOT = Path(__file__).parents[2]
ETC = ("group", "hosts", "ld.so.cache", "ld.so.conf", "localtime", "nsswitch.conf", "resolv.conf", "ssl", "timezone")
"""What an image of Debian has in /etc and a process of Python reads."""

SOURCE = "/opt/aiops/src"
"""Where a pod has the checkout, wherever that lies: a pod's own mounts are over /tmp and /var."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a Dockerfile says of the process. user: by number."""

    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: int
    workdir: str

    @classmethod
    def of(cls, dockerfile: Path) -> Image:
        """Read the last stage of a Dockerfile."""
        text = re.sub(r"\\\n", " ", dockerfile.read_text(encoding="utf-8")).rpartition("\nFROM ")[2]
        env: dict[str, str] = {}
        words: dict[str, tuple[str, ...]] = {"ENTRYPOINT": (), "CMD": ()}
        user, workdir = 0, "/"
        for line in text.splitlines():
            name, _, rest = line.strip().partition(" ")
            if name == "ENV":
                env.update(one.split("=", 1) for one in shlex.split(rest))
            elif name in words:
                words[name] = tuple(re.findall(r'"([^"]*)"', rest))
            elif name == "USER":
                user = int(rest.partition(":")[0])
            elif name == "WORKDIR":
                workdir = rest.strip()
        return cls(env, words["ENTRYPOINT"], words["CMD"], user, workdir)


@dataclass(slots=True)
class Node:
    """Where pods run. claims: the folders of volumes that outlive pods, by namespace and claim."""

    plane: ControlPlane
    folder: Path
    claims: dict[tuple[str, str], Path] = field(default_factory=dict)
    started: int = 0

    def run(self, pod: Mapping[str, Any]) -> PodProcess:
        """Start the one container of a pod that the API server has admitted."""
        self.started += 1
        folder = self.folder / f"pod-{self.started}"
        folder.mkdir(parents=True)
        return _Laid(self, pod, folder).start()


@dataclass(slots=True)
class PodProcess:
    """A pod's container that runs. data: where the files of its volumes lie, by the volume's name."""

    process: Process
    pod: Mapping[str, Any]
    volumes: Mapping[str, Path]

    @property
    def container(self) -> Mapping[str, Any]:
        """Return its one container."""
        return dict(self.pod["spec"]["containers"][0])

    def port(self, name: str) -> int:
        """Return the port of a name."""
        return next(int(one["containerPort"]) for one in self.container["ports"] if one["name"] == name)


class _Laid:
    """A pod on a node, before it starts."""

    def __init__(self, node: Node, pod: Mapping[str, Any], folder: Path) -> None:
        self.node, self.pod, self.folder = node, pod, folder
        self.namespace = str(pod["metadata"]["namespace"])
        self.image = Image.of(ROOT / "Dockerfile")
        self.volumes = {str(one["name"]): self._volume(one) for one in pod["spec"].get("volumes", ())}

    # -- volumes -----------------------------------------------------------------------------------------

    def _volume(self, volume: Mapping[str, Any]) -> Path:
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            key = (self.namespace, str(claim["claimName"]))
            made = self.node.claims.setdefault(key, self.node.folder / "-".join(key))
        else:
            made = self.folder / "volumes" / str(volume["name"])
        made.mkdir(parents=True, exist_ok=True)
        group = self.pod["spec"].get("securityContext", {}).get("fsGroup")
        if claim is not None or "emptyDir" in volume:
            made.chmod(0o2775)
            if group is not None:
                os.chown(made, -1, int(group))
            return made
        self._lay(made, self._files(volume))
        return made

    def _files(self, source: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the files of a configMap, a secret, a projection of several, or a token."""
        if "projected" in source:
            return {name: text for one in source["projected"]["sources"] for name, text in self._files(one).items()}
        if "serviceAccountToken" in source:
            account = str(self.pod["spec"]["serviceAccountName"])
            seconds = int(source["serviceAccountToken"].get("expirationSeconds", 3607))
            return {
                source["serviceAccountToken"]["path"]: self.node.plane.token(self.namespace, account, seconds).encode()
            }
        if "downwardAPI" in source:
            return {str(one["path"]): self.namespace.encode() for one in source["downwardAPI"]["items"]}
        if "configMap" in source:
            asked, plural, name = source["configMap"], "configmaps", str(source["configMap"]["name"])
        else:
            asked, plural = source["secret"], "secrets"
            name = str(asked.get("secretName") or asked["name"])
        found = self.node.plane.api("GET", f"/api/v1/namespaces/{self.namespace}/{plural}/{name}")
        data = {key: text.encode() for key, text in (found.get("data") or {}).items()}
        if plural == "secrets":
            data = {key: base64.b64decode(text) for key, text in data.items()}
        items = asked.get("items")
        return data if items is None else {str(one["path"]): data[one["key"]] for one in items}

    @staticmethod
    def _lay(folder: Path, files: Mapping[str, bytes]) -> None:
        """Lay files as the kubelet does: by a link to a folder of this version, so that they change at once."""
        version = folder / "..2026_11_26"
        version.mkdir()
        (folder / "..data").symlink_to(version.name)
        for name, text in files.items():
            (version / name).write_bytes(text)
            (version / name).chmod(0o644)
            (folder / name).symlink_to(f"..data/{name}")

    # -- the process -------------------------------------------------------------------------------------

    def start(self) -> PodProcess:
        container = self.pod["spec"]["containers"][0]
        command = [*(container.get("command") or self.image.entrypoint), *(container.get("args") or self.image.command)]
        script = self.folder / "start.sh"
        script.write_text(self._script(container, command))
        process = Process(
            ["unshare", "--mount", "--propagation", "private", "sh", "-eu", str(script)], log=self.folder / "log"
        )
        return PodProcess(process, self.pod, self.volumes)

    def _script(self, container: Mapping[str, Any], command: list[str]) -> str:
        root = self.folder / "root"
        lines = self._rootfs(root)
        for mount in container.get("volumeMounts", ()):
            source = self.volumes[mount["name"]]
            if mount.get("subPath"):
                source = (source / mount["subPath"]).resolve()
            target = f"{root}{mount['mountPath']}"
            made = f"mkdir -p {target}" if source.is_dir() else f"mkdir -p $(dirname {target}) && touch {target}"
            lines += [made, f"mount --bind {source} {target}"]
            if mount.get("readOnly"):
                lines.append(f"mount -o remount,bind,ro {target}")
        security = {**self.pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        if security.get("readOnlyRootFilesystem"):
            lines.append(f"mount -o remount,ro {root}")
        user = int(security.get("runAsUser", self.image.user))
        rights = ["setpriv", f"--reuid={user}", f"--regid={security.get('runAsGroup', user)}"]
        rights += [f"--groups={security['fsGroup']}" if "fsGroup" in security else "--clear-groups"]
        rights += ["--no-new-privs"] if security.get("allowPrivilegeEscalation") is False else []
        rights += ["--bounding-set=-all", "--inh-caps=-all"] if "ALL" in security["capabilities"]["drop"] else []
        env = [f"{name}={value}" for name, value in self._environment(container).items()]
        inside = ["env", "-i", f"--chdir={self.image.workdir}", *env, *command]
        lines.append(shlex.join(["exec", "chroot", str(root), *rights, *inside]))
        return "\n".join(lines) + "\n"

    def _rootfs(self, root: Path) -> list[str]:
        """Return what makes the root of the image: a Debian, Python, and the program, none of it to be written."""
        lines = [f"mkdir -p {root}", f"mount -t tmpfs -o mode=755 none {root}"]
        lines += [f"mkdir -p {root}/{name}" for name in ("etc", "opt/aiops/bin", "proc", "dev", "var", "tmp", "run")]
        lines.append(f"mkdir -p {root}{self.image.workdir}")
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path(f"/{name}").exists():
                lines.append(f"cp -a /{name} {root}/" if Path(f"/{name}").is_symlink() else _bound(f"/{name}", root))
        lines += [_bound(one, root) for one in dict.fromkeys(("/usr", sys.base_prefix))]
        lines.append(_bound(str(ROOT), root, SOURCE))
        lines += [f"mount --bind /{name} {root}/{name}" for name in ("proc", "dev")]
        lines += [f"cp -aL /etc/{name} {root}/etc/" for name in ETC if Path(f"/etc/{name}").exists()]
        user = self.image.user
        lines.append(f"echo aiops:x:{user}:{user}::{self.image.workdir}:/usr/sbin/nologin > {root}/etc/passwd")
        lines.append(f"ln -s ../run {root}/var/run")
        own = shutil.which("python", path=str(ROOT / ".venv" / "bin"))
        python = sys.executable if own is None else f"{SOURCE}/.venv/bin/python"
        program, entry = f"#!{python}\\nfrom aiops.app.cli import main\\nmain()\\n", f"{root}/opt/aiops/bin/aiops"
        return [*lines, f"printf {shlex.quote(program)} > {entry}", f"chmod 755 {entry}"]

    def _environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        host, _, port = self.node.plane.url.removeprefix("https://").partition(":")
        made = {
            **self.image.env,
            "PATH": f"{self.image.env['PATH'].replace('$PATH', '')}:/usr/bin:/bin",
            "HOME": self.image.workdir,
            "PYTHONPATH": SOURCE,
            "HOSTNAME": str(self.pod["metadata"]["name"]),
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
        }
        for one in container.get("env", ()):
            made[one["name"]] = one["value"] if "value" in one else self._referred(one["valueFrom"])
        return made

    def _referred(self, source: Mapping[str, Any]) -> str:
        ref = source["secretKeyRef"]
        found = self.node.plane.api("GET", f"/api/v1/namespaces/{self.namespace}/secrets/{ref['name']}")
        return base64.b64decode(found["data"][ref["key"]]).decode()


def _bound(path: str, root: Path, shown: str = "") -> str:
    at = f"{root}{shown or path}"
    return f"mkdir -p {at} && mount --bind {path} {at} && mount -o remount,bind,ro {at}"
