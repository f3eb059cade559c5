"""How the doors of the page and the API are locked, as the settings say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.app.alertmanager import webhook_token
from aiops.app.tokens import Tokens
from aiops.core.record.audit import AuditKind, Entry
from aiops.errors import ConfigurationError, PortError
from aiops.web.locks.doors import Doors, FixedToken, Knock, TokenFile, Verifier
from aiops.web.locks.patience import Patience
from aiops.web.locks.rates import Limits, Rates
from aiops.web.locks.roles import How, Principal, Role
from aiops.web.locks.sessions import Sessions
from aiops.web.locks.shield import Bounds
from aiops.web.server import Serving
from aiops.web.tls import Certificate

if TYPE_CHECKING:
    from aiops.adapters.store import Store
    from aiops.app.settings import Settings
    from aiops.app.web_settings import WebSettings
    from aiops.web.events import Broker

_LOG = logging.getLogger("aiops.web")
WEAK = 20
"""A token of fewer letters than this can be guessed."""

ADMIN = Principal(name="token", role=Role.ADMIN, how=How.SETTING, key="setting", shared=True)
HOOK = Principal(name="alertmanager", role=Role.HOOK, how=How.SETTING, shared=True)


def doors(settings: Settings, store: Store) -> Doors:
    """Return how the doors are locked; raise ConfigurationError when a file that is needed is not there."""
    web = settings.web
    hook = webhook_token(settings.alertmanager)
    return Doors(
        verifiers=verifiers(settings, store) if web.authenticates else (),
        hook=FixedToken(hook, HOOK) if hook else None,
        sessions=Sessions(keeper=store.access, idle_s=web.sessions.idle, longest_s=web.sessions.longest),
        rates=Rates(Limits(**web.rates.model_dump())),
        hosts=frozenset(web.hosts),
        secure=web.tls is not None or web.behind_tls,
        tell=_told(store),
    )


def verifiers(settings: Settings, store: Store) -> tuple[Verifier, ...]:
    """Return who is believed: the token of the settings, tokens of the store, then what others vouch for."""
    found: list[Verifier] = [*_fixed(settings.web), Tokens(store.access, time.time)]
    return tuple(found)


def serving(web: WebSettings, broker: Broker) -> Serving:
    """Return how it is served; raise ConfigurationError when the certificate cannot be used."""
    limits = web.limits
    # a proxy's connections are those of everybody behind it
    per_address = limits.connections if web.trusted_proxies else limits.per_address
    tls = web.tls
    return Serving(
        bounds=Bounds(body_bytes=int(limits.max_body), body_s=limits.body, send_s=limits.answer),
        patience=Patience(head_s=limits.head, per_address=per_address),
        certificate=None if tls is None else Certificate(cert_file=tls.cert_file, key_file=tls.key_file),
        proxies=web.trusted_proxies,
        connections=limits.connections,
        broker=broker,
        idle_s=limits.idle,
    )


def _fixed(web: WebSettings) -> list[Verifier]:
    if web.token is not None:
        token = web.token.get_secret_value()
        _warn_of_weak("web.token", token)
        return [FixedToken(token, ADMIN)]
    if web.token_file is None:
        return []
    _warn_of_weak("web.token_file", _read(web.token_file))
    return [TokenFile(web.token_file, ADMIN)]


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"web.token_file: {file} cannot be read: {err}") from err
    if not token:
        raise ConfigurationError(f"web.token_file: {file} is empty")
    return token


def _warn_of_weak(setting: str, token: str) -> None:
    if len(token) < WEAK:
        _LOG.warning("weak_token", extra={"setting": setting, "hint": f"fewer than {WEAK} letters can be guessed"})


def _told(store: Store) -> Callable[[Knock], None]:
    """Return what writes down who came, went, or was not let in."""

    def tell(knock: Knock) -> None:
        entry = Entry(
            at=time.time(),
            kind=AuditKind.ACCESS if knock.did == "refused" else AuditKind.LOGIN,
            by=knock.by or "unknown",
            subject=knock.address,
            did=knock.did,
            said=knock.said,
        )
        try:
            store.audit.note(entry)
        except PortError as err:
            _LOG.warning("knock_not_recorded", extra={"reason": str(err), "did": knock.did, "by": knock.by})

    return tell
