"""The flags of each component of a control plane, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.e2e.pki import Authority, Pair
from tests.integration.prometheus_server import free_port

TOKENS = "service-accounts"


@dataclass(slots=True, kw_only=True)
class Timings:
    """Flags that real clusters have longer; the defaults are shortened so that a test takes seconds.

    node_grace_s: silence after which a node counts as unreachable. hpa_sync_s: period of the HPA controller.
    """

    node_grace_s: int = 8
    hpa_sync_s: int = 2
    hpa_downscale_s: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What is audited, and where it is written."""

    policy: Path
    log: Path


def etcd(folder: Path, pair: Pair, ca: Path, ports: tuple[int, int]) -> dict[str, object]:
    """Return the flags of etcd. ports: for clients and for peers."""
    client, peer = (f"https://127.0.0.1:{port}" for port in ports)
    return {
        "name": "e2e",
        "data-dir": folder,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"e2e={peer}",
        "cert-file": pair.cert,
        "key-file": pair.key,
        "client-cert-auth": "true",
        "trusted-ca-file": ca,
        "peer-cert-file": pair.cert,
        "peer-key-file": pair.key,
        "peer-trusted-ca-file": ca,
        "unsafe-no-fsync": "true",
    }


def apiserver(authority: Authority, store: Pair, ports: tuple[int, int], audit: Audit) -> dict[str, object]:
    """Return the flags of kube-apiserver. ports: etcd's and its own."""
    server = authority.issue("kube-apiserver", names=("kubernetes", "kubernetes.default.svc"))
    front = authority.issue("front-proxy")
    key = authority.signing_key(TOKENS)
    ca = authority.pair.cert
    return {
        "etcd-servers": f"https://127.0.0.1:{ports[0]}",
        "etcd-cafile": ca,
        "etcd-certfile": store.cert,
        "etcd-keyfile": store.key,
        "bind-address": "127.0.0.1",
        "secure-port": ports[1],
        "endpoint-reconciler-type": "none",
        "tls-cert-file": server.cert,
        "tls-private-key-file": server.key,
        "client-ca-file": ca,
        "authorization-mode": "Node,RBAC",
        "anonymous-auth": "false",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "service-cluster-ip-range": "10.96.0.0/16",
        "requestheader-client-ca-file": ca,
        "requestheader-allowed-names": "front-proxy",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": front.cert,
        "proxy-client-key-file": front.key,
        "audit-policy-file": audit.policy,
        "audit-log-path": audit.log,
        "audit-log-mode": "blocking",
        "audit-log-maxsize": "0",
        # Debian's etcd 3.4 has no streaming lists: with the gate closed clients that ask for them fall back at once
        "feature-gates": "WatchList=false",
        "profiling": "false",
    }


def controllers(config: Path, authority: Authority, timings: Timings) -> dict[str, object]:
    """Return the flags of kube-controller-manager."""
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "secure-port": free_port(),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": authority.pair.key.parent / f"{TOKENS}.key",
        "root-ca-file": authority.pair.cert,
        "node-monitor-period": "1s",
        "node-monitor-grace-period": f"{timings.node_grace_s}s",
        "horizontal-pod-autoscaler-sync-period": f"{timings.hpa_sync_s}s",
        "horizontal-pod-autoscaler-downscale-stabilization": f"{timings.hpa_downscale_s}s",
        "horizontal-pod-autoscaler-initial-readiness-delay": "1s",
        "horizontal-pod-autoscaler-cpu-initialization-period": "5s",
        "profiling": "false",
    }


def scheduler(config: Path) -> dict[str, object]:
    """Return the flags of kube-scheduler."""
    return {
        "kubeconfig": config,
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "secure-port": free_port(),
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
    }


def kwok(config: Path, stages: Path) -> dict[str, object]:
    """Return the flags of KWOK, which keeps the annotated nodes and their pods alive."""
    return {
        "kubeconfig": config,
        "config": stages,
        "manage-all-nodes": "false",
        "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
        "node-ip": "127.0.0.1",
        "node-lease-duration-seconds": 0,
        "server-address": f"127.0.0.1:{free_port()}",
    }
