"""Who belongs to a template: within maxTargets, not faster than maxGrowth, and not gone before that lasts (S3, S9)."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from aiops.core.membership import GROWTH_S, LEFT_S, Consent, Membership, membership
from aiops.core.model import TargetRef
from aiops.core.selection import LabelSelector, Member, Selection

SELECTION = Selection(
    kind=TargetRef(namespace="shop", name="*"),
    labels=LabelSelector(match_labels=(("tier", "web"),)),
    max_targets=5,
    max_growth=1,
)
ACTS = Consent(acts=True)
FIRST = Membership()


def found(names: str) -> dict[str, Member]:
    return {name: Member(name=name) for name in names.split()}


def looked(*looks: tuple[float, str], consent: Consent = ACTS, selection: Selection = SELECTION) -> Membership:
    """Return the members after looks at times."""
    made = FIRST
    for at, names in looks:
        made = membership(made, found(names), selection, consent, at)
    return made


def members(made: Membership) -> list[str]:
    return list(made.members)


def test_whoever_matches_when_the_template_comes_is_a_member():
    made = looked((0, "c a b"))
    assert (members(made), made.held, dict(made.waiting)) == (["a", "b", "c"], "", {})


def test_more_than_may_match_hold_all_of_it_and_nobody_joins():
    made = looked((0, "a b c d e f"))
    assert members(made) == []
    assert made.held == ("6 Deployments match tier=web, maxTargets is 5 (not joined: a, b, c, d, e and 1 more)")


def test_those_who_were_members_stay_while_too_many_match():
    made = looked((0, "a b c d e"), (15, "a b c d e f"))
    assert members(made) == ["a", "b", "c", "d", "e"]
    assert made.held.endswith("maxTargets is 5 (not joined: f)")
    assert looked((0, "a b c d e"), (15, "a b c d e f"), (30, "a b c d e")).held == ""


def test_one_may_join_within_an_hour_where_one_is_the_growth():
    made = looked((0, "a"), (15, "a b"))
    assert (members(made), made.held) == (["a", "b"], "")


def test_unexpected_growth_holds_all_of_it_and_nobody_joins_s3():
    made = looked((0, "a"), (15, "a b c"))
    assert (members(made), dict(made.waiting)) == (["a"], {"b": 15, "c": 15})
    assert made.held == ("2 Deployments joined tier=web within an hour, maxGrowth is 1 (not joined: b, c)")


def test_growth_that_comes_one_by_one_is_as_unexpected():
    made = looked((0, "a"), (15, "a b"), (600, "a b c"))
    assert (members(made), made.held != "") == (["a", "b"], True)


def test_an_hour_later_another_may_join():
    assert members(looked((0, "a"), (15, "a b"), (15 + GROWTH_S, "a b c"))) == ["a", "b", "c"]


def test_who_waits_does_not_become_expected_by_waiting():
    looks = [(15.0 * turn, "a b c") for turn in range(1, 500)]
    assert members(looked((0, "a"), *looks)) == ["a"]


def test_a_promotion_after_they_were_seen_lets_them_join():
    before = looked((0, "a"), (15, "a b c"))
    early = membership(before, found("a b c"), SELECTION, Consent(acts=True, confirmed_at=10.0), 30)
    assert members(early) == ["a"]
    late = membership(before, found("a b c"), SELECTION, Consent(acts=True, confirmed_at=20.0), 30)
    assert (members(late), late.held) == (["a", "b", "c"], "")
    # and they are no growth any more
    assert members(membership(late, found("a b c d"), SELECTION, Consent(acts=True, confirmed_at=20.0), 45)) == [
        "a",
        "b",
        "c",
        "d",
    ]


def test_what_changes_nothing_is_joined_by_anybody_up_to_max_targets():
    quiet = Consent(acts=False)
    assert members(looked((0, "a"), (15, "a b c d"), consent=quiet)) == ["a", "b", "c", "d"]
    assert looked((0, "a"), (15, "a b c d e f"), consent=quiet).held != ""


def test_an_edited_selector_selects_whom_its_author_means():
    wider = Selection(
        kind=SELECTION.kind, labels=LabelSelector(match_labels=(("x", "y"),)), max_targets=5, max_growth=0
    )
    made = membership(looked((0, "a")), found("a b c"), wider, ACTS, 15)
    assert (members(made), made.held) == (["a", "b", "c"], "")
    assert membership(made, found("a b c d"), wider, ACTS, 30).held != ""


def test_who_is_gone_for_a_moment_stays_and_who_stays_away_leaves():
    assert members(looked((0, "a b"), (15, "a"))) == ["a", "b"]
    assert members(looked((0, "a b"), (15, "a"), (15 + LEFT_S - 1, "a"))) == ["a", "b"]
    assert members(looked((0, "a b"), (15, "a"), (15 + LEFT_S, "a"))) == ["a"]
    assert members(looked((0, "a b"), (15, "a"), (30, "a b"), (50, "a"))) == ["a", "b"]


def test_who_left_and_comes_back_is_growth_like_any_other():
    made = looked((0, "a b c"), (15, "a"), (45, "a"), (60, "a b c"))
    assert (members(made), made.held != "") == (["a"], True)


NAMES = st.frozensets(st.sampled_from("abcdefgh"), max_size=8)
LOOKS = st.lists(st.tuples(st.sampled_from([5.0, 15.0, 900.0, 4000.0]), NAMES), max_size=12)


@given(looks=LOOKS)
def test_no_look_makes_more_members_than_may_be_or_lets_more_join_than_may(looks):
    """S3, whatever comes and goes."""
    made, at = FIRST, 0.0
    joined: list[float] = []
    for number, (wait, names) in enumerate(looks):
        at += wait
        before = made
        made = membership(made, {name: Member(name=name) for name in sorted(names)}, SELECTION, ACTS, at)
        new = made.members.keys() - before.members.keys()
        assert new <= names
        assert not (made.held and new)
        assert len(set(made.members) & names) <= max(SELECTION.max_targets, len(before.members))
        if number:
            joined += [at] * len(new)
        assert sum(at - one < GROWTH_S for one in joined) <= SELECTION.max_growth
        assert made == membership(before, {name: Member(name=name) for name in names}, SELECTION, ACTS, at)
    assert math.isfinite(at)
