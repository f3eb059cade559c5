"""The service that KEDA calls. What cannot be answered is an error of gRPC: KEDA changes nothing on one (S1)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc

from aiops.core.pipeline.outlook import Viewer
from aiops.errors import AiopsError, InvalidInput, NotFound, PortError
from aiops.grpc import externalscaler_pb2 as pb
from aiops.grpc.trigger import Trigger, answer, trigger

SERVICE = "externalscaler.ExternalScaler"
LOOK_S = 0.25
"""How often it is looked whether the loop has published something new."""

_FUZZ = 1e-9


class ExternalScaler:
    """Answers from the newest outlook. Made in the event loop that it serves in; push_every_s: for streams."""

    def __init__(self, viewer: Viewer, push_every_s: float) -> None:
        self._viewer = viewer
        self._push_every_s = push_every_s
        self._closing = False
        self._changed = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server dispatches to."""
        told = grpc.unary_unary_rpc_method_handler
        asked = pb.ScaledObjectRef.FromString
        methods = {
            "IsActive": told(self.is_active, asked, pb.IsActiveResponse.SerializeToString),
            "StreamIsActive": grpc.unary_stream_rpc_method_handler(
                self.stream_is_active, asked, pb.IsActiveResponse.SerializeToString
            ),
            "GetMetricSpec": told(self.metric_spec, asked, pb.GetMetricSpecResponse.SerializeToString),
            "GetMetrics": told(self.metrics, pb.GetMetricsRequest.FromString, pb.GetMetricsResponse.SerializeToString),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def watch(self) -> None:
        """Wake the streams whenever the loop has published something, until it is closed."""
        seen = self._viewer.newest()
        while not self._closing:
            await asyncio.sleep(LOOK_S)
            newest = self._viewer.newest()
            if newest is not seen:
                seen = newest
                self._wake()

    def close(self) -> None:
        """Let every stream come to its end."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # -- what KEDA calls -----------------------------------------------------------------------------

    async def is_active(self, ref: pb.ScaledObjectRef, context: Any) -> pb.IsActiveResponse:
        """Return whether the number is above the activation value."""
        try:
            return pb.IsActiveResponse(result=self._active(_trigger(ref)))
        except AiopsError as err:
            await _abort(context, err)

    async def stream_is_active(self, ref: pb.ScaledObjectRef, context: Any) -> AsyncIterator[pb.IsActiveResponse]:
        """Yield the same at once, whenever it changes, and from time to time; it ends when the server does."""
        try:
            asked = _trigger(ref)
            clock = asyncio.get_running_loop().time
            last, due = None, 0.0
            while not self._closing:
                changed, active = self._changed, self._active(asked)
                if active is not last or clock() >= due:
                    last, due = active, clock() + self._push_every_s
                    yield pb.IsActiveResponse(result=active)
                await _wait(changed, due - clock())
        except AiopsError as err:
            await _abort(context, err)

    async def metric_spec(self, ref: pb.ScaledObjectRef, context: Any) -> pb.GetMetricSpecResponse:
        """Return the metric that KEDA's HPA reads, and its target."""
        try:
            asked = _trigger(ref)
            if asked.target is None:
                raise InvalidInput("targetValue is missing: how much of the metric one replica carries")
            spec = pb.MetricSpec(
                metricName=asked.metric, targetSize=max(1, math.floor(asked.target)), targetSizeFloat=asked.target
            )
            return pb.GetMetricSpecResponse(metricSpecs=[spec])
        except AiopsError as err:
            await _abort(context, err)

    async def metrics(self, request: pb.GetMetricsRequest, context: Any) -> pb.GetMetricsResponse:
        """Return what the metric is now."""
        try:
            asked = _trigger(request.scaledObjectRef)
            if request.metricName not in ("", asked.metric):
                raise InvalidInput(f"metricName: {request.metricName!r} is not the {asked.metric} of the trigger")
            value = answer(asked, self._viewer).value
            # KEDA reads the fraction where there is one; whole numbers are rounded towards more replicas
            told = pb.MetricValue(metricName=asked.metric, metricValue=math.ceil(value - _FUZZ), metricValueFloat=value)
            return pb.GetMetricsResponse(metricValues=[told])
        except AiopsError as err:
            await _abort(context, err)

    def _active(self, asked: Trigger) -> bool:
        return answer(asked, self._viewer).value > asked.activation


def _trigger(ref: pb.ScaledObjectRef) -> Trigger:
    return trigger(ref.namespace, dict(ref.scalerMetadata))


async def _wait(changed: asyncio.Event, at_most_s: float) -> None:
    try:
        await asyncio.wait_for(changed.wait(), max(0.0, at_most_s))
    except TimeoutError:
        return


async def _abort(context: Any, err: AiopsError) -> NoReturn:
    match err:
        case InvalidInput():
            code = grpc.StatusCode.INVALID_ARGUMENT
        case NotFound():
            code = grpc.StatusCode.NOT_FOUND
        case PortError():
            code = grpc.StatusCode.UNAVAILABLE
        case _:
            code = grpc.StatusCode.INTERNAL
    await context.abort(code, str(err))
    raise AssertionError("abort raises")
