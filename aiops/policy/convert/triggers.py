"""KEDA's triggers: each as demand, or as a window of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiops.policy import promql, schedule
from aiops.policy.convert import metrics
from aiops.policy.convert.draft import Data
from aiops.policy.convert.manifest import Fields
from aiops.policy.convert.metrics import Demand, Workload
from aiops.policy.convert.metrics import quoted as q

LAG_THRESHOLD, QUEUE_LENGTH = 5.0, 20.0
"""KEDA's defaults."""

_FIRST = datetime(2026, 1, 1)  # noqa: DTZ001  # a wall clock without a zone, so that no summer time changes a length
_LOOKED_AT_DAYS = 370
_MOST_STARTS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A trigger as demand. waits_in, rate_of: the queue whose length, or whose arrivals, it looks at."""

    demand: Demand
    checks: tuple[str, ...] = ()
    waits_in: str = ""
    rate_of: str = ""


def read(trigger: Fields, workload: Workload) -> Read | None:
    """Return a trigger as demand; None, noted, for what cannot be converted."""
    kind = trigger.text("type", needed=True)
    reader = _READERS.get(kind)
    trigger.unknown(("type", "name", "metadata", "metricType", "authenticationRef", "useCachedMetrics"))
    if reader is None:
        if kind:
            hint = f"known: {', '.join(sorted((*_READERS, 'cron')))}; write its metric as a signal in PromQL"
            trigger.log.leave(trigger.manifest, (*trigger.path, "type"), f"the trigger {kind!r} is not converted", hint)
        return None
    found = reader(trigger, trigger.within("metadata"), workload)
    for key in trigger.within("metadata").names() if found is not None else ():
        if key.startswith("activation"):
            message = "activation is about the step from zero, which is left behind"
            trigger.log.leave(trigger.manifest, (*trigger.path, "metadata", key), message)
    return found


def _prometheus(trigger: Fields, metadata: Fields, workload: Workload) -> Read | None:
    query, threshold = metadata.text("query", needed=True), _positive(metadata, "threshold")
    if not query or threshold is None:
        return None
    try:
        promql.checked(query)
    except ValueError as err:
        metadata.log.wrong(metadata.manifest, (*metadata.path, "query"), str(err))
        return None
    message = "it is asked of the Prometheus of the daemon's settings"
    metadata.log.look(metadata.manifest, (*metadata.path, "serverAddress"), message, "it must know the same metrics")
    if metadata.text("ignoreNullValues") != "false":
        message = "no answer counted as 0 (ignoreNullValues); the policy holds"
        metadata.log.leave(
            metadata.manifest, (*metadata.path, "query"), message, "onAbsent: zero needs a presence query"
        )
    name = (trigger.text("name") or "demand").replace("-", "_")
    demand = Demand(name=name if name.isidentifier() else "demand", query=query.strip(), unit="", per_replica=threshold)
    return _leveled(trigger, demand, workload)


def _leveled(trigger: Fields, demand: Demand, workload: Workload) -> Read | None:
    """Return the demand of a total, or of a level (metricType: Value), which grows with the replicas that are ready."""
    if trigger.text("metricType") != "Value":
        return Read(demand=demand)
    if workload.ready is None:
        message = f"metricType: Value needs to know how many of the {workload.kind} are ready"
        trigger.log.leave(trigger.manifest, (*trigger.path, "metricType"), message)
        return None
    query = f"sum({demand.query}) * {workload.ready}"
    return Read(demand=Demand(name=demand.name, query=query, unit=demand.unit, per_replica=demand.per_replica))


def _resource(resource: str) -> Callable[[Fields, Fields, Workload], Read | None]:
    def found(trigger: Fields, metadata: Fields, workload: Workload) -> Read | None:
        value, container = _positive(metadata, "value"), metadata.text("containerName")
        if value is None:
            return None
        if (trigger.text("metricType") or metadata.text("type")) == "AverageValue":
            return Read(demand=metrics.average_use(workload, resource, value, container))
        return Read(demand=metrics.utilisation(workload, resource, value / 100.0, container))

    return found


def _kafka(trigger: Fields, metadata: Fields, workload: Workload) -> Read | None:
    """Return lag as demand, as much as partitions allow: KEDA, too, makes no consumers that would be idle."""
    group, topic = metadata.text("consumerGroup", needed=True), metadata.text("topic")
    threshold = _positive(metadata, "lagThreshold", LAG_THRESHOLD)
    if not group or threshold is None:
        return None
    labels = f"consumergroup={q(group)}" + (f",topic={q(topic)}" if topic else "")
    query = f"sum(kafka_consumergroup_lag{{{labels}}})"
    if metadata.text("allowIdleConsumers") != "true":
        query = f"clamp_max({query}, {threshold:g} * scalar(count(kafka_consumergroup_lag{{{labels}}})))"
    for key in ("limitToPartitionsWithLag", "ensureEvenDistributionOfPartitions", "excludePersistentLag"):
        if metadata.text(key) == "true":
            metadata.log.leave(metadata.manifest, (*metadata.path, key), "this refinement of the lag is left out")
    demand = Demand(name="waiting", query=query, unit="msg", per_replica=threshold)
    check = "CHECK waiting: the metric is that of kafka-exporter; KEDA asked the brokers."
    _exported(metadata, "kafka-exporter")
    return Read(demand=demand, checks=(check,), waits_in=f"{group}/{topic}")


def _rabbitmq(trigger: Fields, metadata: Fields, workload: Workload) -> Read | None:
    queue, mode = metadata.text("queueName", needed=True), metadata.text("mode") or "QueueLength"
    value = _positive(metadata, "value", _positive(metadata, "queueLength", QUEUE_LENGTH))
    if not queue or value is None:
        return None
    host = metadata.text("vhostName")
    labels = f"queue={q(queue)}" + (f",vhost={q(host)}" if host else "")
    _exported(metadata, "RabbitMQ's Prometheus plugin (detailed metrics of queues)")
    check = "the metric is that of RabbitMQ's detailed endpoint; KEDA asked its management API."
    match mode:
        case "QueueLength":
            query = f"sum(rabbitmq_detailed_queue_messages{{{labels}}})"
            demand = Demand(name="waiting", query=query, unit="msg", per_replica=value)
            return Read(demand=demand, checks=(f"CHECK waiting: {check}",), waits_in=f"{host}/{queue}")
        case "MessageRate":
            query = f"sum(rate(rabbitmq_detailed_queue_messages_published_total{{{labels}}}[{metrics.RATE}]))"
            demand = Demand(name="published", query=query, unit="msg/s", per_replica=value)
            return Read(demand=demand, checks=(f"CHECK published: {check}",), rate_of=f"{host}/{queue}")
        case _:
            hint = "QueueLength or MessageRate"
            metadata.log.leave(metadata.manifest, (*metadata.path, "mode"), f"the mode {mode!r} is not converted", hint)
            return None


_READERS: Mapping[str, Callable[[Fields, Fields, Workload], Read | None]] = {
    "prometheus": _prometheus,
    "cpu": _resource(metrics.CPU),
    "memory": _resource(metrics.MEMORY),
    "kafka": _kafka,
    "rabbitmq": _rabbitmq,
}


def window(trigger: Fields, most: int) -> Data | None:
    """Return a cron trigger as a window with a floor; None, noted, where its length is not always the same."""
    metadata = trigger.within("metadata")
    zone, start, end = (metadata.text(key, needed=True) for key in ("timezone", "start", "end"))
    replicas = metadata.whole("desiredReplicas", needed=True, least=0)
    if not (zone and start and end) or replicas is None:
        return None
    for key, cron in (("start", start), ("end", end)):
        try:
            schedule.window(cron, 60.0, zone)
        except ValueError as err:
            metadata.log.wrong(metadata.manifest, (*metadata.path, key), str(err))
            return None
    lengths = _lengths(start, end)
    if len(lengths) != 1:
        message = f"from start to end it lasts {len(lengths)} different times; a window has one duration"
        metadata.log.leave(metadata.manifest, (*metadata.path, "end"), message, "split it into windows of one length")
        return None
    minutes = round(lengths.pop().total_seconds() / 60)
    floor = min(replicas, most)
    return {"schedule": start, "duration": f"{minutes}m", "timeZone": zone, "minReplicas": floor}


def _lengths(start: str, end: str) -> set[timedelta]:
    """Return how long it is from each start to the end after it, over a year."""
    from cronsim import CronSim

    until = _FIRST + timedelta(days=_LOOKED_AT_DAYS)
    found: set[timedelta] = set()
    ends = CronSim(end, _FIRST)
    coming = next(ends, None)
    for number, begins in enumerate(CronSim(start, _FIRST)):
        if begins > until or number > _MOST_STARTS:
            break
        while coming is not None and coming <= begins:
            coming = next(ends, None)
        if coming is None:
            break
        found.add(coming - begins)
    return found


def _exported(metadata: Fields, exporter: str) -> None:
    message = f"KEDA asked the queue itself; the policy asks Prometheus for the metrics of {exporter}"
    metadata.log.look(metadata.manifest, metadata.path, message, "they must be scraped")


def _positive(metadata: Fields, key: str, default: float | None = None) -> float | None:
    if metadata.at(key) is None and default is not None:
        return default
    found = metadata.number(key, needed=True)
    if found == 0:
        metadata.log.wrong(metadata.manifest, (*metadata.path, key), "a target of 0 asks for pods without end")
        return None
    return found
