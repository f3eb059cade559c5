"""Who is let in, what a change must show, and how often: the gate before every door (S10)."""

from __future__ import annotations

import pytest

from aiops.core.model import Approval
from aiops.errors import StoreUnavailable
from aiops.web.locks.doors import FixedToken, TokenFile
from aiops.web.locks.login import local_path
from aiops.web.locks.rates import Limits, Rates
from aiops.web.locks.roles import How, Principal, Role
from aiops.web.locks.sessions import Sessions
from tests.unit.doored import HOST, House

PAUSE = {"scope": "shop", "reason": "a test"}
ORIGIN = {"Origin": HOST}


@pytest.fixture
def house():
    made = House()
    yield made
    made.store.close()


class Away:
    """A keeper of sessions whose store does not answer."""

    def __getattr__(self, name):
        raise StoreUnavailable("the sessions cannot be read: the disk is away")


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_opens_until_it_is_over_or_taken_back(house):
    short, long = house.token("short", "viewer", for_s=60), house.token("long", "viewer")
    status = {"short": house.client(short), "long": house.client(long)}
    assert [one.get("/api/v1/status").status_code for one in status.values()] == [200, 200]
    house.clock.at += 60
    assert status["short"].get("/api/v1/status").status_code == 401
    house.tokens.revoke("long", "test")
    refused = status["long"].get("/api/v1/status")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="aiops"')


def test_a_token_of_the_settings_is_an_admin_s_and_one_in_a_file_is_read_again(house, tmp_path):
    admin = Principal(name="token", role=Role.ADMIN, how=How.SETTING, shared=True)
    file = tmp_path / "token"
    house.lock(verifiers=(FixedToken("hush", admin), TokenFile(file, admin)))
    assert house.client("hush").get("/api/v1/tokens").status_code == 200
    assert house.client("first").get("/api/v1/status").status_code == 401, "there is no file yet"
    for word in ("first", "second-one"):
        file.write_text(f"{word}\n")
        assert house.client(word).get("/api/v1/status").status_code == 200
    assert house.client("first").get("/api/v1/status").status_code == 401


@pytest.mark.parametrize(
    "shown",
    ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearer nobody", "Bearer \u00e9", "Bearer " + "x" * 20_000, "x"],
)
def test_what_is_no_credential_opens_nothing_even_beside_a_cookie_that_does(house, shown):
    client = house.client()
    house.signed_in(client, house.token("sam", "viewer"))
    assert client.get("/api/v1/status").status_code == 200
    assert client.get("/api/v1/status", headers={"Authorization": shown.encode("latin-1")}).status_code == 401


def test_two_authorization_headers_are_refused(house):
    token = house.token("sam", "viewer")
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer other")]
    assert house.client().get("/api/v1/status", headers=twice).status_code == 400


# -- who did it --------------------------------------------------------------------------------------------------------


def test_who_did_it_is_who_calls_whatever_the_body_says(house):
    client = house.client(house.token("sam", "operator"))
    pause = client.post("/api/v1/pauses", json={**PAUSE, "by": "the-boss"}).json()
    released = client.post("/api/v1/release", json={"scope": "shop", "by": "the-boss"}).json()
    client.delete(f"/api/v1/pauses/{pause['id']}")
    records = house.service.audit({"limit": 20})["records"]
    said = {one["by"] for one in records if one["kind"] in ("pause", "resume")}
    assert (pause["by"], released["by"], said) == ("sam", "sam", {"sam"})


def test_one_person_with_a_forged_name_is_still_one_of_the_two_that_are_needed(house):
    ask = "01J00000000000000000000000"
    for by in ("sam", "kim"):
        house.store.people.answer(Approval(ask_id=ask, approved=True, by=by, at=0.0, reason=""), several=True)
    again = Approval(ask_id=ask, approved=True, by="sam", at=1.0, reason="")
    with pytest.raises(Exception, match="answered already"):
        house.store.people.answer(again, several=True)


