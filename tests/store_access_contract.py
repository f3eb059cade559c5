"""What is promised on every database of tokens and sessions (S10)."""

from __future__ import annotations

import threading

import pytest

from aiops.app.auditing import listed
from aiops.app.tokens import Tokens
from aiops.core.model.access import KeptSession
from aiops.errors import InvalidInput, NotFound
from aiops.web.locks.digests import digest
from tests.builders import NOW


def session(name: str, key: str = "k", expires_at: float = NOW + 60) -> KeptSession:
    """Return a session."""
    return KeptSession(
        digest=digest(name),
        principal=name,
        role="viewer",
        how="token",
        key=key,
        shared=False,
        created_at=NOW,
        seen_at=NOW,
        expires_at=expires_at,
    )


class AccessContract:
    """Two processes over one store."""

    def test_what_one_process_gives_another_knows_and_takes_back(self, opened):
        one, two = Tokens(opened().access, lambda: NOW), Tokens(opened().access, lambda: NOW)
        made = one.create({"name": "sam", "role": "operator", "by": "root", "for_s": 60.0})
        found = two.principal(made["token"])
        assert (found.name, found.role.value, found.key, found.expires_at) == ("sam", "operator", made["id"], NOW + 60)
        assert two.principal(made["token"] + "x") is None
        assert two.principal("aiops_") is None
        assert two.revoke(made["id"][:12].lower(), "kim")["state"] == "revoked"
        assert one.principal(made["token"]) is None
        assert [(row["name"], row["state"], row["used_at"] is not None) for row in one.listed()] == [
            ("sam", "revoked", True)
        ]

    def test_neither_the_token_nor_its_digest_is_ever_listed(self, opened):
        tokens = Tokens(opened().access, lambda: NOW)
        made = tokens.create({"name": "sam", "role": "viewer", "by": "root"})
        assert made["token"] not in str(tokens.listed())
        assert digest(made["token"]) not in str(tokens.listed())

    def test_a_name_is_in_force_once_and_free_again_when_it_is_over(self, opened):
        at = [NOW]
        tokens = Tokens(opened().access, lambda: at[0])
        tokens.create({"name": "sam", "role": "viewer", "by": "root", "for_s": 60.0})
        with pytest.raises(InvalidInput, match="a token sam already"):
            tokens.create({"name": "sam", "role": "admin", "by": "root"})
        at[0] += 60
        tokens.create({"name": "sam", "role": "viewer", "by": "root"})
        tokens.revoke("sam", "root")
        tokens.create({"name": "sam", "role": "viewer", "by": "root"})

    def test_of_two_who_give_one_name_at_once_one_does(self, opened):
        stores = [opened(), opened()]
        answers: list[str] = []

        def give(store):
            try:
                answers.append(Tokens(store.access, lambda: NOW).create({"name": "sam", "role": "viewer"})["state"])
            except InvalidInput:
                answers.append("refused")

        threads = [threading.Thread(target=give, args=(one,)) for one in stores]
        for one in threads:
            one.start()
        for one in threads:
            one.join(20)
        assert sorted(answers) == ["refused", "valid"]

    def test_who_gives_and_takes_is_in_the_chain(self, opened):
        store = opened()
        tokens = Tokens(store.access, lambda: NOW)
        tokens.create({"name": "sam", "role": "operator", "by": "root"})
        tokens.revoke("sam", "kim")
        records = [one for one in listed(store, {"limit": 10})["records"] if one["kind"] == "token"]
        assert [(one["by"], one["did"], one["subject"]) for one in records] == [
            ("kim", "revoked", "sam"),
            ("root", "created", "sam"),
        ]

    def test_sessions_are_one_for_all_processes_and_end_with_their_token(self, opened):
        one, two = opened().access, opened().access
        made = Tokens(one, lambda: NOW).create({"name": "sam", "role": "viewer", "by": "root"})
        one.add(session("a", key=made["id"]))
        one.add(session("b"))
        two.seen(digest("b"), NOW + 30)
        assert one.get(digest("b")).seen_at == NOW + 30
        Tokens(two, lambda: NOW).revoke("sam", "root")
        assert (one.get(digest("a")), one.get(digest("b")) is not None) == (None, True)
        two.end(digest("b"))
        assert one.get(digest("b")) is None

    def test_sessions_that_are_over_are_forgotten(self, opened):
        store = opened()
        store.access.add(session("old", expires_at=NOW))
        store.access.add(session("new"))
        assert store.access.get(digest("old")) is None

    @pytest.mark.parametrize(
        ("wish", "said"),
        [
            ({"name": "", "role": "viewer"}, "name:"),
            ({"name": "a b", "role": "viewer"}, "no name"),
            ({"name": "x" * 65, "role": "viewer"}, "no name"),
            ({"name": "sam\u0000", "role": "viewer"}, "no name"),
            ({"name": "loopback", "role": "viewer"}, "shows no token"),
            ({"name": "oidc:sam", "role": "viewer"}, "shows no token"),
            ({"name": "sam", "role": "root"}, "viewer, author, operator, admin"),
            ({"name": "sam", "role": "public"}, "viewer, author, operator, admin"),
            ({"name": "sam", "role": "viewer", "for_s": -1}, "for_s"),
            ({"name": "sam", "role": "viewer", "for_s": "1h"}, "for_s"),
        ],
    )
    def test_a_token_that_makes_no_sense_is_not_given(self, opened, wish, said):
        tokens = Tokens(opened().access, lambda: NOW)
        with pytest.raises(InvalidInput, match=said):
            tokens.create(wish)
        with pytest.raises(NotFound):
            tokens.revoke("sam", "root")
