"""What a kubeconfig may be, and what is said of one that is something else: never a traceback, never a secret (S10)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from aiops.adapters.kubernetes.connection import REREAD_S, KubernetesOptions, TokenFile, api_client
from aiops.adapters.kubernetes.http import Call, Http
from aiops.errors import ClusterUnavailable, ConfigurationError, NoPermission

SECRET = "s3cr3t"
GOOD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
    "users": [{"name": "u", "user": {"token": SECRET}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    made = copy.deepcopy(GOOD)
    change(made)
    return json.dumps(made)


def user(**entry: Any) -> str:
    return changed(lambda made: made["users"].__setitem__(0, {"name": "u", **entry}))


def cluster(**entry: Any) -> str:
    return changed(lambda made: made["clusters"].__setitem__(0, {"name": "c", "cluster": entry}))


CERTIFICATE = user(user={"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="}).replace(
    "http:", "https:"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [b\n", ":2:1: expected ',' or ']'"),
        ("[1, 2]", "is no kubeconfig"),
        ("hello", "is no kubeconfig"),
        ("\x00", "is no kubeconfig"),
        ("", "file is empty"),
        (changed(lambda made: made.pop("current-context")), "current-context"),
        (changed(lambda made: made.update({"current-context": "y"})), "name y"),
        (changed(lambda made: made.update(clusters=[])), "name c"),
        (changed(lambda made: made.update(users=[])), "user u is not in its users"),
        (user(token=SECRET), "key user"),  # indented wrongly: the client's message would quote the entry
        (user(user={"token": f"{SECRET}\n{SECRET}"}), "no header may hold"),
        (user(user={"token": f"{SECRET}…"}), "no header may hold"),
        (user(user={"tokenFile": "nowhere"}), "nowhere"),
        (CERTIFICATE, "client-certificate with client-key cannot be used"),
        (user(user={"exec": {"apiVersion": "v1", "command": "no-such-plugin"}}), "no-such-plugin gave no credentials"),
        (cluster(), "no http(s) address"),
        (cluster(server="127.0.0.1:9"), "no http(s) address"),
        (cluster(server=5), "is no kubeconfig"),
        (cluster(server="https://127.0.0.1:9", **{"certificate-authority": "nowhere.crt"}), "nowhere.crt"),
        (
            cluster(server="https://127.0.0.1:9", **{"certificate-authority-data": "aGVsbG8="}),
            "certificate-authority cannot be used",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_an_error_of_the_configuration_s10(tmp_path: Path, text: str, said: str):
    file = tmp_path / "kubeconfig"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no Kubernetes cluster to connect to: ") as found:
        api_client(KubernetesOptions(kubeconfig=file))
    assert said in str(found.value)
    assert SECRET not in str(found.value)
    # nothing that would be printed with a traceback quotes it either
    assert found.value.__suppress_context__ or found.value.__context__ is None


def test_a_file_and_a_context_that_are_not_there_are_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=f"there is no {tmp_path}/nowhere"):
        api_client(KubernetesOptions(kubeconfig=tmp_path / "nowhere"))
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(GOOD))
    with pytest.raises(ConfigurationError, match="has no context y; it has x"):
        api_client(KubernetesOptions(kubeconfig=file, context="y"))


def sent(http: Http) -> str:
    """Return the token that a request would carry."""
    headers: dict[str, str] = {}
    http._authorize(headers, Call(method="GET", path="/"))
    return headers.get("Authorization", "")


def test_a_token_file_is_read_again_when_it_rotates(tmp_path: Path):
    now = [0.0]
    (tmp_path / "token").write_text("first\n")
    configuration = Configuration(host="http://127.0.0.1:9")
    configuration.refresh_api_key_hook = TokenFile(tmp_path / "token", clock=lambda: now[0])
    configuration.refresh_api_key_hook(configuration)
    http = Http(ApiClient(configuration))
    assert sent(http) == "Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert sent(http) == "Bearer first"  # trusted for a minute
    now[0] += REREAD_S
    assert sent(http) == "Bearer second"
    # while the file is empty or gone, the last one is as good as anything
    for gone in (lambda: (tmp_path / "token").write_text(""), (tmp_path / "token").unlink):
        gone()
        now[0] += REREAD_S
        assert sent(http) == "Bearer second"
    (tmp_path / "token").write_text("third\nthird")
    now[0] += REREAD_S
    with pytest.raises(NoPermission, match="no header may hold") as found:
        http.get("/version")
    assert "third" not in str(found.value)


def test_the_token_of_a_kubeconfig_may_be_in_a_file_beside_it(tmp_path: Path):
    (tmp_path / "token").write_text("one\n")
    file = tmp_path / "kubeconfig"
    file.write_text(user(user={"tokenFile": "token"}))
    client = api_client(KubernetesOptions(kubeconfig=file))
    assert sent(Http(client)) == "Bearer one"
    assert isinstance(client.configuration.refresh_api_key_hook, TokenFile)


def test_a_line_break_after_a_token_is_no_part_of_it(tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_text(user(user={"token": "one\n"}))
    http = Http(api_client(KubernetesOptions(kubeconfig=file)))
    assert sent(http) == "Bearer one"
    with pytest.raises(ClusterUnavailable, match="Connection refused"):
        http.get("/version")
