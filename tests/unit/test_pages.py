"""The pages without a browser: what they are made of, what they say, and what they look up."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from aiops.adapters.store import Asked, Store
from aiops.adapters.store.tables import SAMPLES
from aiops.adapters.store.views import MOST_POINTS
from aiops.app.service import Service
from aiops.errors import NotFound
from aiops.web.locks.access import needed
from aiops.web.locks.doors import fixed
from aiops.web.locks.roles import Role
from aiops.web.pages import PAGES, decisions, words
from aiops.web.pages.paths import PATHS
from aiops.web.server import WebServer
from tests import page_store

WEB = Path(__file__).parents[2] / "aiops" / "web"
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
REPORT = "/rehearsals/{rehearsal_id}/report"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = page_store.small(tmp_path_factory.mktemp("pages") / "aiops.db")
    yield made
    made.close()


@contextmanager
def serving(answers):
    server = WebServer(answers, ("127.0.0.1", 0), fixed(""))
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=20) as client:
        yield client
    server.stop(5)


@pytest.fixture(scope="module")
def client(store):
    with serving(Service(store)) as made:
        yield made


def test_every_page_has_its_door_and_every_door_its_page():
    assert set(PAGES) | {REPORT} == set(PATHS)
    assert all(
        needed("GET", path.replace("{key:path}", "x").replace("{", "").replace("}", "")) is Role.VIEWER
        for path in PATHS
    )


OURS = "<script{% block scripts %}{% endblock %}>{{ first_script.text }}</script>"
"""The one script that stands in a page: the policy names its digest."""


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_nothing_that_the_content_policy_forbids_nor_turns_escaping_off(template):
    text = template.read_text(encoding="utf-8").replace(OURS, "")
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert "hx-on" not in text
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text


def test_nothing_that_is_shown_comes_from_elsewhere():
    for path in [*TEMPLATES, *(WEB / "static").glob("*.*")]:
        found = re.findall(r"(?:src|href|action|url)\s*[=(]\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8"))
        assert not found, path.name


@pytest.mark.parametrize(
    "path", sorted({"/", "/policies", "/incidents", "/approvals", "/plans", "/effects", "/decisions"})
)
def test_a_page_escapes_what_others_wrote_s10(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    assert "<script>document" not in page.text


def test_a_page_that_cannot_be_drawn_for_want_of_a_thing_says_so(client):
    page = client.get("/decisions/NOPE")
    assert page.status_code == 404
    assert "There is no such thing" in page.text
    assert "Emergency stop" in page.text


class _Broken(Service):
    def findings(self, hours):
        raise RuntimeError("a secret of the machine")


def test_a_bug_on_a_page_is_told_without_its_insides(store):
    with serving(_Broken(store)) as client:
        page = client.get("/incidents")
    assert page.status_code == 500
    assert "A bug on this page" in page.text
    assert "secret" not in page.text


FIELDS = (
    "policy",
    "verdict",
    "reason",
    "text",
    "since",
    "until",
    "cursor",
    "q",
    "page",
    "hours",
    "days",
    "by",
    "before",
)
SEARCHED = ("/decisions", "/policies", "/incidents", "/audit", "/cost", "/models")


@settings(max_examples=30, deadline=None)
@given(query=st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40), max_size=5), path=st.sampled_from(SEARCHED))
def test_no_address_breaks_a_page_s10(client, path, query):
    page = client.get(path, params=query)
    assert page.status_code in (200, 422)
    assert "</html>" in page.text


def test_decisions_are_turned_over_page_by_page_without_gap_or_double(tmp_path):
    store = page_store.small(tmp_path / "aiops.db")
    page_store.grow(store, 3, 120)
    every = [row["id"] for row in store.reader.decisions(Asked(limit=1000))]
    seen, address = [], "/decisions"
    with serving(Service(store)) as client:
        while address:
            text = client.get(address).text
            seen += re.findall(r'<th scope="row"><a href="/decisions/(\w+)"', text)
            older = re.search(r'<a href="([^"]*cursor=[^"]*)">Older', text)
            address = older.group(1).replace("&amp;", "&") if older else ""
    store.close()
    assert seen == every
    assert len(every) > 2 * decisions.PAGE


# -- what they look up -------------------------------------------------------------------------------------


def test_a_policy_over_time_has_its_curve_its_wishes_its_actions_and_what_was_odd(store):
    told = Service(store).timeline(page_store.CHECKOUT, 1.0)
    assert (told["unit"], told["slo"], told["bounds"]) == (
        "req/s", {"signal": "latency", "at_most": 0.25}, {"min": 2, "max": 40},
    )  # fmt: skip
    assert len(told["curves"]["at"]) == page_store.TICKS_MADE
    assert told["curves"]["ready"][0] == 8
    assert [one["id"] for one in told["actions"]]
    (finding,) = told["findings"]
    assert page_store.HOSTILE in finding["series"]
    wishes = told["wishes"]
    assert [one["at"] for one in wishes] == sorted(one["at"] for one in wishes)
    clamped = [one for one in wishes if any(limit["guard"] == "stabilisation" for limit in one["limits"])]
    assert clamped
    assert all(one["got"] >= one["asked"] for one in clamped)
    with pytest.raises(NotFound):
        Service(store).timeline("ScalingPolicy/shop/nope", 1.0)


def test_many_ticks_are_few_points_and_no_peak_is_lost(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    rows = [
        {"policy": "P", "at": float(n), "demand": 1000.0 if n == 7777 else 1.0, "ready": n, "capacity": None}
        for n in range(10_000)
    ]
    with store.engine.begin() as connection:
        connection.execute(insert(SAMPLES), rows)
    found = store.views.curves("P", 0.0, 1e9)
    assert len(found["at"]) <= MOST_POINTS
    assert found["stride"] == 7
    assert max(found["demand"]) == 1000.0
    assert found["ready"][0] == 6
    assert found["ready"][-1] == 9999
    assert set(found["capacity"]) == {None}
    assert store.views.curves("Q", 0.0, 1e9)["at"] == []
    store.close()


def test_a_finding_of_another_namespace_whose_name_is_a_pattern_is_not_ours(store):
    assert store.views.marks("ScalingPolicy/sh_p/x", "sh_p/x", 0.0, 1e11)["findings"] == []
    assert store.views.marks("ScalingPolicy/shop/x", "shop/x", 0.0, 1e11)["findings"]


def test_who_asks_is_found_among_those_who_do_not(store):
    assert list(store.views.asking()) == [page_store.MAIL]
    assert next(one["policy"] for one in Service(store).questions()) == page_store.MAIL


def test_groups_are_told_as_each_vantage_point_sees_them(store):
    (group,) = Service(store).groups()
    west = next(site for site in group["sites"] if site["name"] == "west")
    assert (west["health"], west["weight"]) == ("sick", 100)
    assert west["views"] == [{"vantage": "berlin", "share": 0.61, "bad": True, "at": page_store.LAST - 5.0}]
    assert json.dumps(group)


# -- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 s"), (59.9, "59 s"), (60.0, "1 min"), (3600.0, "1 h"), (90_000.0, "1 d 1 h"), (float("inf"), "for ever")],
)
def test_spans_are_said_in_their_greatest_units(seconds, said):
    assert words.span(seconds) == said


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_time_and_no_number_breaks_a_page(value):
    assert str(words.when(value))
    assert words.number(value)
    assert words.usd(value)
    assert words.percent(value)
    assert words.span(value)
    assert words.ago(value, 0.0) is not None


def test_a_time_is_read_as_it_is_shown_in_utc():
    assert words.read_when("2026-03-02T07:00") == words.read_when("2026-03-02T08:00+01:00")
    assert words.read_when("yesterday") is None
    assert 'datetime="2026-03-02T07:00:00Z"' in words.when(1_772_434_800.0)
    assert ">07:00:00 UTC<" in words.when(1_772_434_800.0, 1_772_434_900.0)