def test_forcing_a_promotion_needs_an_admin(house):
    wish = {"policy": "checkout", "to": "enforce", "reason": "now", "force": True}
    refused = house.client(house.token("sam", "operator")).post("/api/v1/promotions", json=wish)
    assert (refused.status_code, "needs the role admin" in refused.json()["detail"]) == (403, True)
    assert house.client(house.token("root", "admin")).post("/api/v1/promotions", json=wish).status_code == 404


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_browser_signs_in_with_a_token_and_its_changes_show_that_they_were_meant(house):
    client = house.client()
    meant = house.signed_in(client, house.token("sam", "operator"))
    caller = client.get("/api/v1/session").json()
    assert (caller["principal"], caller["role"], caller["how"]) == ("sam", "operator", "session")
    assert client.post("/api/v1/pauses", json=PAUSE).status_code == 403
    assert client.post("/api/v1/pauses", json=PAUSE, headers={"X-CSRF-Token": "f" * 64}).status_code == 403
    assert client.post("/api/v1/pauses", json=PAUSE, headers=meant | ORIGIN).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=str,
)  # fmt: skip
def test_a_foreign_page_changes_nothing_even_if_it_knew_the_csrf_token(house, headers):
    client = house.client()
    meant = house.signed_in(client, house.token("sam", "operator"))
    assert client.post("/api/v1/pauses", json=PAUSE, headers=meant | headers).status_code == 403
    assert house.store.people.pauses(0.0) == ()
    form = {"token": house.token("evil", "viewer"), "next": "/"}
    assert client.post("/login", data=form, headers=headers).status_code == 403, "nor does it sign a visitor in"


def test_the_cookie_is_for_this_host_http_and_same_site_only_and_over_tls_secure(house):
    token = house.token("sam", "viewer")
    plain = house.client().post("/login", data={"token": token}).headers["set-cookie"]
    house.lock(secure=True)
    secure = house.client(base_url="https://127.0.0.1").post("/login", data={"token": token}).headers["set-cookie"]
    for cookie in (plain, secure):
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {*cookie.split("; ")}
        assert "Domain" not in cookie
    assert ("Secure" in plain, "Secure" in secure) == (False, True)
    assert secure.startswith("__Host-aiops_session="), "no other host and no other path can set it"


def test_what_is_kept_of_a_session_and_of_a_token_opens_nothing(house):
    token = house.token("sam", "viewer")
    client = house.client()
    house.signed_in(client, token)
    kept = [one.digest for one in house.store.access.tokens()]
    with house.store.engine.connect() as connection:
        everything = "\n".join(connection.connection.driver_connection.iterdump())
    cookie = client.cookies["aiops_session"]
    assert token not in everything
    assert cookie not in everything
    for digest in kept:
        assert house.client(digest).get("/api/v1/status").status_code == 401
        assert house.client(Cookie=f"aiops_session={digest}").get("/api/v1/status").status_code == 401


@pytest.mark.parametrize(("step_s", "times", "opens"), [(1799, 5, True), (1800, 1, False), (1799, 25, False)])
def test_a_session_ends_when_it_is_not_used_and_at_the_longest_after_twelve_hours(house, step_s, times, opens):
    client = house.client()
    house.signed_in(client, house.token("sam", "viewer"))
    for _ in range(times):
        house.clock.at += step_s
        answer = client.get("/api/v1/status")
    assert (answer.status_code == 200) is opens


def test_a_session_does_not_outlast_the_token_that_it_came_by(house):
    client, other = house.client(), house.client()
    house.signed_in(client, house.token("short", "viewer", for_s=100))
    house.signed_in(other, house.token("gone", "viewer"))
    house.tokens.revoke("gone", "test")
    assert other.get("/api/v1/status").status_code == 401
    assert client.get("/api/v1/status").status_code == 200
    house.clock.at += 100
    assert client.get("/api/v1/status").status_code == 401


