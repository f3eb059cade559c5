"""The autoscalers that people run today, each after its own documentation, and the clairvoyant optimum.

They are what ours is measured against (`simulators.lab`); the HPA also lives in the world of `simulators.world`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulators.autoscalers.behavior import Behavior
from simulators.autoscalers.hpa import HpaAutoscaler
from simulators.autoscalers.keda import KedaAutoscaler
from simulators.autoscalers.knative import KnativeAutoscaler
from simulators.autoscalers.phpa import DAY_SYNCS, HoltWinters, PhpaAutoscaler, Smoothing
from simulators.autoscalers.predictive_floor import PredictiveFloorAutoscaler
from simulators.autoscalers.protocol import SYNC_S, Autoscaler, Sample
from simulators.autoscalers.quantile_forecast import QuantileForecastAutoscaler
from simulators.autoscalers.replicas import Tolerance
from simulators.autoscalers.static_peak import MARGIN, StaticPeakAutoscaler

__all__ = ["AUTOSCALERS", "STOCK_KNOBS", "SYNC_S", "Autoscaler", "Sample"]

_TUNED = Behavior(tolerance=Tolerance(down=0.05, up=0.05))
"""What people narrow first once the defaults have cost them."""

_DAY = Smoothing(alpha=0.1, beta=0.0, gamma=0.3)
"""For a season of a day in steps of 15 s: the 0.9 of the examples would follow noise to twice the replicas."""

AUTOSCALERS: Mapping[str, Callable[[float], Autoscaler]] = {
    "hpa": HpaAutoscaler,
    "hpa-tuned": lambda knob: HpaAutoscaler(knob, _TUNED, by_rate=True, name="hpa-tuned"),
    "keda": KedaAutoscaler,
    "knative": KnativeAutoscaler,
    "phpa-linear": PhpaAutoscaler,
    "phpa-holt-winters": lambda knob: PhpaAutoscaler(knob, HoltWinters(DAY_SYNCS, 4, _DAY)),
    "predictive-floor": PredictiveFloorAutoscaler,
    "quantile-forecast": QuantileForecastAutoscaler,
    "static-peak": StaticPeakAutoscaler,
}
"""By name: a fresh autoscaler for a value of its safety knob: a target utilisation, or the margin of static-peak."""

STOCK_KNOBS: Mapping[str, float] = {name: MARGIN if name == "static-peak" else 0.7 for name in AUTOSCALERS}
"""The knob that the curve of each is read at first."""
