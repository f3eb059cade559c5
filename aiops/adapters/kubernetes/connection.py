"""How an API server is connected to: the official client's configuration, checked, without a secret in any message."""

from __future__ import annotations

import math
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiops.errors import ConfigurationError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

REREAD_S = 60.0
"""How old a token may become before its file is looked at again: client-go's minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions:
    """Where an API server is: in the cluster, or by a kubeconfig and its context; neither: whichever is there.

    namespaced: see `KubernetesCluster`. qps, burst: how often it is asked in a second, and at once; 0 qps for no limit.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    namespaced: bool = False
    qps: float = 200.0
    burst: int = 400


def api_client(options: KubernetesOptions) -> ApiClient:
    """Return the official client, configured; raise ConfigurationError when there is nothing to connect to."""
    import yaml
    from kubernetes import config as loaders
    from kubernetes.client import ApiClient, Configuration

    config: Any = loaders  # the client's loaders have no types
    configuration = Configuration()
    try:
        _load(options, configuration)
        _check(configuration)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark
        where = "" if mark is None else f"{mark.name}:{mark.line + 1}:{mark.column + 1}: "
        raise ConfigurationError(f"no Kubernetes cluster to connect to: {where}{err.problem}") from None
    except (config.ConfigException, OSError) as err:
        raise ConfigurationError(f"no Kubernetes cluster to connect to: {_without_secrets(err)}") from None
    except (ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as err:
        # what the client's loader raises for a file of another shape
        file = options.kubeconfig or "the kubeconfig"
        said = f"{file} is no kubeconfig ({type(err).__name__})"
        raise ConfigurationError(f"no Kubernetes cluster to connect to: {said}") from None
    configuration.retries = False  # a write must never be sent twice by the transport (S6)
    configuration.connection_pool_maxsize = 32
    return ApiClient(configuration)


def _load(options: KubernetesOptions, configuration: Any) -> None:
    from kubernetes import config as loaders

    config: Any = loaders
    if options.in_cluster:
        config.load_incluster_config(client_configuration=configuration)
        return
    if options.kubeconfig is None and options.context is None:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            pass
        else:
            return
    _load_kubeconfig(options, configuration)


def _load_kubeconfig(options: KubernetesOptions, configuration: Any) -> None:
    from kubernetes.config import kube_config as loaders

    kube_config: Any = loaders
    paths = str(options.kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    merged = kube_config.KubeConfigMerger(paths).config
    if merged is None:
        alone = options.kubeconfig is None and not options.in_cluster
        hint = " (and this is no pod with a service account); set clusters.NAME.kubeconfig" if alone else ""
        raise kube_config.ConfigException(f"there is no {paths}{hint}")
    known = [str(one.value.get("name")) for one in merged["contexts"]]
    if options.context and options.context not in known:
        raise kube_config.ConfigException(f"{paths} has no context {options.context}; it has {', '.join(known)}")
    loader = kube_config.KubeConfigLoader(
        config_dict=merged, active_context=options.context or None, config_base_path=None
    )
    loader.load_and_set(configuration)
    named = loader.current_context["context"].get("user")
    entry = merged["users"].get_with_name(named, safe=True) if named else None
    if named and entry is None:
        raise kube_config.ConfigException(f"{paths}: the context's user {named} is not in its users")
    user = {} if entry is None else entry["user"].value
    if entry is not None and "tokenFile" in user and not user.get("token"):
        # the client reads it once; a token that is rotated would run out
        token = TokenFile(Path(os.path.dirname(str(entry.path)), str(user["tokenFile"])))
        token(configuration)
        configuration.refresh_api_key_hook = token
    if "exec" in user and not configuration.api_key and not configuration.cert_file:
        command = user["exec"].get("command") if isinstance(user["exec"], dict) else None
        raise kube_config.ConfigException(f"{paths}: the credential plugin {command} gave no credentials")


class TokenFile:
    """Puts the token of a file into a configuration, and reads it again each minute; the last one stays meanwhile."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_at = -math.inf

    def __call__(self, configuration: Any) -> None:
        """Put in the token that is to be sent now."""
        now = self._clock()
        if now - self._read_at < REREAD_S:
            return
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            token = ""
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"
        self._read_at = now


def _check(configuration: Any) -> None:
    """Raise ConfigurationError for what would fail at each request: the address, the token's form, certificates."""
    address = urlsplit(str(configuration.host))
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigurationError("no Kubernetes cluster to connect to: its server is no http(s) address")
    if not sendable(str(configuration.api_key.get("BearerToken", "")).strip()):
        raise ConfigurationError("no Kubernetes cluster to connect to: its token holds what no header may hold")
    what = "certificate-authority"
    try:
        if configuration.ssl_ca_cert:
            ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            what = "client-certificate with client-key"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    except OSError as err:
        raise ConfigurationError(f"no Kubernetes cluster to connect to: its {what} cannot be used: {err}") from None


def sendable(header: str) -> bool:
    """Return whether a header may hold this; the transport would quote it in its error (S10)."""
    return header.isascii() and header.isprintable()


def _without_secrets(err: Exception) -> str:
    """Return an error's text as far as it quotes nothing: the client names an entry by all that is in it."""
    return str(err).partition("/{")[0].removeprefix("Invalid kube-config file. ")
