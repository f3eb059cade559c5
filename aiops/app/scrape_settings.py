"""What is scraped by the daemon itself; see docs/edge.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from aiops.app.section import AccessSettings, Section
from aiops.core.addresses import without_user
from aiops.core.decide.quantities import Duration, Quantity

if TYPE_CHECKING:
    from aiops.app.settings import Settings

SCRAPE = "scrape"
"""The name of the source that is scraped samples."""

_URL = re.compile(r"https?://[^/@\s]+(/[^@\s]*)?")


def _address(value: str) -> str:
    # what was written is not told again: it may hold a password
    if not _URL.fullmatch(value):
        raise ValueError("an address is http(s)://HOST:PORT/metrics; credentials stand in fields of their own")
    return value


Url = Annotated[str, AfterValidator(_address)]


class JobSettings(AccessSettings):
    """Targets that are alike. metrics: regular expressions of the names that are kept; all without any."""

    targets: tuple[Url, ...]
    labels: dict[str, str] = Field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    interval: Duration | None = Field(None, ge=1)
    timeout: Duration | None = Field(None, gt=0)
    max_bytes: Quantity = Field(10e6, ge=1)
    max_samples: int = Field(5_000, ge=1)
    server_name: str | None = None

    @field_validator("metrics")
    @classmethod
    def patterns_compile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no regular expression."""
        for one in value:
            try:
                re.compile(one, re.ASCII)
            except re.error as err:
                raise ValueError(f"{one!r} is no regular expression: {err}") from err
        return value

    @model_validator(mode="after")
    def whole_and_of_one_mind(self) -> JobSettings:
        """Refuse a job without targets, half a certificate, and two ways to show who asks."""
        if not self.targets:
            raise ValueError("targets: there is none")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        if self.username is not None and (self.bearer_token is not None or self.bearer_token_file is not None):
            raise ValueError("username or a bearer token, not both")
        return self


class ScrapeSettings(Section):
    """Metrics without a Prometheus, or beside one as the source `scrape`.

    keep: how long samples are kept, within max_samples. fallback: whether they answer while prometheus is away.
    """

    jobs: dict[str, JobSettings] = Field(min_length=1)
    interval: Duration = Field(15.0, ge=1)
    timeout: Duration = Field(5.0, gt=0)
    keep: Duration = Field(86_400.0, ge=600)
    max_series: int = Field(5_000, ge=10)
    max_samples: int = Field(1_000_000, ge=20_000)
    file: Path | None = Path("var/scrape.db")
    fallback: bool = False

    @model_validator(mode="after")
    def answered_in_time(self) -> ScrapeSettings:
        """Refuse targets that may take longer than until they are asked again."""
        for name, job in self.jobs.items():
            interval, timeout = job.interval or self.interval, job.timeout or self.timeout
            if timeout > interval:
                raise ValueError(
                    f"jobs.{name}: its timeout ({timeout:g} s) is longer than its interval ({interval:g} s)"
                )
        return self


def local_sources(settings: Settings) -> frozenset[str]:
    """Return the names of sources that are scraped samples; '' is the one that all policies ask."""
    if settings.scrape is None:
        return frozenset()
    return frozenset({SCRAPE} if settings.prometheus is not None else {"", SCRAPE})


def standing(settings: Settings) -> list[str]:
    """Return where metrics come from, for people."""
    told = [] if settings.prometheus is None else [f"metrics from {without_user(settings.prometheus.url)[0]}"]
    if settings.scrape is not None:
        jobs = ", ".join(sorted(settings.scrape.jobs))
        told.append(f"scraped here: {jobs}" + (", in place of it while it is away" if settings.scrape.fallback else ""))
    return told
