"""What is scraped and how, and the limits on what is taken (S10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiops.core.addresses import unsendable, without_user
from aiops.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How targets of a job are reached. Secrets are kept out of the representation; files are read each time."""

    bearer_token: str = field(default="", repr=False)
    bearer_token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""
    insecure_skip_verify: bool = False

    def token(self) -> str:
        """Return the bearer token, read anew from its file; raise OSError, or ValueError when no header may have it."""
        file = self.bearer_token_file
        token = self.bearer_token if file is None else file.read_text(encoding="utf-8").strip()
        if why := unsendable(token):
            raise ValueError(why)
        return token


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One /metrics. labels: set on each of its series. metrics: regular expressions of the names kept, () for all.

    max_bytes: of one answer, unpacked. max_samples: kept of one answer; more fail the scrape.
    """

    job: str
    url: str
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    interval_s: float = 15.0
    timeout_s: float = 5.0
    max_bytes: int = 10_000_000
    max_samples: int = 5_000
    access: Access = field(default_factory=Access)

    def __post_init__(self) -> None:
        if without_user(self.url)[0] != self.url:
            raise ConfigurationError(
                f"scrape.jobs.{self.job}: credentials stand in username and password, not in a URL"
            )

    @property
    def instance(self) -> str:
        """Return host and port, as Prometheus names a target."""
        parts = urlsplit(self.url)
        return parts.netloc if parts.port is not None else f"{parts.netloc}:{_PORTS.get(parts.scheme, 80)}"

    @property
    def own(self) -> dict[str, str]:
        """Return the labels that the target sets, whatever it exposes."""
        return {"job": self.job, "instance": self.instance, **self.labels}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeOptions:
    """Targets, and how much of what they tell is kept. file: where it outlives the process, None for nowhere."""

    targets: tuple[Target, ...]
    keep_s: float = 86_400.0
    max_series: int = 5_000
    max_samples: int = 1_000_000
    file: Path | None = None
    write_every_s: float = 60.0
    concurrency: int = 4
