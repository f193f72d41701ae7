"""Lower bounds that nobody can have are told."""

from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from packages.bounds import idle_bounds
from packages.client_sources import ROOT, project

TABLE = {
    "name": "nas-service",
    "dependencies": ["Typing_Extensions>=4.12", "rich>=14,<16"],
    "optional-dependencies": {"all": ["nas-service[s3]", "ray[tune]>=2.60"]},
}


def test_a_bound_below_what_goes_together_is_told() -> None:
    pins = ["typing-extensions==4.14.1", "rich==14.0.0", "ray==2.60.0", "h11==0.16.0"]
    assert idle_bounds(TABLE, pins) == ["Typing_Extensions>=4.12: the lowest that goes with the others is 4.14.1"]
    assert idle_bounds(TABLE, pins, ["typing_extensions"]) == []


def test_a_requirement_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="h11 has no lower bound"):
        idle_bounds({"name": "x", "dependencies": ["h11"]}, ["h11==1"])


def test_every_requirement_of_ours_allows_what_the_tests_run_with() -> None:
    pins = dict(
        line.lower().replace("_", "-").split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    lists = [project()["dependencies"], *project()["optional-dependencies"].values()]
    wanted = [Requirement(line) for line in chain.from_iterable(lists)]
    pinned = {one.name: pins[one.name.lower().replace("_", "-")] for one in wanted if one.name != "nas-service"}
    assert [one for one in wanted if one.name in pinned and not one.specifier.contains(pinned[one.name])] == []


def test_the_tools_of_a_release_are_pinned() -> None:
    lines = Path(ROOT / "packages" / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))
