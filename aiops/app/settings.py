"""Settings of the daemon: a file, then `AIOPS_...` in the environment, then flags; the later wins.

Nested keys in the environment are joined by two underscores: `AIOPS_PROMETHEUS__URL`.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from aiops.app.alertmanager_settings import AlertmanagerSettings
from aiops.app.audit_settings import AuditSettings
from aiops.app.engine_settings import EngineSettings, ModelsSettings
from aiops.app.git_settings import GitSettings
from aiops.app.notify_settings import NotifySettings
from aiops.app.price_settings import PriceSettings
from aiops.app.scope_settings import LimitSettings, ScopeSettings
from aiops.app.scrape_settings import ScrapeSettings
from aiops.app.section import AccessSettings, BaseUrl, Section
from aiops.app.tracing import TelemetrySettings
from aiops.app.web_settings import LOOPBACK, ListenSettings, WebSettings
from aiops.core.decide.quantities import Duration, Quantity
from aiops.core.model import Mode
from aiops.core.planning.failover import LANE_S
from aiops.errors import ConfigurationError
from aiops.policy.document import Document, documents
from aiops.policy.document import Path as FieldPath

PREFIX = "AIOPS_"


class PrometheusSettings(AccessSettings):
    """The metrics source, and how it is asked without being hurt (S10)."""

    url: BaseUrl
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeout: Duration = 10.0
    retries: int = Field(2, ge=0, le=10)
    concurrency: int = Field(8, ge=1, le=64)
    max_series: int = Field(100_000, ge=1)
    max_bytes: Quantity = 64e6
    per_second: float | None = Field(None, gt=0)
    history_within: Duration = Field(300.0, gt=0)
    jitter: Duration = 0.5


class SourceSettings(PrometheusSettings):
    """Another metrics source, such as a vantage point of a failover: asked within a faster lane, and not for long."""

    timeout: Duration = Field(3.0, gt=0)
    retries: int = Field(0, ge=0, le=10)
    jitter: Duration = 0.0


class ClusterSettings(Section):
    """One Kubernetes API server. namespaced: nothing of the whole cluster is read, neither nodes nor namespaces.

    source: which of `sources` signals of policies for its workloads are asked of, where they name none. qps, burst: how
    often its API server is asked in a second, and at once (plans look at each object by itself); 0 qps for no limit.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    namespaced: bool = False
    source: str = ""
    qps: float = Field(200.0, ge=0, le=10_000)
    burst: int = Field(400, ge=1, le=10_000)

    def reached(self) -> dict[str, Any]:
        """Return how it is reached: what the adapter's options are made of."""
        return self.model_dump(exclude={"source"})


