"""Ed25519 keys from files: they sign the audit chain's anchors, and say whose an anchor is.

A private key is PEM as `openssl genpkey -algorithm ed25519` makes it; the public half is all that a verifier needs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.errors import ConfigurationError, Conflict, InvalidContent, InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class SigningKey:
    """A private key. fingerprint: SHA-256 of its public half's 32 bytes, in hex."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.fingerprint = _fingerprint(key.public_key())

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Return the key of a file; raise ConfigurationError."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            found = load_pem_private_key(path.read_bytes(), None)
        except OSError as err:
            raise ConfigurationError(f"audit.key_file: {path} cannot be read: {err.strerror}") from err
        except (ValueError, TypeError, UnsupportedAlgorithm) as err:
            raise ConfigurationError(f"audit.key_file: {path} is no private key in PEM without a password") from err
        if not isinstance(found, Ed25519PrivateKey):
            raise ConfigurationError(f"audit.key_file: {path} is no Ed25519 key: aiops audit key FILE makes one")
        return cls(found)

    @classmethod
    def made(cls, path: Path) -> SigningKey:
        """Make a key and write it to a file that is not there yet, for its owner alone; raise InvalidInput."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as err:
            raise Conflict(f"{path} is there already: a key is never overwritten") from err
        except OSError as err:
            raise InvalidInput(f"{path} cannot be written: {err.strerror}") from err
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        return cls(key)

    def sign(self, statement: bytes) -> bytes:
        """Return the 64 bytes of a signature."""
        return self._key.sign(statement)

    def public_pem(self) -> str:
        """Return the public half, which verifiers keep."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class KnownKeys:
    """Public keys by fingerprint."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {_fingerprint(key): key for key in keys}

    @classmethod
    def load(cls, paths: Iterable[Path]) -> KnownKeys:
        """Return the keys of files, of each its public half; raise InvalidInput."""
        return cls(_public(path) for path in paths)

    def verify(self, fingerprint: str, statement: bytes, signature: bytes) -> bool:
        """Return whether that key, if it is known, made that signature."""
        from cryptography.exceptions import InvalidSignature

        key = self._keys.get(fingerprint)
        if key is None:
            return False
        try:
            key.verify(signature, statement)
        except InvalidSignature:
            return False
        return True


def _public(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    try:
        pem = path.read_bytes()
        found = load_pem_private_key(pem, None) if b"PRIVATE KEY" in pem else load_pem_public_key(pem)
    except OSError as err:
        raise InvalidContent(f"{path} cannot be read: {err.strerror}") from err
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise InvalidContent(f"{path} holds no key in PEM") from err
    if isinstance(found, Ed25519PrivateKey):
        return found.public_key()
    if not isinstance(found, Ed25519PublicKey):
        raise InvalidContent(f"{path} holds no Ed25519 key")
    return found


def _fingerprint(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()
