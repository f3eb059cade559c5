"""The external metrics API over TLS: who is answered, in which shape, and what gets an error in place of a number."""

from __future__ import annotations

import asyncio
import math
import shutil
import ssl
from contextlib import contextmanager

import httpx
import pytest

from aiops.errors import ConfigurationError
from aiops.web.external_metrics_server import Certificates, ExternalMetricsServer
from tests.builders import NOW
from tests.e2e.pki import Authority
from tests.outlooks import Stage, finding, rising, sight

BASE = "/apis/external.metrics.k8s.io/v1beta1"
CHOSEN = "policy=checkout,signal=demand,quantile=0.95,horizon=lead"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), "front-proxy-ca")


@pytest.fixture
def files(authority, tmp_path):
    served = authority.issue("aiops.aiops.svc")
    for source, name in ((served.cert, "tls.crt"), (served.key, "tls.key")):
        shutil.copy(source, tmp_path / name)
    return Certificates(
        cert_file=tmp_path / "tls.crt",
        key_file=tmp_path / "tls.key",
        client_ca_file=authority.pair.cert,
        allowed_names=("front-proxy-client",),
    )


@pytest.fixture
def stage():
    return Stage(sight(findings=(finding(2.5),)))


@pytest.fixture
def server(stage, files):
    made = ExternalMetricsServer(stage.viewer, ("127.0.0.1", 0), files)
    made.start()
    yield made
    made.stop(5)


@contextmanager
def as_client(server, authority, pair=None):
    trust = ssl.create_default_context(cafile=str(authority.pair.cert))
    if pair is not None:
        trust.load_cert_chain(pair.cert, pair.key)
    with httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=trust, trust_env=False) as client:
        yield client


@pytest.fixture
def client(server, authority):
    with as_client(server, authority, authority.issue("front-proxy-client")) as client:
        yield client


def asked(client, metric="aiops_forecast_peak", selector=CHOSEN, namespace="shop"):
    return client.get(f"{BASE}/namespaces/{namespace}/{metric}", params={"labelSelector": selector})


def test_what_is_served_is_discovered_as_by_the_api_server(client):
    found = client.get(BASE).json()
    assert (found["kind"], found["groupVersion"]) == ("APIResourceList", "external.metrics.k8s.io/v1beta1")
    assert [one["name"] for one in found["resources"]] == [
        "aiops_forecast", "aiops_forecast_peak", "aiops_anomaly_score",
    ]  # fmt: skip
    assert {(one["namespaced"], one["kind"], *one["verbs"]) for one in found["resources"]} == {
        (True, "ExternalMetricValueList", "get")
    }
    assert client.get("/apis").json()["groups"][0]["preferredVersion"]["version"] == "v1beta1"
    assert client.get("/apis/external.metrics.k8s.io").json()["kind"] == "APIGroup"
    assert client.get("/openapi/v2").json()["paths"] == {}
    assert client.get("/readyz").text == "ok"


def test_a_forecast_is_an_external_metric_value_list(client):
    answer = asked(client)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "aiops_forecast_peak",
                "metricLabels": {"policy": "checkout", "signal": "demand", "quantile": "0.95", "horizon": "lead"},
                "timestamp": "2026-03-02T11:13:20Z",
                "windowSeconds": 60,
                "value": "110",
            }
        ],
    }


def test_thousandths_are_told_where_they_are_needed(client):
    (item,) = asked(client, "aiops_forecast").json()["items"]
    assert item["value"] == "104167m"  # 100 + 10 * 25 / 60, rounded up


def test_an_anomaly_score_is_told_and_no_finding_is_zero(client, stage):
    (item,) = asked(client, "aiops_anomaly_score", "policy=latency").json()["items"]
    assert (item["value"], item["metricLabels"], "windowSeconds" in item) == ("2500m", {"policy": "latency"}, False)
    stage.look(sight())
    (item,) = asked(client, "aiops_anomaly_score", "policy in (latency)").json()["items"]
    assert item["value"] == "0"


