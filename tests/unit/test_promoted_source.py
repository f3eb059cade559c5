"""Promotions as the daemon's source of policies takes them: from files and a store that may be away (S6)."""

from __future__ import annotations

from aiops.app.promoted import PromotedPolicySource, Promoting
from aiops.app.promotion import Gate
from aiops.core.model import Mode
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.versions import Promotion
from aiops.errors import StoreUnavailable
from tests.builders import KEY, NOW, loaded
from tests.unit.test_promotion import BESIDE, EDITED, FIRST, YEAR_END, of, word


class Files:
    """What is loaded, by hand."""

    problems = ()

    def __init__(self, *policies: ScalingPolicy) -> None:
        self.set = of(*policies)

    def current(self) -> PolicySet:
        return self.set

    def reload(self, *, force: bool = False) -> bool:
        return force


class Words:
    """Promotions in memory. away: whether they can be read."""

    def __init__(self, *words: Promotion) -> None:
        self.words = list(words)
        self.away = False
        self.read = 0

    def every(self):
        self.read += 1
        return tuple(self.words)

    def newest(self):
        if self.away:
            raise StoreUnavailable("the promotions cannot be read: gone")
        return len(self.words)

    def add_new(self, promotion: Promotion) -> bool:
        if self.words and self.words[-1].spec_hash == promotion.spec_hash:
            return False
        self.words.append(promotion)
        return True


def source(files: Files, words: Words, gate: Gate = Gate.EVIDENCE, adopted=lambda _: None) -> PromotedPolicySource:
    return PromotedPolicySource(files, words, Promoting(gate=gate, adopted=adopted, now=lambda: NOW))


def test_a_promotion_is_taken_without_a_change_of_files():
    words = Words()
    made = source(Files(FIRST), words)
    assert made.current().scaling[0].reach is Mode.DRY_RUN
    words.words.append(word(FIRST))
    assert made.reload()
    assert made.current().scaling[0].reach is Mode.ENFORCE
    reads = words.read
    assert not made.reload()
    assert words.read == reads


def test_while_the_store_is_away_all_stays_as_it_is_s6():
    files, words = Files(FIRST), Words(word(FIRST))
    made = source(files, words)
    before = made.current()
    files.set, words.away = of(EDITED), True
    assert not made.reload()
    assert made.current() is before
    words.away = False
    assert made.reload()
    assert [policy.key for policy in made.current().scaling] == [KEY, BESIDE]


def test_what_cannot_be_noted_is_not_in_force_s6():
    def refuse(policies: PolicySet) -> None:
        if len(policies.scaling) > 1:
            raise StoreUnavailable("full")

    files = Files(FIRST)
    made = source(files, Words(word(FIRST)), adopted=refuse)
    files.set = of(EDITED)
    assert not made.reload()
    assert [policy.key for policy in made.current().scaling] == [KEY]


def test_files_that_are_their_own_word_are_written_down_once():
    files, words = Files(FIRST, loaded("quiet", "dry-run")), Words()
    made = source(files, words, Gate.FILE)
    made.reload()
    files.set = of(EDITED)
    made.reload()
    assert [(one.by, one.spec_hash) for one in words.words] == [("file", FIRST.spec_hash), ("file", EDITED.spec_hash)]
    assert [policy.key for policy in made.current().scaling] == [KEY]


def test_an_added_freeze_is_another_set_so_that_the_loop_takes_it_s9():
    files, words = Files(FIRST), Words(word(FIRST))
    made = source(files, words)
    files.set = of(loaded(freezes=[YEAR_END]))
    assert made.reload()
    assert [one.name for one in made.current().scaling[0].freezes] == ["year-end"]
