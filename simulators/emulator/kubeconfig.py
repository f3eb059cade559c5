"""What a kubeconfig says about reaching a cluster: its address, whom to trust, and who one is."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aiops.errors import InvalidContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a cluster is reached. tls: None over plain HTTP."""

    url: str
    tls: ssl.SSLContext | None
    headers: Mapping[str, str]


def access(path: Path, context: str = "") -> Access:
    """Return the access that a kubeconfig's context describes; raise InvalidInput with what is missing.

    Understood are a CA, a client certificate and a token, as files or in place; certificates are always checked.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise InvalidContent(f"{path}: cannot be read: {err.strerror}") from err
    except yaml.YAMLError as err:
        raise InvalidContent(f"{path}: this is no YAML: {str(err).splitlines()[0]}") from err
    if not isinstance(document, dict):
        raise InvalidContent(f"{path}: this is no kubeconfig")
    name = context or str(document.get("current-context") or "")
    chosen = _named(path, document, "contexts", name, "context")
    cluster = _named(path, document, "clusters", str(chosen.get("cluster")), "cluster")
    user = _named(path, document, "users", str(chosen.get("user")), "user")
    url = str(cluster.get("server") or "").rstrip("/")
    if cluster.get("insecure-skip-tls-verify"):
        raise InvalidContent(f"{path}: insecure-skip-tls-verify is not supported: name the certificate-authority")
    if not url.startswith(("https://", "http://")):
        raise InvalidContent(f"{path}: the cluster has no server")
    tls = _tls(path, cluster, user) if url.startswith("https://") else None
    return Access(url=url, tls=tls, headers=_headers(path, user))


def _named(path: Path, document: Mapping[str, Any], kind: str, name: str, key: str) -> Mapping[str, Any]:
    for one in document.get(kind) or ():
        if isinstance(one, dict) and one.get("name") == name and isinstance(one.get(key), dict):
            return dict(one[key])
    raise InvalidContent(f"{path}: there is no {key} {name!r} among {kind}")


def _headers(path: Path, user: Mapping[str, Any]) -> dict[str, str]:
    known = {"client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile"}
    if unknown := sorted(set(user) - known):
        raise InvalidContent(f"{path}: the user's {', '.join(unknown)} is not supported")
    token = str(user.get("token") or "") or (_content(path, user, "tokenFile", "") or b"").decode().strip()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _content(path, cluster, "certificate-authority", "certificate-authority-data")
    certificate = _content(path, user, "client-certificate", "client-certificate-data")
    key = _content(path, user, "client-key", "client-key-data")
    try:
        made = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if certificate and key:
            # the standard library takes a client's pair from a file alone
            with tempfile.NamedTemporaryFile(suffix=".pem") as file:
                file.write(certificate.rstrip() + b"\n" + key)
                file.flush()
                made.load_cert_chain(file.name)
    except (ssl.SSLError, ValueError) as err:
        raise InvalidContent(f"{path}: its certificates cannot be used: {err}") from err
    return made


def _content(path: Path, part: Mapping[str, Any], file_key: str, data_key: str) -> bytes | None:
    """Return what is given in place (base64) or in a file, which is relative to the kubeconfig."""
    try:
        if data_key and part.get(data_key):
            return base64.b64decode(str(part[data_key]), validate=True)
        if part.get(file_key):
            return (path.parent / str(part[file_key])).read_bytes()
    except OSError as err:
        raise InvalidContent(f"{path}: {file_key}: {part[file_key]}: {err.strerror}") from err
    except binascii.Error as err:
        raise InvalidContent(f"{path}: {data_key}: no base64: {err}") from err
    return None
