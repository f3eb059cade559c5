"""What a user may get wrong about a cluster: said so that it can be mended, with its exit code, never with a secret
(S10)."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pki import Authority
from tests.e2e.rig import SERVICE_NAMESPACE, Daemon, Rig, scaling_policy
from tests.integration.prometheus_server import free_port

SECRET = "c2VjcmV0LXRva2Vu"
TRACEBACK = "Traceback (most recent call last)"


def text_of(daemon: Daemon) -> str:
    return daemon.process.log.read_text(errors="replace")


def tokens(path: Path) -> list[str]:
    """Return what must not be seen: the token of a kubeconfig, and each part of it that is long enough to be one."""
    found = re.findall(r'"token": "([^"]+)"', path.read_text(errors="replace"))
    return [part for token in found for part in (token, *token.split(".")) if len(part) > 12]


def spoken_well(daemon: Daemon, kubeconfig: Path | None = None) -> None:
    """Check that a log holds no traceback and no secret."""
    said = text_of(daemon)
    assert TRACEBACK not in said
    assert "BEGIN CERTIFICATE" not in said
    assert "PRIVATE KEY" not in said
    for secret in tokens(kubeconfig) if kubeconfig is not None else ():
        assert secret not in said


# -- the process ends --------------------------------------------------------------------------------------------


def no_file(rig: Rig) -> dict[str, Any]:
    return {"clusters": {"default": {"kubeconfig": str(rig.folder / "nowhere")}}}


def no_context(rig: Rig) -> dict[str, Any]:
    return {"clusters": {"default": {"kubeconfig": str(rig.kubeconfig()), "context": "other"}}}


def unparsable(rig: Rig) -> dict[str, Any]:
    file = rig.folder / "unparsable"
    file.write_text(f'{{"token": "{SECRET}", [')
    return {"clusters": {"default": {"kubeconfig": str(file)}}}


def wrongly_indented(rig: Rig) -> dict[str, Any]:
    file = rig.folder / "indented"
    made = json.loads(rig.kubeconfig().read_text())
    made["users"][0].update(made["users"][0].pop("user"))
    file.write_text(json.dumps(made))
    return {"clusters": {"default": {"kubeconfig": str(file)}}}


def no_such_cluster(rig: Rig) -> dict[str, Any]:
    return {"lease": {**rig.lease, "cluster": "eu"}}


def too_slow(rig: Rig) -> dict[str, Any]:
    return {"lease": {**rig.lease, "retry": "3s"}}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (no_file, "there is no .*nowhere"),
        (no_context, "has no context other; it has e2e"),
        (unparsable, r"unparsable:1:\d+: "),
        (wrongly_indented, "Expected key user"),
        (no_such_cluster, "lease.cluster: the settings know no cluster 'eu'; they know default"),
        (too_slow, r"lease: retry \(3 s\) must be shorter than renew \(2.5 s\)"),
    ],
)
def test_what_cannot_work_ends_the_process_with_3_and_says_where_s10(rig: Rig, made: Callable, said: str):
    rig.policy(scaling_policy(rig.namespace), grant=False)
    rig.grant()
    changes = made(rig)
    daemon = rig.daemon(**changes)
    rig.until(lambda: daemon.process.poll() is not None, "its end", 40)
    assert daemon.process.poll() == 3, daemon.process.tail()
    assert re.search(said, text_of(daemon)), daemon.process.tail()
    kubeconfig = changes.get("clusters", {}).get("default", {}).get("kubeconfig")
    spoken_well(daemon, Path(kubeconfig) if kubeconfig and Path(kubeconfig).exists() else None)


# -- it goes on, holds, and says why -----------------------------------------------------------------------------


@pytest.fixture
def stranger(rig: Rig) -> Iterator[str]:
    """Return the address of a server that has the cluster's certificate and is no Kubernetes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html>a page of another thing</html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    pair = rig.plane.authority.issue("stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def broken(token: str) -> str:
    """Return the token with a signature that is not its own."""
    head, body, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    raw[0] ^= 0xFF
    return f"{head}.{body}.{base64.urlsafe_b64encode(bytes(raw)).decode().rstrip('=')}"


def of_a_deleted_account(rig: Rig) -> Path:
    path = f"/api/v1/namespaces/{rig.namespace}/serviceaccounts/gone"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gone", "namespace": rig.namespace}}
    rig.plane.apply(account)
    token = rig.plane.token(rig.namespace, "gone")
    rig.plane.delete(path)
    return rig.kubeconfig(token=token)


