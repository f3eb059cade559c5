"""Tokens of a provider: what is believed, what is not, and signing in at it (S10)."""

from __future__ import annotations

import base64
import hmac
import json
import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aiops.errors import NoPermission, PortError
from aiops.web.locks.oidc import Oidc, OidcOptions, Provider
from aiops.web.locks.oidc_login import Client, oidc_routes
from aiops.web.locks.roles import Role
from tests.unit.doored import House
from tests.unit.oidc_provider import EC_KEY, KEYS, provider, rsa_key

ROLES = {Role.VIEWER: frozenset({"sre", "dev"}), Role.ADMIN: frozenset({"platform"})}


@pytest.fixture(scope="module")
def running():
    with provider() as made:
        yield made


@pytest.fixture
def there(running):
    running.anew()
    return running


class Ticks:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def knowing(there, clock=None, **how) -> Oidc:
    options = OidcOptions(**{"issuer": there.url, "audience": "aiops", "roles": ROLES} | how)
    return Oidc(options, Provider(options), clock or Ticks())


def test_a_good_token_says_who_and_which_role(there):
    found = knowing(there).principal(there.token(groups=["dev", "platform"]))
    assert (found.name, found.role, found.how.value) == ("oidc:sam", Role.ADMIN, "oidc")
    assert found.expires_at == pytest.approx(time.time() + 300, abs=5)


@pytest.mark.parametrize(
    ("claims", "path", "role"),
    [
        ({"groups": ["dev"]}, "groups", Role.VIEWER),
        ({"groups": "other platform"}, "groups", Role.ADMIN),
        ({"realm_access": {"roles": ["dev"]}}, "realm_access.roles", Role.VIEWER),
        ({"https://a.example/roles": ["dev"]}, "https://a.example/roles", Role.VIEWER),
    ],
)
def test_the_role_comes_from_the_claim_that_the_settings_name(there, claims, path, role):
    assert knowing(there, role_claim=path).principal(there.token(**claims)).role is role


@pytest.mark.parametrize("groups", [None, [], ["other"], {"sre": True}, 5, [["sre"]], "sr e"], ids=repr)
def test_who_has_no_role_is_told_so_and_gets_none(there, groups):
    with pytest.raises(NoPermission, match="no role here"):
        knowing(there).principal(there.token(groups=groups))


WRONG = {
    "over": {"exp": -120},
    "not yet": {"nbf": 120},
    "from the future": {"iat": 120},
    "for another": {"aud": "other"},
    "for nobody": {"aud": None},
    "of another issuer": {"iss": "https://other.example"},
    "for ever": {"exp": None},
    "of nobody": {"sub": None},
    "no time of issue": {"iat": None},
}


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG.keys())
def test_a_token_that_is_not_valid_here_and_now_is_not_believed(there, said):
    # times are seconds from now, whenever this is run
    told = {name: time.time() + one if isinstance(one, int) else one for name, one in said.items()}
    assert knowing(there).principal(there.token(**told)) is None


def test_clocks_may_differ_by_the_leeway_and_no_more(there):
    known = knowing(there, leeway_s=30.0)
    assert known.principal(there.token(exp=time.time() - 20)) is not None
    assert known.principal(there.token(exp=time.time() - 45)) is None


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def unsigned(there, alg: str = "none") -> str:
    parts = [{"alg": alg, "kid": "one", "typ": "JWT"}, there.claims()]
    return ".".join(encoded(json.dumps(one).encode()) for one in parts) + "."


def by_the_public_key(there) -> str:
    """The classic: the public key, which everybody knows, as the secret of an HMAC."""
    public = KEYS[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signed = unsigned(there, "HS256").rpartition(".")[0]
    return f"{signed}.{encoded(hmac.digest(public, signed.encode(), 'sha256'))}"


FORGED = {
    "unsigned": unsigned,
    "signed with the public key": by_the_public_key,
    "signed by another key": lambda there: there.token(key=KEYS[1]),
    "a key that it brings along": lambda there: jwt.encode(
        there.claims(), KEYS[1], "RS256",
        headers={"kid": "one", "jwk": jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[1].public_key(), as_dict=True)},
    ),
    "an algorithm that is not allowed": lambda there: there.token(alg="RS512"),
    "changed after it was signed": lambda there: there.token()[:-6] + "AAAAAA",
    "no token at all": lambda there: "a.b.c",
    "nothing": lambda there: "",
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_not_believed(there, forge):
    known = knowing(there)
    assert known.principal(there.token()) is not None
    assert known.principal(forge(there)) is None


def test_a_weak_key_signs_nothing(there):
    there.keys["weak"] = rsa_key(1024)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = there.token("weak")
    assert knowing(there).principal(token) is None


def test_elliptic_keys_are_known_where_they_are_allowed(there):
    there.keys["ec"] = EC_KEY
    assert knowing(there).principal(there.token("ec", "ES256")) is not None
    assert knowing(there, algorithms=("RS256",)).principal(there.token("ec", "ES256")) is None


@pytest.mark.parametrize(
    ("verified", "name"), [(True, "oidc:sam@shop.example"), (False, None), ("true", None), (None, None)]
)
def test_an_address_counts_only_when_the_provider_has_verified_it(there, verified, name):
    known, token = knowing(there, name_claim="email"), there.token(email="sam@shop.example", email_verified=verified)
    if name is None:
        with pytest.raises(NoPermission, match="no email"):
            known.principal(token)
    else:
        assert known.principal(token).name == name


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_are_fetched_once_and_again_for_a_new_one_but_not_for_every_foreign_token(there):
    clock = Ticks()
    known = knowing(there, clock)
    for _ in range(5):
        known.principal(there.token())
    assert there.asked == ["/.well-known/openid-configuration", "/jwks"]
    there.keys["two"] = KEYS[1]
    assert known.principal(there.token("two")) is None, "it has just looked"
    clock.at += 31
    assert known.principal(there.token("two")) is not None
    for _ in range(20):
        known.principal(there.token("one", key=KEYS[1]))
        known.principal(jwt.encode(there.claims(), KEYS[1], "RS256", headers={"kid": "unknown"}))
    assert there.asked.count("/jwks") == 2


def test_keys_that_were_taken_back_are_forgotten_within_ten_minutes(there):
    clock = Ticks()
    known, old = knowing(there, clock), there.token()
    assert known.principal(old) is not None
    there.keys = {"two": KEYS[1]}
    clock.at += 601
    assert known.principal(old) is None


def test_while_the_provider_is_away_its_known_keys_keep_their_word_and_unknown_ones_have_none(there):
    clock = Ticks()
    known, fresh = knowing(there, clock), knowing(there, clock)
    known.principal(there.token())
    there.down = True
    clock.at += 601
    assert known.principal(there.token()) is not None
    with pytest.raises(PortError, match="answers 503"):
        fresh.principal(there.token())
    assert fresh.principal(there.token()) is None, "and it does not ask for each"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"issuer": "https://other.example"}, "calls itself"),
        ({"jwks_uri": "http://keys.example/jwks"}, "no jwks_uri that is https"),
        ({"jwks_uri": "file:///etc/passwd"}, "no jwks_uri that is https"),
        ({"jwks_uri": None}, "no jwks_uri"),
    ],
)
def test_a_discovery_document_leads_nowhere_else(there, document, said):
    there.document |= document
    with pytest.raises(PortError, match=said):
        knowing(there).principal(there.token())


