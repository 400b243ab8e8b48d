"""The same promises where the ground moves: chains change under their leaves, and places come to serve another.

A machine of its own: these rules would thin out the search for everything else.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.domain.moving import come_back, move_away
from tests.domain.test_lifecycle_properties import EVERYDAY, LONG, Lifecycle


class Shifting(Lifecycle):
    """A lifecycle whose chains and places are changed by others."""

    @rule(share=st.integers(-300, 1300), which=st.integers(0, 9), whole=st.booleans())
    def the_chain_changes_under_the_leaf(self, share: int, which: int, whole: bool) -> None:
        world = self.world
        slot = sorted(world.served)[which % len(world.served)]
        world.paths[slot] = world.now + world.length * share // 1000
        (world.gaps.discard if whole else world.gaps.add)(slot)
        self.discover()

    @rule()
    def the_chains_are_mended(self) -> None:
        self.world.paths.clear()
        self.world.gaps.clear()
        self.discover()

    @rule()
    def its_places_come_to_serve_another(self) -> None:
        if self.world.state.slots:
            self.notices += 1
            move_away(self.world, f"a-{self.notices}")
            self.advance(0)

    @precondition(lambda self: not self.world.state.slots and self.world.state.places)
    @rule()
    def it_is_found_again(self) -> None:
        self.notices += 1
        come_back(self.world, f"b-{self.notices}")
        self.advance(0)


def test_the_promises_hold_where_the_ground_moves() -> None:
    run_state_machine_as_test(Shifting, settings=EVERYDAY)


@pytest.mark.long
def test_the_promises_hold_in_many_more_lives_where_the_ground_moves() -> None:
    run_state_machine_as_test(Shifting, settings=LONG)