def of_a_deleted_secret(rig: Rig) -> Path:
    """Return a kubeconfig with a token that was bound to an object that is gone."""
    path = f"/api/v1/namespaces/{SERVICE_NAMESPACE}/secrets/bound-{rig.namespace}"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": SERVICE_NAMESPACE}}
    secret["metadata"]["name"] = path.rpartition("/")[2]
    rig.plane.apply(secret)
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": secret["metadata"]["name"]}},
    }
    account = f"/api/v1/namespaces/{SERVICE_NAMESPACE}/serviceaccounts/aiops/token"
    token = rig.plane.api("POST", account, body)["status"]["token"]
    rig.plane.delete(path)
    return rig.kubeconfig(token=token)


def of_another_authority(rig: Rig) -> Path:
    other = Authority(rig.folder / "other", "another authority")
    return rig.kubeconfig(ca=other.pair.cert)


WRONG = {
    "a server that refuses connections": (
        lambda rig, _: rig.kubeconfig(server=f"https://127.0.0.1:{free_port()}"),
        "cluster_unavailable",
        "Connection refused",
    ),
    "a certificate of another authority": (of_another_authority, "cluster_unavailable", "certificate verify failed"),
    "a server that is no Kubernetes": (
        lambda rig, address: rig.kubeconfig(server=address),
        "cluster_unavailable",
        "is that a Kubernetes API server",
    ),
    "a token with a broken signature": (
        lambda rig, _: rig.kubeconfig(token=broken(rig.plane.token(SERVICE_NAMESPACE, "aiops"))),
        "no_permission",
        "401 Unauthorized: the credentials are not accepted; have they expired",
    ),
    "a token of an account that is gone": (of_a_deleted_account, "no_permission", "401 Unauthorized"),
    "a token bound to an object that is gone": (of_a_deleted_secret, "no_permission", "401 Unauthorized"),
    "a certificate of a user without roles": (
        lambda rig, _: rig.plane.kubeconfig("nobody"),
        "no_permission",
        "`aiops rbac POLICIES` prints the roles",
    ),
}


@pytest.mark.parametrize("competes", [False, True], ids=["alone", "competing"])
@pytest.mark.parametrize("what", WRONG)
def test_what_may_be_mended_from_outside_holds_and_is_said_s2_s10(
    rig: Rig, deploy, stranger: str, what: str, competes: bool
):
    made, reason, said = WRONG[what]
    path = deploy(replicas=4)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace))
    kubeconfig = made(rig, stranger) if made.__code__.co_argcount == 2 else made(rig)
    lease = {**rig.lease, "enabled": competes}
    daemon = rig.daemon(kubeconfig=kubeconfig, lease=lease)
    rig.until(lambda: len(daemon.sentences()) > 3, "some turns", 60)
    code, text = rig.until(lambda: (found := daemon.ready())[0] and said in found[1] and found, "the reason", 30)
    assert code == 503
    assert said in daemon.sentences()[-1]
    if competes:
        # who cannot reach the Lease leads nothing, and says why it does not
        assert "lease" in text
    else:
        found = rig.until(lambda: [one for one in rig.decisions() if one["reason"] == reason], "the decision")
        assert said in found[0]["story"]
    assert daemon.process.poll() is None
    assert rig.writes() == []
    assert rig.replicas(path) == 4
    spoken_well(daemon, kubeconfig)