class LeaseSettings(Section):
    """Who leads when several replicas run (S6): a Lease in one of the clusters.

    enabled: `auto` takes part wherever something is written that others could write, too: in mode approve and enforce,
    and always when the store is shared. replicas: how many run. duration, renew and retry are client-go's. defer: for
    how much longer a Lease that is free, or has run out, is left to others.
    """

    enabled: bool | Literal["auto"] = "auto"
    replicas: int = Field(1, ge=1, le=100)
    cluster: str | None = None
    namespace: str = Field("aiops", pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    name: str = Field("aiops", pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    duration: Duration = Field(15.0, ge=1)
    renew: Duration = Field(10.0, ge=0.5)
    retry: Duration = Field(2.0, ge=0.1)
    defer: Duration = Field(0.0, ge=0, le=600)

    @model_validator(mode="after")
    def renewed_in_time(self) -> LeaseSettings:
        """Refuse times with which a holder would act after others think it gone, or could not renew in time."""
        if not self.retry < self.renew < self.duration:
            raise ValueError(
                f"retry ({self.retry:g} s) must be shorter than renew ({self.renew:g} s), "
                f"and renew shorter than duration ({self.duration:g} s)"
            )
        return self


class CustomResourceSettings(Section):
    """Policies that are objects of a cluster's API, beside those of files.

    enabled: `auto` reads them where the daemon runs in the cluster itself. cluster: whose; the first without one.
    namespaces: where they are read; in all without any.
    """

    enabled: bool | Literal["auto"] = "auto"
    cluster: str | None = None
    namespaces: tuple[str, ...] = ()


class SimulationSettings(Section):
    """An embedded simulated cluster in place of Prometheus and Kubernetes."""

    scenario: str
    acceleration: float = Field(30.0, gt=0, le=100_000)
    seed: int | None = None


class StoreSettings(Section):
    """The record, and how much of it is kept."""

    url: str = "sqlite:///var/aiops.db"
    max_age: Duration = 90 * 86400.0
    max_bytes: Quantity = 2e9


class ExternalMetricsSettings(ListenSettings):
    """The external metrics API, which a stock HPA reads through the API server's aggregation layer.

    client_ca_file: the authority of the aggregation layer's client certificate (requestheader-client-ca-file), and
    allowed_names the common names in it: nobody else is answered, on loopback neither (S10).
    """

    enabled: bool = False
    port: int = Field(6443, ge=0, le=65535)
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    allowed_names: tuple[str, ...] = Field(("front-proxy-client",), min_length=1)

    @model_validator(mode="after")
    def certificates_are_a_must(self) -> ExternalMetricsSettings:
        """Refuse to serve without knowing the API server."""
        if self.enabled and None in (self.cert_file, self.key_file, self.client_ca_file):
            raise ValueError("cert_file, key_file and client_ca_file are needed: only the API server is answered")
        return self


class KedaSettings(ListenSettings):
    """The external scaler that KEDA's operator calls. Off loopback it must show a certificate of client_ca_file (S10).

    push_every: how often a stream says again what has not changed.
    """

    enabled: bool = False
    port: int = Field(6000, ge=0, le=65535)
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    push_every: Duration = Field(30.0, ge=1)

    @model_validator(mode="after")
    def off_loopback_needs_certificates(self) -> KedaSettings:
        """Refuse half a certificate, and to serve strangers."""
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file come together")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ValueError("client_ca_file needs cert_file and key_file")
        if self.enabled and self.host not in LOOPBACK and self.client_ca_file is None:
            raise ValueError(f"host {self.host} is not loopback: set cert_file, key_file and client_ca_file")
        return self


class AnomaliesSettings(Section):
    """What is seen and expected of each watched series, on /metrics. metric_format: `$VAR` is the variable.

    max_series: of one policy; of one with more only those that are anomalous are told.
    """

    enabled: bool = True
    metric_format: str = Field("$VAR", pattern=r"^[a-zA-Z_:]?[a-zA-Z0-9_:]*\$VAR[a-zA-Z0-9_:]*$")
    max_series: int = Field(200, ge=1, le=10_000)


class ExportSettings(Section):
    """Forecasts and anomaly scores for autoscalers that are not ours. max_age: what is older is told to nobody (S1)."""

    max_age: Duration = Field(180.0, ge=120)
    anomalies: AnomaliesSettings = AnomaliesSettings()
    external_metrics: ExternalMetricsSettings = ExternalMetricsSettings()
    keda: KedaSettings = KedaSettings()


class PromotionSettings(Section):
    """What makes a policy act (S6). by: a promotion on evidence, or that its file is loaded.

    evidence_for: how long a spec must have run without acting, or in approve, before it may act (further).
    """

    by: Literal["evidence", "file"] = "evidence"
    evidence_for: Duration = Field(86_400.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def one_word(cls, value: Any) -> Any:
        """Accept `promotion: file` in place of `promotion: {by: file}`."""
        return {"by": value} if isinstance(value, str) else value


class FreezeSettings(Section):
    """A change freeze."""

    name: str
    schedule: str
    duration: Duration
    time_zone: str = "UTC"


class LogSettings(Section):
    """How the daemon speaks."""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class StopSettings(Section):
    """How long each stage of a stop may take."""

    tick: Duration = 10.0
    web: Duration = 5.0
    adapters: Duration = 5.0


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    mode: Mode = Mode.DRY_RUN
    policies: tuple[Path, ...] = (Path("policies"),)
    step: Duration = Field(15.0, ge=1)
    lane: Duration = Field(LANE_S, ge=1)
    prometheus: PrometheusSettings | None = None
    sources: dict[str, SourceSettings] = {}
    scrape: ScrapeSettings | None = None
    clusters: dict[str, ClusterSettings] = {}
    lease: LeaseSettings = LeaseSettings()
    custom_resources: CustomResourceSettings = CustomResourceSettings()
    simulation: SimulationSettings | None = None
    store: StoreSettings = StoreSettings()
    models: ModelsSettings = ModelsSettings()
    engine: EngineSettings = EngineSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    web: WebSettings = WebSettings()
    export: ExportSettings = ExportSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    depends_on: dict[str, tuple[str, ...]] = {}
    scope: ScopeSettings = ScopeSettings()
    limits: LimitSettings = LimitSettings()
    promotion: PromotionSettings = PromotionSettings()
    audit: AuditSettings = AuditSettings()
    git: GitSettings = GitSettings()
    notify: NotifySettings = NotifySettings()
    freezes: tuple[FreezeSettings, ...] = ()
    prices: PriceSettings = PriceSettings()
    pause_file: Path | None = None
    log: LogSettings = LogSettings()
    stop: StopSettings = StopSettings()

    @model_validator(mode="after")
    def one_world(self) -> Settings:
        """Need a metrics source: a real one or the simulated one, and not both."""
        real = self.prometheus is not None or self.clusters or self.sources or self.scrape is not None
        if self.simulation is not None and real:
            raise ValueError("simulation stands in for prometheus, sources, scrape and clusters: set one or the other")
        if self.simulation is not None and self.git.targets:
            raise ValueError("git: nothing follows a branch into a simulated cluster")
        for name, one in self.clusters.items():
            if one.source and one.source not in self.sources:
                known = ", ".join(sorted(self.sources)) or "none"
                raise ValueError(f"clusters.{name}.source: there is no source {one.source!r} (sources: {known})")
        if "" in self.sources:
            raise ValueError("a source has a name; the one without is prometheus")
        if self.scrape is not None and "scrape" in self.sources:
            raise ValueError("the source `scrape` is what is scraped: give the other one of `sources` another name")
        if self.simulation is not None and self.custom_resources.enabled is True:
            raise ValueError("custom_resources are a cluster's: a simulation has none")
        return self

    @model_validator(mode="after")
    def one_record(self) -> Settings:
        """Refuse several replicas that would each keep a record of its own (S6)."""
        if self.lease.replicas > 1 and self.store.url.startswith("sqlite"):
            raise ValueError(
                f"lease.replicas is {self.lease.replicas}, and store.url is a SQLite file, which has one writer: "
                "several replicas share a PostgreSQL (postgresql+psycopg://user@host/aiops)"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take flags and the file as `load_settings` has merged them, and the environment between them."""
        return (init_settings,)


def load_settings(file: Path | None, flags: dict[str, Any] | None = None) -> Settings:
    """Return the settings; raise ConfigurationError that names file, line, column and field."""
    document = _read(file) if file is not None else None
    data = document.data if document is not None else {}
    environment = EnvSettingsSource(
        Settings, env_prefix=PREFIX, env_nested_delimiter="__", case_sensitive=False, env_ignore_empty=True
    )
    try:
        merged = _merged(_merged(data, environment()), flags or {})
        return Settings(**merged)
    except ValidationError as err:
        lines = [_said(tuple(one["loc"]), one["type"], one["msg"], document) for one in err.errors(include_url=False)]
        raise ConfigurationError("\n".join(lines)) from err
    except ValueError as err:
        raise ConfigurationError(f"environment: {err}") from err


def _read(file: Path) -> Document:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as err:
        raise ConfigurationError(f"{file}: the configuration cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise ConfigurationError(f"{file}: the configuration is no UTF-8 text (byte {err.start})") from err
    found, problems = documents(text, str(file))
    if problems:
        raise ConfigurationError("\n".join(map(str, problems)))
    if len(found) > 1 or (found and not isinstance(found[0].data, dict)):
        raise ConfigurationError(f"{file}:1:1: the configuration is one mapping of settings")
    return found[0] if found else Document(origin=str(file), data={}, places={(): (1, 1)}, values={})


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        both = isinstance(out.get(key), dict) and isinstance(value, dict)
        out[key] = _merged(out[key], value) if both else value
    return out


def _said(path: FieldPath, kind: str, message: str, document: Document | None) -> str:
    hint = ""
    if kind == "extra_forbidden":
        message = "unknown setting"
        known = _known(path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    message = message.removeprefix("Value error, ")
    if document is not None and path[:1] and path[:1] in document.places:
        return str(document.problem(path, message, hint=hint))
    where = ".".join(map(str, path)) or "settings"
    named = PREFIX + "__".join(str(part).upper() for part in path)
    source = f" (from {named})" if named in os.environ else ""
    return f"{where}: {message}{f' ({hint})' if hint else ''}{source}"


def _known(path: FieldPath) -> list[str]:
    model: type[BaseModel] = Settings
    named = False
    for part in path:
        if named:
            named = False  # a name that the user gave, as of a cluster
            continue
        info = model.model_fields.get(str(part))
        candidates = _types(info.annotation) if info is not None else ()
        inner = next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if inner is None:
            return []
        model, named = inner, any(getattr(one, "__origin__", None) is dict for one in candidates)
    return sorted(model.model_fields)


def _types(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *getattr(annotation, "__args__", ()))
