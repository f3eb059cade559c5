"""How long requests have been failing is told whatever part of them fails, and no blip is ever more than a blip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.decide.failover.evidence import Common, News, apart, failing, judged
from aiops.core.decide.failover.spells import Seen, lasts, prolonged
from aiops.core.model import Spell, View
from tests.unit.failing import a_group

WATCHING = a_group().watching
ALONE = Common(share=0.0, at_most=0.03)
WELL, BLIP_S = 0.025, 16.5


def seen(length_s: float, failed: float, asked: float) -> Seen:
    return Seen(length_s=length_s, failed=failed, asked=asked, well=WELL)


def lived(failing_s: list[bool], lengths: list[int], rps: float) -> list[Spell]:
    """Return the spell after each piece of news; a second fails whole or not at all."""
    found, spell, at = [], Spell(), 0
    for length in lengths:
        part = failing_s[at : at + length]
        at += length
        spell = prolonged(spell, seen(float(length), rps * sum(part), rps * length), BLIP_S)
        found.append(spell)
    return found


@given(
    st.lists(st.integers(1, 7), min_size=40, max_size=40),
    st.integers(0, 20),
    st.integers(1, 16),
    st.sampled_from([0.2, 1.0, 10.0, 1000.0]),
)
def test_nothing_of_a_blip_is_beyond_a_blip_wherever_it_lies_across_looks(lengths, begins, lasted, rps):
    seconds = [begins <= at < begins + lasted for at in range(sum(lengths))]
    assert max(one.beyond for one in lived(seconds, lengths, rps)) == 0.0


@pytest.mark.parametrize(("gap", "found"), [(12, False), (1, True)])
def test_blips_that_follow_one_another_are_left_out_each_for_itself_and_a_moment_of_health_makes_no_two(gap, found):
    seconds = [False] * 10 + [True] * 14 + [False] * gap + [True] * 14 + [False] * 40
    every = lived(seconds, [2] * (len(seconds) // 2), 1.0)
    assert any(lasts(one) for one in every) is found


def test_a_spell_that_fails_no_more_than_what_is_well_is_none():
    spell = prolonged(Spell(), seen(5.0, 5.0, 5.0), BLIP_S)
    assert (spell.failed, spell.lasted_s) == (5.0, 5.0)
    for _ in range(100):
        spell = prolonged(spell, seen(5.0, 0.1, 5.0), BLIP_S)
    assert spell == Spell()


def test_what_is_remembered_of_a_spell_is_no_longer_than_a_blip():
    spell = Spell()
    for _ in range(500):
        spell = prolonged(spell, seen(2.0, 1.0, 2.0), BLIP_S)
    assert len(spell.trail) <= BLIP_S / 2.0 + 2.0
    assert spell.lasted_s == 1000.0


@pytest.mark.parametrize(("share", "at_most_s"), [(0.25, 60.0), (1 / 3, 44.0), (0.5, 32.0), (0.9, 24.0)])
def test_a_part_that_fails_is_found_soon_after_what_could_be_a_blip(share, at_most_s):
    view, lasted_s = View(), 0.0
    while not view.bad:
        view = judged(view, News(length_s=2.0, share=share, asked=2.0), ALONE, WATCHING)
        lasted_s += 2.0
    assert WATCHING.fail_for_s < lasted_s <= at_most_s
    assert failing(view)
    assert apart(view)


def test_a_failure_that_was_found_ends_once_health_is_sure():
    view = View()
    while not view.bad:
        view = judged(view, News(length_s=2.0, share=0.5, asked=20.0), ALONE, WATCHING)
    for _ in range(20):
        view = judged(view, News(length_s=2.0, share=0.0, asked=20.0), ALONE, WATCHING)
    assert (view.bad, view.spell) == (False, Spell())
