"""How the metrics source is reached, and the limits on what is asked of it (S10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiops.core.addresses import overfull, unsendable, without_user
from aiops.errors import ConfigurationError, SourceUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusOptions:
    """Address, credentials (also those in the address), limits. Secrets are kept out of the representation.

    timeout_s: for one query with its retries. max_series, max_bytes: of one answer. max_samples: that one piece of a
    history is planned to have; max_history: of all its pieces; history_within_s: how long it may take in all, before it
    becomes coarser. read_within_s: how long one reading of everything may take. per_s: how many queries a second are
    asked in the long run. jitter_s: how long at most a read waits, so that many daemons do not ask at one instant.
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
    timeout_s: float = 10.0
    retries: int = 2
    backoff_s: float = 0.2
    concurrency: int = 8
    max_series: int = 100_000
    max_bytes: int = 64_000_000
    max_samples: int = 2_000_000
    max_history: int = 100_000_000
    history_within_s: float = math.inf
    read_within_s: float = math.inf
    per_s: float = math.inf
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        # the address is told with every error and recorded with it: no secret stays in it
        if why := overfull(self.url):
            raise ConfigurationError(f"the address of Prometheus: {why}")
        url, name, password = without_user(self.url)
        object.__setattr__(self, "url", url)
        if name and not self.username:
            object.__setattr__(self, "username", name)
            object.__setattr__(self, "password", password)
        for name in ("ca_file", "cert_file", "key_file", "bearer_token_file"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ConfigurationError(f"prometheus.{name}: there is no file {path}")
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigurationError("prometheus.cert_file and prometheus.key_file belong together")
        for name, secret in (("bearer_token", self.bearer_token), *self.headers.items()):
            if why := unsendable(secret):
                raise ConfigurationError(f"prometheus: {name}: {why}")

    def token(self) -> str:
        """Return the bearer token, read anew from its file, since tokens of service accounts are renewed.

        Raises SourceUnavailable: a file that is gone for now, or half written, is no reason to end a daemon.
        """
        file = self.bearer_token_file
        if file is None:
            return self.bearer_token
        try:
            token = file.read_text(encoding="utf-8").strip()
        except OSError as err:
            raise SourceUnavailable(f"prometheus.bearer_token_file: {file}: {err.strerror}") from err
        except UnicodeDecodeError:
            raise SourceUnavailable(f"prometheus.bearer_token_file: {file} is no UTF-8 text") from None
        if why := unsendable(token):
            raise SourceUnavailable(f"prometheus.bearer_token_file: {file}: {why}")
        return token