def test_a_cookie_that_was_planted_is_never_taken_over(house):
    """Session fixation: who signs in gets a cookie that nobody has seen before, and the old one ends."""
    first = house.client()
    house.signed_in(first, house.token("mallory", "viewer"))
    planted = first.cookies["aiops_session"]
    victim = house.client()
    victim.cookies.set("aiops_session", planted, domain="127.0.0.1")
    house.signed_in(victim, house.token("sam", "operator"))
    assert planted not in {one.value for one in victim.cookies.jar}
    assert house.client(Cookie=f"aiops_session={planted}").get("/api/v1/status").status_code == 401
    unknown = house.client(Cookie="aiops_session=chosen-by-somebody")
    answer = unknown.post("/login", data={"token": house.token("kim", "viewer")})
    assert "chosen-by-somebody" not in answer.headers["set-cookie"]


def test_a_session_that_cannot_be_looked_up_opens_nothing_and_is_no_bug(house):
    client = house.client()
    house.signed_in(client, house.token("sam", "admin"))
    house.lock(sessions=Sessions(keeper=Away()))
    again = house.client()
    again.cookies = client.cookies
    answer = again.get("/api/v1/status")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "the disk is away" in answer.json()["detail"]


def test_a_store_that_takes_no_more_still_lets_in_who_was_given_access(house):
    token = house.token("sam", "viewer")
    browser = house.client()
    house.signed_in(browser, token)
    with house.store.engine.begin() as connection:
        for table in ("tokens", "sessions"):
            full = f"CREATE TRIGGER full_{table} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            connection.exec_driver_sql(full)
    house.clock.at += 120
    opened = [one.get("/api/v1/status").status_code for one in (house.client(token), browser)]
    assert opened == [200, 200], "only the time of the last use is not noted"


def test_who_signs_out_is_out(house):
    client = house.client()
    meant = house.signed_in(client, house.token("sam", "viewer"))
    cookie = client.cookies["aiops_session"]
    assert client.post("/logout").status_code == 403, "no foreign page signs anybody out"
    assert client.post("/logout", headers=meant).status_code == 303
    assert house.client(Cookie=f"aiops_session={cookie}").get("/api/v1/status").status_code == 401
    assert [one.did for one in house.knocks] == ["entered", "left"]


def test_a_person_without_a_session_is_sent_to_the_login_and_back(house):
    client = house.client(Accept="text/html")
    sent = client.get("/policies?q=shop")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fpolicies%3Fq%3Dshop")
    page = client.get(sent.headers["location"])
    assert 'value="/policies?q=shop"' in page.text
    entered = client.post("/login", data={"token": house.token("sam", "viewer"), "next": "/policies?q=shop"})
    assert entered.headers["location"] == "/policies?q=shop"


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/a\nb",
     "/login", "", "/%0d%0aSet-Cookie:x".replace("%0d%0a", "\r\n"), "/" + "a" * 3000, " /x", "///evil.example"],
    ids=repr,
)  # fmt: skip
def test_nobody_is_sent_away_from_here_by_the_login(house, wanted):
    answer = house.client().post("/login", data={"token": house.token("sam", "viewer"), "next": wanted})
    assert (answer.status_code, answer.headers["location"], local_path(wanted)) == (303, "/", "/")


def test_the_login_repeats_what_it_was_given_as_text_only(house):
    evil = '/"><script>alert(1)</script>'
    page = house.client().get("/login", params={"next": evil}).text
    assert "<script" not in page
    refused = house.client().post("/login", data={"token": "<b>", "next": evil})
    assert (refused.status_code, "<script" in refused.text, "<b>" in refused.text) == (401, False, False)


def test_the_token_of_a_hook_opens_no_page(house):
    hook = Principal(name="alertmanager", role=Role.HOOK, how=How.SETTING, shared=True)
    house.lock(hook=FixedToken("hook-word", hook))
    assert house.client().post("/login", data={"token": "hook-word"}).status_code == 403


# -- hosts, and no authentication --------------------------------------------------------------------------------------


