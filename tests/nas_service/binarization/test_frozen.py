"""Packing signs into bits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_service.binarization.frozen import pack_signs


def test_the_first_weight_is_the_lowest_bit() -> None:
    """+1 at places 0, 1 and 8: 0b00000011 and 0b00000001."""
    signs = torch.tensor([1.0, 1, -1, -1, -1, -1, -1, -1, 1])
    assert pack_signs(signs).tolist() == [3, 1]


@given(st.lists(st.sampled_from([-1.0, 1.0]), min_size=1, max_size=40))
def test_unpacking_gives_the_signs_back(values: list[float]) -> None:
    bits = pack_signs(torch.tensor(values))
    unpacked = [1.0 if bits[place // 8] >> (place % 8) & 1 else -1.0 for place in range(len(values))]
    assert unpacked == values
    assert len(bits) == -(-len(values) // 8)


@pytest.mark.parametrize("value", [0.0, 0.5, 2.0, float("nan")])
def test_anything_but_signs_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="only -1 and"):
        pack_signs(torch.tensor([1.0, value]))
