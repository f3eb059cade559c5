"""An OpenID Connect provider on loopback: discovery, keys, and tokens for codes with PKCE."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from aiops.web.locks.oidc_login import challenge
from tests.loopback import serving


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a new key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


KEYS = [rsa_key(), rsa_key()]
EC_KEY = ec.generate_private_key(ec.SECP256R1())
"""Keys take long to make."""


@dataclass
class Provider:
    """What the provider has, and what it was asked."""

    url: str
    keys: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False

    def anew(self) -> None:
        """Forget everything."""
        self.keys, self.codes, self.asked, self.down = {"one": KEYS[0]}, {}, [], False
        self.document = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }

    def jwks(self) -> list[dict[str, Any]]:
        """Return the public keys."""
        found = []
        for kid, key in self.keys.items():
            elliptic = isinstance(key, ec.EllipticCurvePrivateKey)
            kind = jwt.algorithms.ECAlgorithm if elliptic else jwt.algorithms.RSAAlgorithm
            found.append({**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"})
        return found

    def claims(self, **said: Any) -> dict[str, Any]:
        """Return good claims, with others in their place; None leaves one out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": "aiops", "sub": "sam", "iat": now, "exp": now + 300, "groups": ["sre"]}
        return {key: value for key, value in (good | said).items() if value is not None}

    def token(self, kid: str = "one", alg: str = "RS256", key: Any = None, **said: Any) -> str:
        """Return a signed token."""
        return jwt.encode(self.claims(**said), key or self.keys[kid], alg, headers={"kid": kid})

    def exchanged(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return what a code is worth: a token, once, to who shows the verifier of what it was begun with."""
        begun = self.codes.pop(form.get("code", ""), None)
        if begun is None or form["redirect_uri"] != begun["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if challenge(form["code_verifier"]) != begun["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"id_token": self.token(aud=form["client_id"], nonce=begun["nonce"]), "token_type": "Bearer"}


@contextmanager
def provider() -> Iterator[Provider]:
    """Yield a provider that listens."""
    made = Provider("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            discovery = self.path == "/.well-known/openid-configuration"
            self.answer(200, made.document if discovery else {"keys": made.jwks()})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self.answer(*made.exchanged({key: values[0] for key, values in parse_qs(body).items()}))

        def answer(self, status: int, body: dict[str, Any]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(503 if made.down else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Handler) as url:
        made.url = url
        yield made
