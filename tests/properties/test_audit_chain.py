"""The audit chain: whatever is done to it, it is seen, and told at the first record that is not as it was recorded."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.core.record.anchors import AnchorKind, anchor_of, anchored, genuine, unmet
from aiops.core.record.audit import (
    GENESIS,
    AuditKind,
    Entry,
    Head,
    Line,
    Walk,
    appended,
    canonical,
    digest_of,
    head_of,
)
from aiops.core.record.cef import cef

TEXT = st.text(max_size=60)
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=True) | TEXT
ENTRIES = st.builds(
    Entry,
    at=st.floats(0, 4e9),
    kind=st.sampled_from(AuditKind),
    by=TEXT,
    subject=TEXT,
    did=TEXT,
    ref=TEXT,
    before=PLAIN,
    after=PLAIN,
    said=TEXT,
    detail=st.dictionaries(TEXT, PLAIN, max_size=3),
)


CALM = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""However busy the machine is."""


def chain(entries, start: Head = GENESIS) -> list[Line]:
    lines, head = [], start
    for entry in entries:
        lines.append(appended(head, entry))
        head = head_of(lines[-1])
    return lines


def walked(lines, start: Head = GENESIS) -> Walk:
    walk = Walk(start)
    for line in lines:
        if not walk.take(line):
            break
    return walk


@CALM
@given(st.lists(ENTRIES, max_size=8))
def test_a_chain_that_nobody_touched_is_whole_whatever_was_recorded(entries):
    lines = chain(entries)
    walk = walked(lines)
    assert (walk.fault, walk.records) == (None, len(entries))
    assert walk.head == (head_of(lines[-1]) if lines else GENESIS)


@CALM
@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_a_record_s_text_is_canonical_so_that_anybody_can_compute_its_digest(entries):
    previous = GENESIS.digest
    for line in chain(entries):
        said = json.loads(line.text)
        assert json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == line.text
        assert digest_of(previous, canonical(said)) == line.digest
        assert "\x00" not in line.columns["by"] + line.columns["subject"] + line.columns["ref"]
        previous = line.digest


@st.composite
def tampered(draw):
    """A chain, what became of it, and the first place at which that must be seen."""
    lines = chain(draw(st.lists(ENTRIES, min_size=3, max_size=8)))
    place = draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    done = [*lines]
    how = draw(st.sampled_from(["text", "digest", "column", "remove", "insert", "swap", "forge"]))
    seen = line.seq
    match how:
        case "text":
            done[place] = replace(line, text=line.text.replace('"v":1', '"v":2'))
        case "digest":
            done[place] = replace(line, digest=digest_of(line.digest, "another"))
        case "column":
            done[place] = replace(line, columns={**line.columns, "by": line.columns["by"] + "!"})
        case "remove":
            place = draw(st.integers(0, len(lines) - 2))  # the last one is the tail, see below
            done, seen = [*lines[:place], *lines[place + 1 :]], place + 1
        case "insert":
            done.insert(place, line)
        case "swap":
            place = draw(st.integers(0, len(lines) - 2))
            done[place], done[place + 1] = lines[place + 1], lines[place]
            seen = place + 1
        case "forge":
            # changed, and its digest made to fit: then the next one does not follow any more
            place = draw(st.integers(0, len(lines) - 2))
            before = lines[place - 1].digest if place else GENESIS.digest
            text = canonical({**json.loads(lines[place].text), "did": "something else"})
            done[place] = replace(lines[place], text=text, digest=digest_of(before, text))
            seen = place + 2
    return done, seen, how


@CALM
@given(tampered())
def test_what_is_changed_removed_inserted_or_moved_is_seen_at_the_first_place_where_it_can_be(case):
    lines, seen, how = case
    walk = walked(lines)
    assert walk.fault is not None
    assert walk.fault[0] == seen
    assert str(seen) in walk.fault[1]
    assert walk.records == (seen if how == "insert" else seen - 1)