def without(rig: Rig, resource: str, verb: str = "") -> None:
    """Take a line out of the printed role in the target's namespace."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{rig.namespace}/roles/{rig.instance}"
    role = rig.plane.api("GET", path)
    kept = []
    for rule in role["rules"]:
        gone = resource in rule["resources"]
        verbs = [one for one in rule["verbs"] if not gone or (verb and one != verb)]
        if verbs:
            kept.append({**rule, "verbs": verbs})
    rig.plane.patch(path, {"rules": kept})


@pytest.mark.parametrize(
    ("resource", "verb", "words"),
    [
        ("pods", "", ("list", '"pods"')),
        ("deployments", "watch", ("watch", "deployments")),
        ("horizontalpodautoscalers", "", ("list", '"horizontalpodautoscalers"')),
        ("deployments/scale", "", ("patch", "deployments/scale")),
    ],
)
def test_a_permission_that_is_missing_is_named_with_what_prints_it_and_is_taken_up_when_given_s3_s10(
    rig: Rig, deploy, resource: str, verb: str, words: tuple[str, ...]
):
    path = deploy(replicas=4)
    # what was listed once is true at first, whether it may be watched or not: nothing is to be done on its account
    rig.demand(190.0 if verb else 330.0)
    rig.policy(scaling_policy(rig.namespace))
    without(rig, resource, verb)
    daemon = rig.daemon()
    rig.until(daemon.sentences, "the first turn", 60)
    found = rig.until(lambda: [one for one in rig.decisions() if one["reason"] == "no_permission"], "a decision", 90)
    story = found[0]["story"]
    assert all(word in story for word in (*words, rig.namespace, "`aiops rbac POLICIES` prints the roles")), story
    assert story in daemon.sentences()[-1] or words[1] in daemon.sentences()[-1]
    rig.demand(330.0)
    turns = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) > turns + 3, "three more turns")
    assert rig.replicas(path) == 4
    rig.grant()
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas once it may", 60)
    spoken_well(daemon)


# -- what the API serves -----------------------------------------------------------------------------------------


def test_a_version_that_is_not_served_and_a_target_that_cannot_be_scaled_are_named(rig: Rig, deploy):
    deploy(replicas=4)
    rig.plane.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "checkout", "namespace": rig.namespace},
        }
    )
    rig.demand(330.0)
    old = scaling_policy(rig.namespace, "old", target={"apiVersion": "apps/v9", "kind": "Deployment", "name": "old"})
    flat = scaling_policy(rig.namespace, "flat", target={"apiVersion": "v1", "kind": "ConfigMap", "name": "checkout"})
    well = scaling_policy(rig.namespace)
    rig.policy(old, flat, well)
    daemon = rig.daemon()
    rig.until(daemon.sentences, "the first turn", 60)
    path = f"/apis/apps/v1/namespaces/{rig.namespace}/deployments/checkout"
    rig.until(lambda: rig.replicas(path) == 7, "the policy that is well to act")
    stories = {one["policy"]: (one["reason"], one["story"]) for one in rig.decisions()}
    reason, story = stories[f"ScalingPolicy/{rig.namespace}/old"]
    assert (reason, "the API server does not serve apps/v9" in story) == ("unknown_target", True), story
    reason, story = stories[f"ScalingPolicy/{rig.namespace}/flat"]
    assert (reason, "has no scale subresource" in story) == ("unknown_target", True), story
    assert "does not serve apps/v9" in daemon.ready()[1]
    spoken_well(daemon)


def test_a_kind_that_is_installed_while_the_daemon_runs_is_found(rig: Rig):
    group = f"{rig.namespace}.example.com"
    target = {"apiVersion": f"{group}/v1", "kind": "Widget", "name": "checkout"}
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace, target=target))
    daemon = rig.daemon()
    rig.until(daemon.sentences, "the first turn", 60)
    rig.until(lambda: any(f"does not serve {group}/v1" in one for one in daemon.sentences()), "the reason")
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "subresources": {
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [version],
        },
    }
    rig.plane.apply(definition)
    collection = f"/apis/{group}/v1/namespaces/{rig.namespace}/widgets"
    rig.plane.eventually(lambda: rig.plane.find(collection), "the kind to be served")
    rig.until(lambda: any("there is no Widget" in one for one in daemon.sentences()), "the kind to be known", 60)
    rig.plane.apply(
        {
            "apiVersion": f"{group}/v1",
            "kind": "Widget",
            "metadata": {"name": "checkout", "namespace": rig.namespace},
            "spec": {"replicas": 4},
        }
    )
    rig.until(lambda: rig.replicas(f"{collection}/checkout") == 7, "7 replicas", 60)
    rig.plane.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}")
    spoken_well(daemon)


# -- a token that rotates ----------------------------------------------------------------------------------------


def test_a_token_file_that_rotates_is_read_again(rig: Rig, deploy):
    """The first token is revoked with the object that it is bound to; the file holds another one by then."""
    path = deploy(replicas=4)
    rig.demand(190.0)
    rig.policy(scaling_policy(rig.namespace))
    made = json.loads(rig.kubeconfig().read_text())
    file = rig.folder / "token"
    made["users"][0]["user"] = {"tokenFile": "token"}
    kubeconfig = rig.folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(made))

    secret = f"/api/v1/namespaces/{SERVICE_NAMESPACE}/secrets/first-{rig.namespace}"
    metadata = {"name": f"first-{rig.namespace}", "namespace": SERVICE_NAMESPACE}
    rig.plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": metadata["name"]}},
    }
    account = f"/api/v1/namespaces/{SERVICE_NAMESPACE}/serviceaccounts/aiops/token"
    file.write_text(str(rig.plane.api("POST", account, body)["status"]["token"]) + "\n")
    daemon = rig.daemon(kubeconfig=kubeconfig)
    rig.until(lambda: daemon.ready()[0] == 200, "it to be ready", 60)
    file.write_text(rig.plane.token(SERVICE_NAMESPACE, "aiops") + "\n")
    rig.plane.delete(secret)
    # a minute later at the latest the new one is sent; meanwhile nothing but reading and leading suffers
    rig.until(lambda: any("401 Unauthorized" in one for one in daemon.sentences()), "the first token to be refused", 60)
    rig.demand(330.0)
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas with the second token", 120)
    spoken_well(daemon)
