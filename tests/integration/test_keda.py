"""The external scaler over gRPC, called as KEDA's operator calls it: unary calls, a stream, certificates, the end."""

from __future__ import annotations

import asyncio
import math
import shutil
import socket
import threading
import time
from contextlib import contextmanager

import grpc
import grpc.aio
import pytest

from aiops.errors import ConfigurationError
from aiops.grpc import externalscaler_pb2 as pb
from aiops.grpc.server import Certificates, ScalerServer
from tests.builders import NOW
from tests.e2e.pki import Authority
from tests.outlooks import Stage, finding, rising, sight

LOOPBACK = ("127.0.0.1", 0)
SERVICE = "/externalscaler.ExternalScaler/"


class Client:
    """The four calls over one channel, made of the wire's own names."""

    def __init__(self, channel) -> None:
        ref = pb.ScaledObjectRef.SerializeToString
        self.is_active = channel.unary_unary(f"{SERVICE}IsActive", ref, pb.IsActiveResponse.FromString)
        self.stream = channel.unary_stream(f"{SERVICE}StreamIsActive", ref, pb.IsActiveResponse.FromString)
        self.spec = channel.unary_unary(f"{SERVICE}GetMetricSpec", ref, pb.GetMetricSpecResponse.FromString)
        asked = pb.GetMetricsRequest.SerializeToString
        self.metrics = channel.unary_unary(f"{SERVICE}GetMetrics", asked, pb.GetMetricsResponse.FromString)
        self.unknown = channel.unary_stream(f"{SERVICE}StreamMetricSpec", ref, pb.GetMetricSpecResponse.FromString)


def ref(namespace="shop", **metadata):
    given = {"scalerAddress": "aiops.aiops:6000", "policy": "checkout", "targetValue": "50", **metadata}
    return pb.ScaledObjectRef(name="checkout", namespace=namespace, scalerMetadata=given)


def metrics(client, one, name="aiops_forecast_peak"):
    return client.metrics(pb.GetMetricsRequest(scaledObjectRef=one, metricName=name), timeout=10)


@pytest.fixture
def stage():
    return Stage(sight())


@contextmanager
def serving(stage, files=None, push_every_s=30.0):
    server = ScalerServer(stage.viewer, LOOPBACK, files, push_every_s)
    server.start()
    try:
        yield server
    finally:
        server.stop(10)


@pytest.fixture
def server(stage):
    with serving(stage) as made:
        yield made