def test_a_daemon_is_called_by_its_own_names_so_that_dns_rebinding_leads_nowhere(house):
    house.lock(hosts=frozenset({"aiops.example"}))
    token = house.token("sam", "viewer")
    tried = {}
    for host in ("aiops.example", "AIOPS.example:8443", "localhost:1", "evil.example", "aiops.example.evil", "", "a b"):
        tried[host] = house.client(token, Host=host).get("/api/v1/status").status_code
    assert [*tried.values()] == [200, 200, 200, 403, 403, 403, 403]


def test_without_authentication_a_foreign_page_can_neither_read_nor_change(house):
    house.open_up()
    client = house.client()
    assert client.post("/api/v1/pauses", json=PAUSE).status_code == 201
    assert client.get("/api/v1/status", headers={"Host": "evil.example"}).status_code == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        sent = client.post("/api/v1/pauses", content=b'{"scope":"*","reason":"x"}', headers={"Content-Type": kind})
        assert sent.status_code == 415
    foreign = client.post("/api/v1/pauses", json=PAUSE, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert len(house.store.people.pauses(0.0)) == 1


def test_without_authentication_everybody_is_one_principal(house):
    house.open_up()
    pause = house.client().post("/api/v1/pauses", json={**PAUSE, "by": "sam"}).json()
    assert (pause["by"], house.client("any").get("/api/v1/session").json()["role"]) == ("loopback", "admin")


def test_no_answer_lets_a_foreign_page_read_it(house):
    answer = house.client(house.token("sam", "viewer"), Origin="https://evil.example").get("/api/v1/status")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert house.client().request("OPTIONS", "/api/v1/pauses", headers=preflight).status_code == 401


# -- how often ---------------------------------------------------------------------------------------------------------


def test_who_guesses_is_soon_not_listened_to_any_more_and_who_is_signed_in_is_not_shut_out(house):
    house.lock(rates=Rates(Limits(failed=5)))
    token = house.token("sam", "viewer")
    inside = house.client()
    house.signed_in(inside, token)
    guesses = [house.client(f"guess-{n}").get("/api/v1/status") for n in range(7)]
    assert [one.status_code for one in guesses] == [401] * 5 + [429] * 2
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert house.client().post("/login", data={"token": token}).status_code == 429, "the form counts with it"
    assert inside.get("/api/v1/status").status_code == 200
    house.address = "192.0.2.8"
    assert house.client(token).get("/api/v1/status").status_code == 200, "another address is another matter"
    assert len([one for one in house.knocks if one.did == "refused"]) == 5


def test_who_may_come_in_may_not_come_in_without_end(house):
    """Each time is a session that is kept, and a record in the chain."""
    house.lock(rates=Rates(Limits(write=3)))
    token, other = house.token("sam", "viewer"), house.token("kim", "viewer")
    came = [house.client().post("/login", data={"token": token}) for _ in range(5)]
    assert [one.status_code for one in came] == [303, 303, 303, 429, 429]
    assert int(came[-1].headers["retry-after"]) >= 1
    assert len([one for one in house.knocks if one.did == "entered"]) == 3
    assert house.client().post("/login", data={"token": other}).status_code == 303


def test_a_principal_and_an_address_may_ask_so_often_and_no_more(house):
    house.lock(rates=Rates(Limits(read=3, write=2, address=20)))
    sam, kim = house.client(house.token("sam", "operator")), house.client(house.token("kim", "operator"))
    assert [sam.get("/api/v1/status").status_code for _ in range(4)] == [200] * 3 + [429]
    assert kim.get("/api/v1/status").status_code == 200
    assert [kim.post("/api/v1/pauses", json=PAUSE).status_code for _ in range(3)] == [201] * 2 + [429]
    told = [kim.get("/api/v1/pauses").status_code for _ in range(20)]
    assert told[-1] == 429
    assert house.client().get("/login").status_code == 429, "the address has asked too often"