class Key:
    """A key whose signatures anybody can check, for tests."""

    fingerprint = "f" * 64

    def sign(self, statement: bytes) -> bytes:
        return digest_of("00", f"key {statement!r}").encode()


def believes(key: str, statement: bytes, signature: bytes) -> bool:
    return key == Key.fingerprint and signature == Key().sign(statement)


@CALM
@given(st.lists(ENTRIES, min_size=2, max_size=8), st.data())
def test_a_tail_that_was_cut_is_seen_by_an_anchor_that_was_kept_elsewhere(entries, data):
    lines = chain(entries)
    anchor = anchor_of(anchored(head_of(lines[-1]), 1.5, AnchorKind.DAILY, Key()).line())
    assert genuine(anchor, believes)
    left = lines[: data.draw(st.integers(1, len(lines) - 1))]
    walk = walked(left)
    assert walk.fault is None  # by itself a chain that was cut at its end looks whole
    assert "its end is cut" in unmet(anchor, walk.head, GENESIS, {})


@CALM
@given(st.lists(ENTRIES, min_size=1, max_size=6), ENTRIES)
def test_a_chain_that_was_made_anew_is_seen_by_an_anchor(entries, other):
    lines = chain(entries)
    anchor = anchored(head_of(lines[-1]), 2.0, AnchorKind.ASKED, Key())
    anew = chain([*entries[:-1], replace(other, said=f"{entries[-1].said} and more")])
    digests = {line.seq: line.digest for line in anew}
    assert unmet(anchor, head_of(anew[-1]), GENESIS, digests) != ""
    assert unmet(anchor, head_of(lines[-1]), GENESIS, {lines[-1].seq: lines[-1].digest}) == ""


@CALM
@given(st.integers(1, 9), st.sampled_from(["seq", "digest", "at_s", "kind", "key"]))
def test_an_anchor_that_was_changed_is_nobody_s(seq, name):
    line = json.loads(anchored(Head(seq=seq, digest="a" * 64), 3.25, AnchorKind.CUT, Key()).line())
    line[name] = {"seq": seq + 1, "digest": "b" * 64, "at_s": "4.0", "kind": "daily", "key": "0" * 64}[name]
    assert not genuine(anchor_of(json.dumps(line)), believes)


@CALM
@given(ENTRIES)
def test_a_line_of_cef_is_one_line_that_reads_back(entry):
    (line,) = chain([entry])
    text = cef(line, "1.0|x")
    assert "\n" not in text
    assert "\r" not in text
    head, extension = _header(text)
    assert head[:4] == ["CEF:0", "aiops", "aiops", "1.0|x"]
    assert 0 <= int(head[6]) <= 10
    pairs = _extension(extension)
    said = json.loads(line.text)
    assert pairs.get("msg", "") == said["said"]
    assert pairs.get("suser", "") == said["by"]
    assert pairs["cs6"] == line.digest
    assert math.isclose(int(pairs["rt"]) / 1000, entry.at, abs_tol=0.002)


def _header(text: str) -> tuple[list[str], str]:
    """Read a header as a SIEM does: fields end at a bar that is not escaped."""
    fields, word, at = [], "", 0
    while len(fields) < 7:
        letter = text[at]
        if letter == "\\":
            word, at = word + text[at + 1], at + 1
        elif letter == "|":
            fields.append(word)
            word = ""
        else:
            word += letter
        at += 1
    return fields, text[at:]


def _extension(text: str) -> dict[str, str]:
    """Read an extension as a SIEM does: a key is the word before an equals sign that is not escaped."""
    signs, at = [], 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "=":
            signs.append(at)
        at += 1
    begins = [text.rfind(" ", 0, sign) + 1 for sign in signs]
    ends = [*(begin - 1 for begin in begins[1:]), len(text)]
    known = {"\\": "\\", "=": "=", "n": "\n", "r": "\r"}
    found = {}
    for begin, sign, end in zip(begins, signs, ends, strict=True):
        value, letters = "", iter(text[sign + 1 : end])
        for letter in letters:
            value += known[next(letters)] if letter == "\\" else letter
        found[text[begin:sign]] = value
    return found
