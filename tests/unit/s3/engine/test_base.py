"""Parts and budget: the arithmetic under the engine."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from waybill.move.multipart import Budget
from waybill.s3.parts import (
    MAX_PARTS,
    MULTIPART_ABOVE_BYTES,
    SMALLEST_PART_BYTES,
    part_size,
    parts,
)

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40


def test_part_sizes_are_frozen():
    """They decide what can be resumed: a change makes every open upload start anew."""
    assert MULTIPART_ABOVE_BYTES == 64 * MIB
    sizes = {65 * MIB: 16, 156 * GIB: 16, 157 * GIB: 32, 1 * TIB: 128, 5 * TIB: 1024}
    assert {size: part_size(size) // MIB for size in sizes} == sizes


@given(st.integers(1, 5 * TIB))
def test_parts_keep_the_limits_of_s3(size):
    length = part_size(size)
    count = -(-size // length)
    assert count <= MAX_PARTS
    assert 5 * MIB <= SMALLEST_PART_BYTES <= length <= 5 * GIB


@given(st.integers(1, 10_000), st.integers(1, 500))
def test_parts_cover_the_object_once(size, length):
    position = 0
    for expected, part in enumerate(parts(size, length), 1):
        assert (part.number, part.start) == (expected, position)
        assert 0 < part.length <= length
        position += part.length
    assert position == size


def test_the_budget_bounds_what_is_in_memory():
    budget = Budget(100)
    budget.take(60)
    entered = threading.Event()

    def second():
        budget.take(60)
        entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.1)
    budget.give(60)
    assert entered.wait(5)
    thread.join()
    budget.give(60)
    budget.take(1000)  # larger than the limit: alone it may go
