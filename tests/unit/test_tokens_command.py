"""`aiops tokens` and `aiops follow` as a user meets them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiops.adapters.store import Store
from aiops.app.cli import app
from aiops.app.tokens import Tokens
from aiops.errors import AiopsError, Conflict, InvalidInput, NotFound


@pytest.fixture
def folder(tmp_path) -> Path:
    Store.open(f"sqlite:///{tmp_path / 'aiops.db'}").close()
    (tmp_path / "c.yaml").write_text(json.dumps({"store": {"url": f"sqlite:///{tmp_path / 'aiops.db'}"}}))
    return tmp_path


def aiops(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(folder / "c.yaml"), *words])


def refused(folder: Path, *words: str) -> AiopsError:
    found = aiops(folder, *words).exception
    assert isinstance(found, AiopsError)
    return found


def test_a_token_is_shown_once_listed_without_it_and_taken_back(folder):
    made = aiops(folder, "tokens", "create", "sam", "--role", "operator", "--for", "12h", "--by", "root")
    token = made.stdout.strip()
    assert token.startswith("aiops_")
    assert "sam is operator until" in made.stderr
    assert "shown once" in made.stderr
    store = Store.open(f"sqlite:///{folder / 'aiops.db'}")
    at = store.access.tokens()[0].created_at
    assert Tokens(store.access, lambda: at + 1).principal(token).name == "sam"
    assert Tokens(store.access, lambda: at + 12 * 3600).principal(token) is None
    store.close()
    listed = aiops(folder, "tokens", "list").stdout
    assert ("sam" in listed, token in listed, "root" in listed) == (True, False, True)
    (row,) = json.loads(aiops(folder, "-o", "json", "tokens", "list").stdout)
    assert (row["name"], row["role"], row["state"], "token" in row, "digest" in row) == (
        "sam", "operator", "valid", False, False,
    )  # fmt: skip
    assert "operator no more" in aiops(folder, "tokens", "revoke", row["id"][:20]).stdout
    assert json.loads(aiops(folder, "-o", "json", "tokens", "list").stdout)[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("create", "sam", "--role", "root"), InvalidInput, "viewer, author, operator, admin"),
        (("create", "sam", "--for", "soon"), InvalidInput, "--for"),
        (("create", "a b"), InvalidInput, "no name"),
        (("revoke", "nobody"), NotFound, "no token nobody in force"),
    ],
)
def test_what_makes_no_sense_is_said(folder, words, error, said):
    found = refused(folder, "tokens", *words)
    assert (type(found), said in str(found)) == (error, True)


def test_a_name_is_given_once(folder):
    assert aiops(folder, "tokens", "create", "sam", "--for", "ever").exit_code == 0
    assert isinstance(refused(folder, "tokens", "create", "sam"), Conflict)


def test_the_store_that_holds_them_is_for_its_owner_only(folder):
    """A digest opens nothing; the record beside it is nobody else's business all the same."""
    mode = stat.S_IMODE((folder / "aiops.db").stat().st_mode)
    assert mode & 0o022 == 0, "nobody else writes it"


@pytest.mark.parametrize(
    ("words", "said"), [(("follow",), "--server"), (("follow", "--only", "nothing"), "tick, decision, plan")]
)
def test_following_needs_a_daemon_and_known_kinds(folder, words, said):
    assert said in str(refused(folder, *words))