# -- signing in --------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(there):
    made = House()
    oidc = knowing(there)
    client = Client(client_id="aiops-page", redirect_uri="http://127.0.0.1:8080/login/oidc/callback")
    made.lock(
        verifiers=(made.tokens, oidc),
        entrances=(lambda doors: oidc_routes(doors, oidc, client),),
        sign_on="/login/oidc",
    )
    yield made
    made.store.close()


def begun(there, client, following: str = "/policies") -> tuple[str, dict[str, str]]:
    """Begin a login, let the provider give a code, and return it with what the provider was asked."""
    answer = client.get("/login/oidc", params={"next": following})
    parts = urlsplit(answer.headers["location"])
    asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
    assert answer.headers["location"].startswith(f"{there.url}/authorize?")
    there.codes["code-1"] = asked
    return "code-1", asked


def test_people_sign_in_at_their_provider_and_go_on_where_they_were(there, house):
    client = house.client()
    assert '/login/oidc?next=%2Fpolicies"' in client.get("/login?next=/policies").text
    code, asked = begun(there, client)
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    answer = client.get("/login/oidc/callback", params={"code": code, "state": asked["state"]})
    assert 'content="0;url=/policies"' in answer.text
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    caller = client.get("/api/v1/session").json()
    assert caller["principal"] == "oidc:sam"
    assert caller["expires_at"] == house.clock.at + house.sessions.longest_s, "not the token's five minutes"


def test_a_login_that_was_not_begun_in_this_browser_ends_nowhere(there, house):
    """Login CSRF: mallory's code, and even her state, in the browser of another."""
    mallory, victim = house.client(), house.client()
    code, asked = begun(there, mallory)
    sent = {"code": code, "state": asked["state"]}
    assert victim.get("/login/oidc/callback", params=sent).status_code == 403
    begun(there, victim)
    assert victim.get("/login/oidc/callback", params=sent).status_code == 403
    assert victim.get("/api/v1/session").status_code == 401


def test_a_code_counts_once_and_with_its_nonce_only(there, house):
    client = house.client()
    code, asked = begun(there, client)
    there.codes[code] = {**asked, "nonce": "of another login"}
    assert client.get("/login/oidc/callback", params={"code": code, "state": asked["state"]}).status_code == 401
    again = client.get("/login/oidc/callback", params={"code": code, "state": asked["state"]})
    assert (again.status_code, client.get("/api/v1/session").status_code) == (403, 401)


def test_a_provider_that_is_away_is_said_so(there, house):
    there.down = True
    answer = house.client().get("/login/oidc")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_bearer_token_of_the_provider_opens_the_api(there, house):
    assert house.client(there.token()).get("/api/v1/session").json()["principal"] == "oidc:sam"
    refused = house.client(there.token(groups=["other"])).get("/api/v1/status")
    assert (refused.status_code, "no role here" in refused.json()["detail"]) == (403, True)


def test_who_is_not_let_in_by_the_provider_s_word_is_told_of(there, house):
    client = house.client()
    client.get("/login/oidc/callback", params={"code": "x", "state": "of no login"})
    code, asked = begun(there, client)
    there.codes[code] = {**asked, "nonce": "of another login"}
    client.get("/login/oidc/callback", params={"code": code, "state": asked["state"]})
    house.client(there.token(groups=["other"])).get("/api/v1/status")
    assert [(one.did, one.by, one.said) for one in house.knocks] == [
        ("refused", "", "a login at the provider that was not begun in this browser"),
        ("refused", "", "a provider's token that is not valid"),
        ("refused", "", "sam has no role here: see groups and web.oidc.roles"),
    ]
