"""`aiops audit` as a user meets it: what it prints, and with which code it ends."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aiops.adapters.store import Store
from aiops.app.auditing import model_ordered
from aiops.app.cli import app
from aiops.core.record.audit import AuditKind, Entry
from aiops.errors import AiopsError, InvalidInput

NOW = 1_772_450_000.0


@pytest.fixture
def folder(tmp_path) -> Path:
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    said = {"kind": AuditKind.PAUSE, "subject": "shop", "did": "paused", "said": "a=b|c\nd", "by": "ann"}
    store.audit.note(*(Entry(at=NOW + number, ref=f"p{number}", **said) for number in range(5)))
    store.close()
    (tmp_path / "c.yaml").write_text(
        json.dumps(
            {
                "store": {"url": f"sqlite:///{tmp_path / 'aiops.db'}"},
                "audit": {"key_file": str(tmp_path / "key.pem"), "anchors_file": str(tmp_path / "anchors.jsonl")},
            }
        )
    )
    return tmp_path


def aiops(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(folder / "c.yaml"), *words])


def refused(folder: Path, *words: str) -> AiopsError:
    found = aiops(folder, *words).exception
    assert isinstance(found, AiopsError)
    return found


def tamper(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "aiops.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_records_are_listed_newest_first_page_by_page_without_what_a_terminal_would_obey(folder):
    found = aiops(folder, "audit", "list", "--limit", "2")
    lines = found.output.splitlines()
    assert [line.split()[0] for line in lines] == ["NO", "5", "4", "older"]
    assert lines[-1] == "older ones: --before 4"
    data = json.loads(aiops(folder, "-o", "json", "audit", "list", "--before", "2").output)
    assert ([one["ref"] for one in data["records"]], data["next"], data["whole_from"]) == (["p0"], None, 1)
    assert "there are decision, action" in str(refused(folder, "audit", "list", "--kind", "pauses"))


def test_a_chain_that_was_touched_ends_with_1_and_names_the_record(folder):
    assert aiops(folder, "audit", "key", str(folder / "key.pem")).exit_code == 0
    whole = aiops(folder, "audit", "verify")
    assert (whole.exit_code, "5 records are whole, from 1 to 5" in whole.output) == (0, True)
    tamper(folder, "UPDATE audit SET text = replace(text, 'ann', 'bob') WHERE seq = 3")
    broken = aiops(folder, "audit", "verify")
    assert broken.exit_code == 1
    assert broken.output.startswith("broken at record 3:")


def test_a_key_is_for_its_owner_alone_and_overwrites_nothing(folder):
    made = aiops(folder, "-o", "json", "audit", "key", str(folder / "key.pem"))
    assert "PUBLIC KEY" in json.loads(made.output)["public_key"]
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    was = (folder / "key.pem").read_bytes()
    assert "never overwritten" in str(refused(folder, "audit", "key", str(folder / "key.pem")))
    assert (folder / "key.pem").read_bytes() == was


def test_an_export_is_checked_anywhere_against_anchors_and_a_public_key(folder, tmp_path):
    key = json.loads(aiops(folder, "-o", "json", "audit", "key", str(folder / "key.pem")).output)
    (folder / "audit.pub").write_text(key["public_key"])
    assert aiops(folder, "audit", "anchor").exit_code == 0
    assert aiops(folder, "audit", "export", str(folder / "x.jsonl")).output == f"{folder / 'x.jsonl'}: 5 records\n"
    files = ["--anchors", str(folder / "anchors.jsonl"), "--public-key", str(folder / "audit.pub")]
    verify = ["audit", "verify", "--file", str(folder / "x.jsonl"), *files]
    assert aiops(folder, *verify).output == "whole: 5 records are whole, from 1 to 5\n"
    lines = (folder / "x.jsonl").read_text().splitlines()
    (folder / "x.jsonl").write_text("\n".join([*lines[:2], lines[2].replace("ann", "bob"), *lines[3:]]))
    found = aiops(folder, *verify)
    assert (found.exit_code, found.output.startswith("broken at record 3")) == (1, True)
    (folder / "x.jsonl").write_text("\n".join([*lines[:2], "{}"]))
    assert f"{folder / 'x.jsonl'}:3: this is no exported record" in str(refused(folder, *verify))
    anchors = (folder / "anchors.jsonl").read_text()
    (folder / "x.jsonl").write_text("\n".join(lines))
    (folder / "anchors.jsonl").write_text(anchors.replace('"seq":5', '"seq":4'))
    forged = aiops(folder, *verify)
    assert (forged.exit_code, "not signed by a key that is known" in forged.output) == (1, True)


def test_an_export_for_a_siem_is_one_line_for_each_record(folder):
    lines = aiops(folder, "audit", "export", "--format", "cef").output.splitlines()
    assert len(lines) == 5
    assert (
        "|pause|pause paused|6|rt=1772450000000 externalId=p0 suser=ann act=paused msg=a\\=b|c\\nd cs1Label="
        in lines[0]
    )
    assert isinstance(refused(folder, "audit", "export", "--format", "leef"), InvalidInput)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named(folder, content):
    (folder / "key.pem").write_text(content)
    for words in (("audit", "anchor"), ("audit", "verify")):
        assert str(folder / "key.pem") in str(refused(folder, *words))


def test_what_people_order_of_models_is_a_record():
    wish = {"policy": "shop/checkout", "do": "rollback", "by": "ann", "reason": "it is off"}
    made = {"done": "rollback", "policy": "ScalingPolicy/shop/checkout", "version": 3, "model": "harmonic-v3"}
    found = model_ordered(wish, made, NOW)
    assert (found.kind, found.by, found.subject, found.did) == ("order", "ann", made["policy"], "rollback")
    assert (found.after, found.said) == (3, "it is off")
