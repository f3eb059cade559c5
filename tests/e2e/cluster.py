"""A real control plane on loopback: etcd, kube-apiserver, controller manager, scheduler, and KWOK's fake nodes.

TLS and RBAC are on, every write is audited. `python -m tests.e2e.cluster` runs one in the foreground, to look at.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import components
from tests.e2e.audit import AUDIT_POLICY
from tests.e2e.binaries import ready as binaries_ready
from tests.e2e.components import Timings
from tests.e2e.pki import Authority, Pair
from tests.integration.prometheus_server import free_port

HERE = Path(__file__).parent
START_S = 60.0
ADMIN = "e2e-admin"


@dataclass(slots=True)
class _Component:
    """One process of the control plane, and how to begin it again."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None


@dataclass(slots=True, kw_only=True)
class ControlPlane:
    """A control plane. `started_s`: seconds until each component was up, for the record. bare: the API server alone."""

    folder: Path
    nodes: int = 3
    timings: Timings = field(default_factory=Timings)
    name: str = "e2e"
    extra_apiserver: Sequence[str] = ()
    bare: bool = False
    started_s: dict[str, float] = field(default_factory=dict)
    authority: Authority = field(init=False)
    url: str = field(init=False, default="")
    _parts: dict[str, _Component] = field(init=False, default_factory=dict)
    _binaries: Mapping[str, Path] = field(init=False, default_factory=dict)
    _users: dict[str, Pair] = field(init=False, default_factory=dict)
    _admin: ssl.SSLContext = field(init=False)

    # -- life ------------------------------------------------------------------------------------------

    def start(self) -> ControlPlane:
        """Start everything, and return when the nodes are Ready."""
        begun = time.monotonic()
        self._binaries = binaries_ready(lambda line: print(line, file=sys.stderr, flush=True))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(self.folder / "pki", self.name)
        self._commands()
        try:
            self._boot(begun)
        except BaseException:
            self.stop()
            raise
        return self

    def _boot(self, begun: float) -> None:
        def mark(name: str) -> None:
            self.started_s[name] = round(time.monotonic() - begun, 2)

        self.up("etcd")
        self.up("kube-apiserver")
        self.wait_for_api()
        mark("kube-apiserver")
        if self.bare:
            return
        for name in ("kube-controller-manager", "kube-scheduler", "kwok"):
            self.up(name)
        for number in range(self.nodes):
            self.apply(fake_node(f"node-{number}", zone=f"zone-{'abc'[number % 3]}"))
        self.eventually(lambda: self.ready_nodes() == self.nodes, "the nodes to be Ready")
        self.eventually(lambda: self.find("/api/v1/namespaces/default/serviceaccounts/default"), "service accounts")
        mark("nodes")

    def stop(self) -> None:
        """Kill every process, the last one first: nobody reads what they would write, and asked each needs 10 s."""
        for name in reversed(list(self._parts)):
            self.down(name)

    def up(self, name: str) -> None:
        """Start a component, or start it again."""
        part = self._parts[name]
        assert part.process is None or part.process.poll() is not None, f"{name} runs already"
        with part.log.open("ab") as log:
            part.process = subprocess.Popen(part.command, stdout=log, stderr=log, start_new_session=True)

    def down(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a component."""
        process = self._parts[name].process
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def rss_bytes(self) -> dict[str, int]:
        """Return the resident memory of each component."""
        page, sizes = os.sysconf("SC_PAGE_SIZE"), {}
        for name, part in self._parts.items():
            if part.process is not None and part.process.poll() is None:
                sizes[name] = int(Path(f"/proc/{part.process.pid}/statm").read_text().split()[1]) * page
        return sizes

    # -- what clients need -----------------------------------------------------------------------------

    @property
    def ca(self) -> Path:
        """Return the certificate of the authority."""
        return self.authority.pair.cert

    @property
    def audit_log(self) -> Path:
        """Return the file of the audit log."""
        return self.folder / "audit.log"

    def binary(self, name: str) -> Path:
        """Return the path of a command."""
        return self._binaries[name]

    def user(self, name: str, groups: tuple[str, ...] = ()) -> Pair:
        """Return the client certificate of a user."""
        if name not in self._users:
            self._users[name] = self.authority.issue(name, groups=groups)
        return self._users[name]

    def kubeconfig(self, user: str = ADMIN, *, token: str = "", server: str = "", ca: Path | None = None) -> Path:
        """Return a kubeconfig file: of a user with a certificate, or of whoever the token stands for."""
        if token:
            said: dict[str, Any] = {"token": token}
        else:
            pair = self.user(user, ("system:masters",) if user == ADMIN else ())
            said = {"client-certificate": str(pair.cert), "client-key": str(pair.key)}
        made = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": self.name,
                    "cluster": {"server": server or self.url, "certificate-authority": str(ca or self.ca)},
                }
            ],
            "users": [{"name": user, "user": said}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": user}}],
            "current-context": self.name,
        }
        folder = self.folder / "kubeconfigs"
        folder.mkdir(exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix=f"{user.replace(':', '-')}-", suffix=".yaml", dir=folder)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file)
        return Path(path)

    def token(self, namespace: str, account: str, seconds: int = 3600) -> str:
        """Return a token of a ServiceAccount."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        return str(self.api("POST", path, body)["status"]["token"])

    # -- the API, as the administrator -----------------------------------------------------------------

    def api(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> dict[str, Any]:
        """Return the answer of the API server; raise urllib's HTTPError for anything but success."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": "e2e-test"}
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=20, context=self._admin) as answer:
            return dict(json.loads(answer.read() or b"{}"))

    def find(self, path: str) -> dict[str, Any] | None:
        """Return an object, or None while there is none."""
        try:
            return self.api("GET", path)
        except urllib.error.HTTPError as err:
            with err:
                if err.code == 404:
                    return None
            raise

    def patch(self, path: str, body: Mapping[str, Any], *, manager: str = "e2e") -> dict[str, Any]:
        """Send a merge patch as the field manager that is named."""
        return self.api("PATCH", f"{path}?fieldManager={manager}", body, "application/merge-patch+json")

    def apply(self, *objects: Mapping[str, Any], manager: str = "e2e") -> None:
        """Apply objects on the server's side; a status in an object goes to the status subresource."""
        for one in objects:
            path = self.path_of(one)
            query = f"?fieldManager={manager}&force=true"
            self.api("PATCH", f"{path}{query}", one, "application/apply-patch+yaml")

    def delete(self, path: str, *, wait: bool = True) -> None:
        """Delete an object, and wait until it is gone."""
        try:
            self.api("DELETE", path)
        except urllib.error.HTTPError as err:
            with err:
                if err.code != 404:
                    raise
        if wait:
            self.eventually(lambda: self.find(path) is None, f"{path} to be gone")

    def path_of(self, item: Mapping[str, Any]) -> str:
        """Return the path of an object, by discovery."""
        version, kind, metadata = str(item["apiVersion"]), item["kind"], item["metadata"]
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        known = {one["kind"]: one for one in self.api("GET", prefix)["resources"] if "/" not in one["name"]}
        resource = known[kind]
        namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if resource["namespaced"] else ""
        return f"{prefix}{namespace}/{resource['name']}/{metadata['name']}"

    def kubectl(self, *words: str, kubeconfig: Path | None = None, stdin: str = "") -> str:
        """Run kubectl as the administrator, and return what it prints."""
        config = str(kubeconfig or self.kubeconfig())
        command = [str(self.binary("kubectl")), "--kubeconfig", config, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        return done.stdout

    def ready_nodes(self) -> int:
        """Return how many nodes are Ready."""
        items = self.api("GET", "/api/v1/nodes")["items"]
        return sum(1 for one in items if _condition(one, "Ready") == "True")

    def wait_for_api(self, within_s: float = START_S) -> None:
        """Wait until the API server says that it is ready."""

        def answers() -> bool:
            process = self._parts["kube-apiserver"].process
            assert process is not None
            assert process.poll() is None, f"kube-apiserver ended: {self._tail('kube-apiserver')}"
            try:
                request = urllib.request.Request(f"{self.url}/readyz")
                with urllib.request.urlopen(request, timeout=2, context=self._admin) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                return False

        self.eventually(answers, "the API server", within_s)

    def eventually(self, look: Callable[[], Any], what: str, within_s: float = START_S) -> Any:
        """Return what `look` finds, once it finds something; fail with the logs' ends."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        ends = "\n".join(f"-- {name}: {self._tail(name)}" for name in self._parts)
        raise AssertionError(f"waited {within_s:.0f} s for {what}\n{ends}")

    def _tail(self, name: str, lines: int = 5) -> str:
        log = self._parts[name].log
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    # -- commands --------------------------------------------------------------------------------------

    def _commands(self) -> None:
        peer, client, secure = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{secure}"
        admin = self.user(ADMIN, ("system:masters",))
        self._admin = ssl.create_default_context(cafile=str(self.ca))
        self._admin.load_cert_chain(admin.cert, admin.key)
        store = self.authority.issue("etcd")
        audit = components.Audit(policy=self.folder / "audit-policy.yaml", log=self.audit_log)
        audit.policy.write_text(AUDIT_POLICY)
        configs = {name: self._config_of(f"system:{name}") for name in ("kube-controller-manager", "kube-scheduler")}
        self._add("etcd", components.etcd(self.folder / "etcd", store, self.ca, (client, peer)))
        self._add("kube-apiserver", components.apiserver(self.authority, store, (client, secure), audit))
        self._add(
            "kube-controller-manager",
            components.controllers(configs["kube-controller-manager"], self.authority, self.timings),
        )
        self._add("kube-scheduler", components.scheduler(configs["kube-scheduler"]))
        self._add("kwok", components.kwok(self.kubeconfig(), HERE / "stages.yaml"))

    def _add(self, name: str, flags: Mapping[str, object]) -> None:
        command = [str(self._binaries[name]), *(f"--{key}={value}" for key, value in flags.items())]
        if name == "kube-apiserver":
            command += self.extra_apiserver
        self._parts[name] = _Component(name, command, self.folder / f"{name}.log")

    def _config_of(self, user: str) -> Path:
        self.user(user)
        return self.kubeconfig(user)


def fake_node(name: str, zone: str) -> dict[str, Any]:
    """Return a node that KWOK keeps alive."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
    }
    metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def _condition(item: Mapping[str, Any], kind: str) -> str:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return next((str(one["status"]) for one in conditions if one["type"] == kind), "")


def main() -> None:
    """Run a control plane until it is interrupted."""
    with tempfile.TemporaryDirectory(prefix="aiops-e2e-") as folder:
        plane = ControlPlane(folder=Path(folder)).start()
        try:
            print(yaml.safe_dump({"kubeconfig": str(plane.kubeconfig()), "started_s": plane.started_s}))
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            plane.stop()


if __name__ == "__main__":
    main()
