"""What listens: is the port free, who is let in, is anything said in clear."""

from __future__ import annotations

import http.client
import ipaddress
import socket
from collections.abc import Iterator

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, skip, warn
from aiops.app.doctor.scene import Scene
from aiops.app.doors import WEAK
from aiops.app.web_settings import LOOPBACK, ListenSettings

KNOCK_S = 1.0


def checks(scene: Scene) -> list[Check]:
    """Return the checks of everything that listens."""
    settings = scene.settings
    made = [
        _port_check("web", settings.web, "/api/v1/status"),
        _port_check("telemetry", settings.telemetry, "/metrics"),
        _port_check("external metrics", settings.export.external_metrics),
        _port_check("keda", settings.export.keda),
    ]
    return [*made, Check(area=Area.WEB, name="web: who is let in", look=lambda: _locks(scene))]


def _port_check(name: str, at: ListenSettings, page: str = "") -> Check:
    """Return the check of a port. page: where a daemon that runs already shows itself."""
    called = f"{name}: port"
    return Check(area=Area.WEB, name=called, look=lambda: [_port(called, at, page)])


def _port(name: str, at: ListenSettings, page: str) -> Finding:
    if not at.enabled:
        return skip(name, "off")
    if at.port == 0:
        return ok(name, f"any free port of {at.host}")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(at.host, at.host)  # noqa: S104  # asked, not listened on
    try:
        socket.create_connection((host, at.port), KNOCK_S).close()
    except OSError:
        return ok(name, f"{at.host}:{at.port} is free")
    if page and _is_ours(host, at.port, page):
        return ok(name, f"{at.host}:{at.port} is served by a daemon that runs")
    fix = "stop what listens there, or set another port; a daemon that runs already may be what listens"
    return warn(name, f"something listens on {at.host}:{at.port} already", fix)


def _is_ours(host: str, port: int, page: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=KNOCK_S)
    try:
        connection.request("GET", page)
        return b"aiops" in connection.getresponse().read(1 << 20)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _locks(scene: Scene) -> Iterator[Finding]:
    name, web = "web: who is let in", scene.settings.web
    if not web.enabled:
        yield skip(name, "the page and the API are off")
        return
    local = web.host in LOOPBACK
    if not web.authenticates:
        # the settings refuse this off loopback
        yield ok(name, f"whoever reaches {web.host}:{web.port} of this machine; nobody is asked")
    else:
        yield ok(name, f"who shows {_shown(scene)}")
    if not local and web.tls is None and not web.behind_tls:
        fix = "set web.tls, or web.behind_tls: true where a proxy before it takes the TLS"
        yield warn(name, f"{web.host}:{web.port} is reached without TLS: tokens go in clear", fix)
    if web.token is not None and len(web.token.get_secret_value()) < WEAK:
        yield fail(
            name, f"web.token has fewer than {WEAK} letters and can be guessed", "openssl rand -base64 32 makes one"
        )
    if web.token_file is not None:
        yield from _token_file(name, scene)
    wide = [one for one in web.trusted_proxies if ipaddress.ip_network(one).prefixlen == 0]
    if wide:
        fix = "name the proxy's own addresses"
        yield warn(name, f"web.trusted_proxies: {wide[0]} believes anybody's X-Forwarded-For", fix)


def _shown(scene: Scene) -> str:
    web = scene.settings.web
    ways = [
        ("the token of the settings", web.token is not None or web.token_file is not None),
        (f"a token of {web.oidc.issuer}" if web.oidc is not None else "", web.oidc is not None),
        ("a token of Kubernetes", web.kubernetes.enabled),
        ("a token of `aiops tokens create`", True),
    ]
    return ", or ".join(way for way, there in ways if there)


def _token_file(name: str, scene: Scene) -> Iterator[Finding]:
    file = scene.settings.web.token_file
    if file is None:
        return
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        why = err.strerror if isinstance(err, OSError) else "is no text"
        yield fail(name, f"web.token_file: {file} cannot be read: {why}", "mount the file, readable for the daemon")
        return
    if len(token) < WEAK:
        fix = f"openssl rand -base64 32 > {file}"
        yield fail(name, f"web.token_file: {file} holds fewer than {WEAK} letters and can be guessed", fix)
