"""The daemon's own metrics, `aiops_*`, in base units and with bounded labels; and the telemetry port."""

from aiops.adapters.metrics.alertmanager import AlertmanagerCollector, AlertmanagerNumbers
from aiops.adapters.metrics.anomalies import AnomalyCollector, Naming
from aiops.adapters.metrics.clusters import RateCollector, RateNumbers
from aiops.adapters.metrics.engine import ShardCollector, ShardNumbers
from aiops.adapters.metrics.following import FollowingCollector, FollowingNumbers
from aiops.adapters.metrics.incidents import IncidentCollector
from aiops.adapters.metrics.models import ModelCollector
from aiops.adapters.metrics.money import MoneyCollector, MoneyNumbers
from aiops.adapters.metrics.outlook import OutlookCollector
from aiops.adapters.metrics.planned import PlanCollector
from aiops.adapters.metrics.prices import PriceCollector
from aiops.adapters.metrics.registry import LoopMetrics
from aiops.adapters.metrics.repositories import RepositoryCollector
from aiops.adapters.metrics.server import TelemetryServer
from aiops.adapters.metrics.standing import AuditSeen, Standing, StandingCollector
from aiops.adapters.metrics.timing import TimingCollector, TimingNumbers

__all__ = [
    "AlertmanagerCollector",
    "AlertmanagerNumbers",
    "AnomalyCollector",
    "AuditSeen",
    "FollowingCollector",
    "FollowingNumbers",
    "IncidentCollector",
    "LoopMetrics",
    "ModelCollector",
    "MoneyCollector",
    "MoneyNumbers",
    "Naming",
    "OutlookCollector",
    "PlanCollector",
    "PriceCollector",
    "RateCollector",
    "RateNumbers",
    "RepositoryCollector",
    "ShardCollector",
    "ShardNumbers",
    "Standing",
    "StandingCollector",
    "TelemetryServer",
    "TimingCollector",
    "TimingNumbers",
]
