"""What a trigger of a ScaledObject asks for, and the number that answers it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.decide.quantities import duration_s, quantity
from aiops.core.pipeline.outlook import ANOMALY, HORIZONS_S, LEAD, METRICS, PEAK, Missing, Prospect, Reading, Viewer
from aiops.errors import InvalidInput, NotFound, SourceUnavailable

KEYS = ("policy", "metric", "signal", "quantile", "horizon", "targetValue", "activationValue")
_KEDAS = ("scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey", "metricType")
_FORECASTS_ONLY = ("signal", "quantile", "horizon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The metadata of a trigger. signal '' and quantile None: those that the policy itself scales on.

    target: of the metric per replica, or in all; None where it is not needed. activation: above it there is work.
    """

    namespace: str
    policy: str
    metric: str = PEAK
    signal: str = ""
    quantile: float | None = None
    horizon: str = LEAD
    target: float | None = None
    activation: float = 0.0


def trigger(namespace: str, metadata: Mapping[str, str]) -> Trigger:
    """Return the trigger of a ScaledObject's metadata; raise InvalidInput, which names the key.

    Keys that are KEDA's own are left alone; one that is nearly ours is taken for a slip.
    """
    for key in metadata.keys() - {*KEYS, *_KEDAS}:
        near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.75)
        if near:
            raise InvalidInput(f"{key}: unknown key (did you mean {near[0]!r}?)")
    policy = metadata.get("policy", "").strip()
    if not policy:
        raise InvalidInput("policy is missing: the name of a policy in the ScaledObject's namespace")
    metric = metadata.get("metric", PEAK)
    if metric not in METRICS:
        raise InvalidInput(f"metric: {metric!r} is none of {', '.join(METRICS)}")
    for key in _FORECASTS_ONLY:
        if metric == ANOMALY and key in metadata:
            raise InvalidInput(f"{key}: {ANOMALY} has none")
    target = _number(metadata, "targetValue")
    if target is not None and target <= 0:
        raise InvalidInput(f"targetValue: {metadata['targetValue']!r} is not above 0")
    return Trigger(
        namespace=namespace,
        policy=policy,
        metric=metric,
        signal=metadata.get("signal", ""),
        quantile=_number(metadata, "quantile"),
        horizon=_horizon(metadata.get("horizon", LEAD)),
        target=target,
        activation=_number(metadata, "activationValue") or 0.0,
    )


def answer(asked: Trigger, viewer: Viewer) -> Reading:
    """Return the number that a trigger asks for.

    Raises NotFound for what is not there, SourceUnavailable for what is there and says nothing now: never a zero (S1).
    """
    told = _anomaly(asked, viewer) if asked.metric == ANOMALY else _forecast(asked, viewer)
    if isinstance(told, Missing):
        raise SourceUnavailable(f"{asked.policy}: {told.why}")
    return told


def _anomaly(asked: Trigger, viewer: Viewer) -> Reading | Missing:
    found = viewer.newest().alarms.get(f"WatchPolicy/{asked.namespace}/{asked.policy}")
    if found is None:
        raise NotFound(f"there is no WatchPolicy {asked.namespace}/{asked.policy}")
    return viewer.of_alarm(found)


def _forecast(asked: Trigger, viewer: Viewer) -> Reading | Missing:
    found = viewer.newest().prospects.get(f"ScalingPolicy/{asked.namespace}/{asked.policy}")
    if found is None:
        raise NotFound(f"no ScalingPolicy {asked.namespace}/{asked.policy} foresees anything")
    if asked.signal not in ("", found.forecast.signal):
        raise NotFound(f"{asked.policy} foresees {found.forecast.signal}, and not {asked.signal}")
    quantile = _quantile(asked, found)
    why = viewer.unfit(found)
    return Missing(labels={}, why=why) if why else viewer.of_forecast(found, asked.metric, quantile, asked.horizon)


def _quantile(asked: Trigger, found: Prospect) -> float:
    wanted = found.quantile if asked.quantile is None else asked.quantile
    for one in found.forecast.quantiles:
        if abs(one - wanted) < 1e-9:
            return one
    known = ", ".join(f"{one:g}" for one in found.forecast.quantiles)
    raise NotFound(f"quantile {wanted:g} is not foreseen; there are {known}")


def _number(metadata: Mapping[str, str], key: str) -> float | None:
    if key not in metadata:
        return None
    try:
        return quantity(metadata[key])
    except ValueError as err:
        raise InvalidInput(f"{key}: {err}") from err


def _horizon(text: str) -> str:
    if text == LEAD:
        return LEAD
    try:
        seconds = duration_s(text)
    except ValueError as err:
        raise InvalidInput(f"horizon: {err}") from err
    for name, horizon_s in HORIZONS_S.items():
        if horizon_s == seconds:
            return name
    raise InvalidInput(f"horizon: {text!r} is none of {', '.join([LEAD, *HORIZONS_S])}")
