"""How an Alertmanager is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiops.core.addresses import without_user
from aiops.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerOptions:
    """Address and credentials, also those in the address; secrets are kept out of the representation.

    timeout_s, max_bytes: of one answer.
    """

    url: str
    bearer_token: str = field(default="", repr=False)
    bearer_token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 5.0
    max_bytes: int = 16_000_000

    def __post_init__(self) -> None:
        # the address is told with every error, and is a metric's label: no secret stays in it
        url, name, password = without_user(self.url)
        object.__setattr__(self, "url", url)
        if name and not self.username:
            object.__setattr__(self, "username", name)
            object.__setattr__(self, "password", password)
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigurationError("alertmanager.cert_file and alertmanager.key_file belong together")
        for name in ("ca_file", "cert_file", "key_file", "bearer_token_file"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ConfigurationError(f"alertmanager.{name}: there is no file {path}")

    def token(self) -> str:
        """Return the bearer token, read anew from its file; raise ConfigurationError when it cannot be read."""
        if self.bearer_token_file is None:
            return self.bearer_token
        try:
            return self.bearer_token_file.read_text(encoding="utf-8").strip()
        except OSError as err:
            raise ConfigurationError(
                f"alertmanager.bearer_token_file: {self.bearer_token_file}: {err.strerror}"
            ) from err
