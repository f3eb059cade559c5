"""Traces of turns, where the settings ask for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from aiops import __version__
from aiops.app.section import Section
from aiops.app.web_settings import ListenSettings
from aiops.core.decide.quantities import Duration
from aiops.errors import ConfigurationError

if TYPE_CHECKING:
    from aiops.adapters.tracing import TracedTelemetry
    from aiops.ports import Telemetry


class TraceSettings(Section):
    """endpoint: where OTLP/HTTP is taken, such as http://collector:4318/v1/traces. ratio: the share that is sent."""

    endpoint: str
    ratio: float = Field(1.0, ge=0.0, le=1.0)
    timeout: Duration = Field(5.0, gt=0.0, le=60.0)

    @field_validator("endpoint")
    @classmethod
    def http(cls, value: str) -> str:
        """Need a URL of HTTP."""
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{value!r} is no URL of http or https (such as http://collector:4318/v1/traces)")
        return value


class TelemetrySettings(ListenSettings):
    """Where /metrics listens. traces: of each turn, sent to a collector; nothing without it."""

    traces: TraceSettings | None = None


def traced(settings: TraceSettings | None, inner: Telemetry) -> TracedTelemetry | None:
    """Return a telemetry that traces turns and tells `inner`; None where nobody asks; raise ConfigurationError."""
    if settings is None:
        return None
    try:
        from aiops.adapters.tracing import TracedTelemetry, exported, provider
    except ModuleNotFoundError as err:
        hint = "install aiops with the extra otel: pip install 'aiops[otel]'"
        raise ConfigurationError(f"telemetry.traces: {err.name} is not installed ({hint})") from err

    sender = exported(settings.endpoint, settings.timeout)
    return TracedTelemetry(inner, provider(sender, settings.ratio, __version__), time.time)