@pytest.fixture
def client(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Client(channel)


# -- unary calls -----------------------------------------------------------------------------------------


def test_a_metric_is_specified_with_its_target_in_both_forms(client):
    (spec,) = client.spec(ref(targetValue="62.5"), timeout=10).metricSpecs
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("aiops_forecast_peak", 62, 62.5)


def test_a_metric_is_the_forecast_and_whole_numbers_are_rounded_towards_more(client):
    (value,) = metrics(client, ref(metric="aiops_forecast"), "aiops_forecast").metricValues
    assert value.metricValueFloat == pytest.approx(100.0 + 10.0 * 25 / 60)
    assert (value.metricName, value.metricValue) == ("aiops_forecast", 105)
    (value,) = metrics(client, ref(horizon="30m", quantile="0.99")).metricValues
    assert (value.metricValue, value.metricValueFloat) == (468, 468.0)


@pytest.mark.parametrize(("activation", "active"), [("0", True), ("109.9", True), ("110", False), ("111", False)])
def test_there_is_work_while_the_number_is_above_the_activation_value(client, activation, active):
    assert client.is_active(ref(activationValue=activation), timeout=10).result is active


def test_anomaly_scores_are_served_alike(client, stage):
    watched = ref(policy="latency", metric="aiops_anomaly_score")
    assert not client.is_active(watched, timeout=10).result
    stage.look(sight(findings=(finding(2.5),)))
    assert client.is_active(watched, timeout=10).result
    assert metrics(client, watched, "aiops_anomaly_score").metricValues[0].metricValueFloat == 2.5


@pytest.mark.parametrize(
    ("one", "code", "said"),
    [
        (ref(policy="cart"), grpc.StatusCode.NOT_FOUND, "no ScalingPolicy shop/cart foresees anything"),
        (ref(namespace="else"), grpc.StatusCode.NOT_FOUND, "no ScalingPolicy else/checkout"),
        (ref(quantile="0.42"), grpc.StatusCode.NOT_FOUND, "quantile 0.42 is not foreseen"),
        (ref(policy=""), grpc.StatusCode.INVALID_ARGUMENT, "policy is missing"),
        (ref(horizn="5m"), grpc.StatusCode.INVALID_ARGUMENT, "did you mean 'horizon'?"),
    ],
)
def test_what_cannot_be_answered_is_an_error_on_every_call(client, one, code, said):
    calls = [
        lambda: client.is_active(one, timeout=10),
        lambda: metrics(client, one),
        lambda: list(client.stream(one, timeout=10)),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is code
        assert said in caught.value.details()


def test_a_spec_needs_a_target_and_a_metric_its_name(client):
    without = ref()
    del without.scalerMetadata["targetValue"]
    for call in (lambda: client.spec(without, timeout=10), lambda: metrics(client, ref(), "s0-else")):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("sights", "later_s"),
    [([sight()], 181.0), ([sight(demand=math.nan)], 0.0), ([sight(issued=rising(learned=False))], 0.0)],
    ids=["stale", "never seen", "unlearned"],
)
def test_what_says_nothing_now_is_unavailable_and_never_zero_s1(client, stage, sights, later_s):
    stage.forget()
    stage.look(*sights)
    stage.now = NOW + later_s
    for call in (lambda: client.is_active(ref(), timeout=10), lambda: metrics(client, ref())):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    # what a replica carries is known whatever the forecast, so that KEDA can make its HPA
    assert client.spec(ref(), timeout=10).metricSpecs[0].targetSizeFloat == 50.0


def test_what_keda_may_ask_and_we_do_not_have_is_unimplemented(client):
    with pytest.raises(grpc.RpcError) as caught:
        list(client.unknown(ref(), timeout=10))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# -- the stream --------------------------------------------------------------------------------------------


def test_a_stream_tells_at_once_then_what_changes_and_ends_well_with_the_server(stage):
    busy, idle = sight(), sight(issued=rising(paths=((5.0,) * 30,) * 5))
    with serving(stage) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stream = Client(channel).stream(ref(activationValue="50"), timeout=20)
        told = iter(stream)
        assert next(told).result is True
        stage.look(busy)  # nothing changes: nothing is told
        stage.look(idle)
        assert next(told).result is False
        stage.look(busy)
        assert next(told).result is True
        begun = time.monotonic()
        server.stop(10)
        assert list(told) == []
        assert stream.code() is grpc.StatusCode.OK
        assert time.monotonic() - begun < 3.0


def test_a_stream_says_again_what_has_not_changed_from_time_to_time(stage):
    with serving(stage, push_every_s=0.2) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        told = Client(channel).stream(ref(), timeout=10)
        begun = time.monotonic()
        assert [next(told).result for _ in range(5)] == [True] * 5
        assert 0.7 < time.monotonic() - begun < 5.0


def test_a_stream_whose_forecast_goes_stale_ends_with_an_error_and_says_no_false_s1(stage):
    with serving(stage, push_every_s=0.2) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        told = Client(channel).stream(ref(), timeout=10)
        assert next(told).result is True
        stage.now = NOW + 181.0
        with pytest.raises(grpc.RpcError) as caught:
            assert all(one.result for one in told)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_that_goes_leaves_nothing_behind_and_five_hundred_streams_cost_no_thread(stage):
    busy, idle = sight(), sight(issued=rising(paths=((5.0,) * 30,) * 5))

    async def many(port: int) -> tuple[int, int]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            streams = [Client(channel).stream(ref(activationValue="50"), timeout=30) for _ in range(500)]
            first = [await one.read() for one in streams]
            stage.look(idle)
            second = [await one.read() for one in streams]
            for one in streams:
                one.cancel()
            return sum(one.result for one in first), sum(one.result for one in second)

    with serving(stage) as server:
        threads = threading.active_count()
        assert asyncio.run(many(server.port)) == (500, 0)
        stage.look(busy)
        assert threading.active_count() - threads < 5
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            assert Client(channel).is_active(ref(), timeout=10).result


# -- who is answered, and where -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), "keda-ca")


@pytest.fixture
def files(authority, tmp_path):
    served = authority.issue("aiops.aiops.svc")
    for source, name in ((served.cert, "tls.crt"), (served.key, "tls.key")):
        shutil.copy(source, tmp_path / name)
    return Certificates(
        cert_file=tmp_path / "tls.crt", key_file=tmp_path / "tls.key", client_ca_file=authority.pair.cert
    )


def active(server, authority, pair=None):
    credentials = grpc.ssl_channel_credentials(
        root_certificates=authority.pair.cert.read_bytes(),
        private_key=None if pair is None else pair.key.read_bytes(),
        certificate_chain=None if pair is None else pair.cert.read_bytes(),
    )
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
        return Client(channel).is_active(ref(), timeout=5).result


def test_only_a_client_that_the_authority_vouches_for_is_answered_s10(stage, files, authority, tmp_path):
    with serving(stage, files) as server:
        assert active(server, authority, authority.issue("keda-operator")) is True
        stranger = Authority(tmp_path / "other", "other-ca").issue("keda-operator")
        for pair in (None, stranger):
            with pytest.raises(grpc.RpcError) as caught:
                active(server, authority, pair)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with (
            grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
            pytest.raises(grpc.RpcError),
        ):
            Client(channel).is_active(ref(), timeout=5)


def test_with_tls_alone_a_client_needs_no_certificate(stage, files, authority):
    plain = Certificates(cert_file=files.cert_file, key_file=files.key_file, client_ca_file=None)
    with serving(stage, plain) as server:
        assert active(server, authority) is True


def test_a_renewed_certificate_is_taken_for_new_connections(stage, files, authority, tmp_path):
    renewed_by = Authority(tmp_path / "renewed", "renewed-ca")
    pair, client = renewed_by.issue("aiops.aiops.svc"), authority.issue("keda-operator")
    with serving(stage, files) as server:
        assert active(server, authority, client) is True
        files.cert_file.write_text("half a file")
        assert active(server, authority, client) is True
        shutil.copy(pair.key, files.key_file)
        shutil.copy(pair.cert, files.cert_file)
        assert active(server, renewed_by, client) is True


def test_files_and_addresses_that_cannot_be_used_end_the_start(stage, files, server, tmp_path):
    taken = ScalerServer(stage.viewer, ("127.0.0.1", server.port), None, 30.0)
    with pytest.raises(ConfigurationError, match=rf"export\.keda: cannot listen on 127\.0\.0\.1:{server.port}"):
        taken.start()
    nonsense = tmp_path / "nonsense.crt"
    nonsense.write_text("nonsense")
    for cert, authority in ((tmp_path / "no.crt", None), (nonsense, None), (files.cert_file, nonsense)):
        broken = Certificates(cert_file=cert, key_file=files.key_file, client_ca_file=authority)
        with pytest.raises(ConfigurationError, match="the certificates cannot be used"):
            ScalerServer(stage.viewer, LOOPBACK, broken, 30.0).start()


def test_a_server_that_was_stopped_answers_nobody(stage):
    with serving(stage) as server:
        port = server.port
    with socket.socket() as one:
        assert one.connect_ex(("127.0.0.1", port)) != 0
