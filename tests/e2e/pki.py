"""Certificates of a test cluster, made with openssl: one authority, and a key pair for each component and user."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates for loopback."""

    def __init__(self, folder: Path, name: str = "aiops-e2e") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.pair = Pair(folder / "ca.crt", folder / "ca.key")
        _openssl(
            *("req", "-x509", *NEW_KEY, "-days", "3"),
            *("-subj", f"/CN={name}", "-keyout", str(self.pair.key), "-out", str(self.pair.cert)),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        )

    def issue(self, name: str, *, groups: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Pair:
        """Return a pair for a user (its groups as organisations) or for a server (its names beside loopback's)."""
        stem = name.replace(":", "-").replace("/", "-")
        pair = Pair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        request, extensions = self._folder / f"{stem}.csr", self._folder / f"{stem}.ext"
        alternatives = ",".join(["IP:127.0.0.1", "DNS:localhost", *(f"DNS:{one}" for one in names)])
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n")
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
        _openssl(
            *("req", "-new", *NEW_KEY),
            *("-subj", subject, "-keyout", str(pair.key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-days", "3", "-in", str(request)),
            *("-CA", str(self.pair.cert), "-CAkey", str(self.pair.key), "-CAcreateserial"),
            *("-extfile", str(extensions), "-out", str(pair.cert)),
        )
        return pair

    def signing_key(self, name: str) -> Path:
        """Return an RSA key for tokens."""
        key = self._folder / f"{name}.key"
        _openssl("genrsa", "-out", str(key), "2048")
        return key


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