@pytest.mark.parametrize(
    "selector",
    [
        "policy=checkout,quantile in (0.95),horizon=30m",
        "policy,quantile=0.95,horizon notin (lead,1m,5m,15m)",
        "policy!=cart,quantile=0.95,horizon=30m,!shadow",
    ],
)
def test_every_way_to_choose_comes_to_the_same(client, selector):
    assert [one["value"] for one in asked(client, selector=selector).json()["items"]] == ["390"]


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("shop/aiops_forecast_peak?labelSelector=policy%3Dcart", 404, "the selector chooses no aiops_forecast_peak"),
        ("else/aiops_forecast_peak", 404, "no policy of namespace else has aiops_forecast_peak"),
        ("shop/http_requests", 404, "there is no metric http_requests; there are aiops_forecast,"),
        ("shop/aiops_forecast?labelSelector=a+b", 400, "labelSelector: 'a b' is no requirement"),
        ("shop/aiops_forecast?labelSelector=horizon%3D5m", 400, "an HPA would add it up: name one quantile"),
        ("shop/aiops_forecast?labelSelector=quantile%3D0.95", 400, "name one horizon (15m, 1m, 30m, 5m, lead)"),
    ],
)
def test_what_cannot_be_answered_is_a_status_that_says_why(client, path, code, said):
    answer = client.get(f"{BASE}/namespaces/{path}")
    status = answer.json()
    assert (answer.status_code, status["kind"], status["status"], status["code"]) == (code, "Status", "Failure", code)
    assert said in status["message"]


def test_other_paths_and_methods_are_refused_as_the_api_server_does(client):
    assert client.get("/apis/nothing").json()["reason"] == "NotFound"
    assert client.delete(f"{BASE}/namespaces/shop/aiops_forecast").json()["reason"] == "MethodNotAllowed"


@pytest.mark.parametrize(
    ("sights", "later_s", "said"),
    [
        ([sight()], 181.0, "policy=checkout,signal=demand: the forecast is 181 s old, at most 180 s are served"),
        ([sight(demand=math.nan)], 0.0, "demand has not been seen since the start"),
        ([sight(issued=rising(learned=False))], 0.0, "has not learnt enough yet"),
    ],
)
def test_what_says_nothing_now_is_an_error_and_never_zero_s1(client, stage, sights, later_s, said):
    stage.forget()
    stage.look(*sights)
    stage.now = NOW + later_s
    answer = asked(client)
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
    assert said in answer.json()["message"]


def test_part_of_a_choice_is_not_the_whole_s1(client, stage):
    short = rising(paths=tuple(path[:10] for path in rising().paths))
    stage.look(sight(issued=short))
    assert asked(client, selector="quantile=0.95,horizon in (5m)").status_code == 200
    answer = asked(client, selector="quantile=0.95,horizon in (5m,30m)")
    assert answer.status_code == 503
    assert "horizon=30m: the forecast does not reach 1800 s ahead" in answer.json()["message"]


def test_before_the_first_turn_there_is_nothing_to_tell(client, stage):
    stage.forget()
    assert asked(client).status_code == 404


# -- who is answered -------------------------------------------------------------------------------------


def test_only_the_aggregation_layer_is_answered_s10(server, authority, tmp_path):
    with as_client(server, authority) as nobody, pytest.raises(httpx.HTTPError):
        asked(nobody)
    with as_client(server, authority, authority.issue("kubelet", groups=("front-proxy-client",))) as other:
        answer = asked(other)
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
        assert other.get("/apis").status_code == 403
    stranger = Authority(tmp_path / "other", "other-ca").issue("front-proxy-client")
    with as_client(server, authority, stranger) as forged, pytest.raises(httpx.HTTPError):
        asked(forged)


def test_without_tls_nobody_is_answered_s10(server):
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{server.port}/apis", trust_env=False)


def test_a_renewed_certificate_is_taken_for_new_connections(server, authority, files, client):
    def shown():
        with as_client(server, authority, authority.issue("front-proxy-client")) as one:
            stream = one.get("/readyz").extensions["network_stream"]
            return dict(part[0] for part in stream.get_extra_info("ssl_object").getpeercert()["subject"])["commonName"]

    assert shown() == "aiops.aiops.svc"
    files.cert_file.write_text("half a file")
    asyncio.run(server.renew())
    assert shown() == "aiops.aiops.svc"
    renewed = authority.issue("renewed.aiops.svc")
    shutil.copy(renewed.key, files.key_file)
    shutil.copy(renewed.cert, files.cert_file)
    asyncio.run(server.renew())
    assert shown() == "renewed.aiops.svc"


def test_files_and_addresses_that_cannot_be_used_end_the_start(stage, files, server, tmp_path):
    with pytest.raises(ConfigurationError, match=r"export\.external_metrics: cannot listen on 127\.0\.0\.1"):
        ExternalMetricsServer(stage.viewer, ("127.0.0.1", server.port), files)
    for name, text in (("cert_file", "nonsense"), ("client_ca_file", "nonsense"), ("key_file", None)):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        broken = Certificates(**{**{f: getattr(files, f) for f in files.__slots__}, name: path})
        with pytest.raises(ConfigurationError, match="the certificates cannot be used"):
            ExternalMetricsServer(stage.viewer, ("127.0.0.1", 0), broken)
