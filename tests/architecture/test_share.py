"""Tests that are a product of arguments: `make test` runs a diagonal of each, with every value in it."""

import itertools
import subprocess
import sys

import pytest

from docs.tables import README
from search_spaces.operation import OPERATIONS
from search_spaces.template import TEMPLATES
from tests.share import on_diagonal


def _diagonal(*lengths: int) -> list[tuple[int, ...]]:
    return [cell for cell in itertools.product(*map(range, lengths)) if on_diagonal(cell, lengths)]


@pytest.mark.parametrize(
    "lengths", [(1,), (5,), (3, 3), (2, 7), (7, 2), (4, 4, 4), (2, 6, 26, 2), (6, 3, 2), (2, 2, 2), (12, 7, 5, 3, 2)]
)
def test_every_value_is_on_the_diagonal_which_is_no_longer_than_the_longest_axis(lengths: tuple[int, ...]) -> None:
    cells = _diagonal(*lengths)
    assert len(cells) == max(lengths)
    for axis, length in enumerate(lengths):
        assert {cell[axis] for cell in cells} == set(range(length))


def test_short_axes_meet_in_all_ways() -> None:
    cells = _diagonal(26, 6, 2, 2)
    assert len({cell[2:] for cell in cells}) == 4
    assert len({cell[1:3] for cell in cells}) == 12


def test_what_was_dropped_into_a_folder_is_in_what_runs_with_every_change() -> None:
    words = ["tests/contracts/test_operations.py", "-m", "not slow", "--collect-only", "-q"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    listed = subprocess.run(command, cwd=README.parent, check=True, capture_output=True, text=True).stdout
    axes = (("1", "2"), TEMPLATES.names(), OPERATIONS.names())
    test = "test_declared_cost_equals_counted_cost"
    cells = [cell for cell in itertools.product(*axes) if f"::{test}[{'-'.join(cell)}]\n" in listed]
    assert len(cells) == listed.count(test) == len(OPERATIONS.names())
    assert [set(values) for values in zip(*cells, strict=True)] == [set(axis) for axis in axes]


def test_of_a_test_with_few_as_many_are_run() -> None:
    words = ["tests/contracts/test_spaces.py", "-m", "not slow", "--collect-only", "-q"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    listed = subprocess.run(command, cwd=README.parent, check=True, capture_output=True, text=True).stdout
    assert listed.count("::test_every_method_trains_both_convolutions_of_every_searched_layer[") == 5
