"""No search for garbage falls into a turn, and where nobody looks for it the loop does not begin to."""

from __future__ import annotations

import gc

import pytest

from aiops.loop.unswept import unswept


@pytest.fixture
def looking():
    """Leave the collector as it was."""
    was = gc.isenabled()
    yield
    (gc.enable if was else gc.disable)()


def test_garbage_waits_for_the_end_of_the_turn_whatever_ends_it(looking):
    gc.enable()
    with unswept():
        assert not gc.isenabled()
        with unswept():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="a bug"), unswept():
        raise ValueError("a bug")
    assert gc.isenabled()


def test_who_has_switched_it_off_keeps_it_off(looking):
    gc.disable()
    with unswept():
        assert not gc.isenabled()
    assert not gc.isenabled()
