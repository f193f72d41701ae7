"""The comparison of methods: on what network, and what a log is good for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.compare_methods import WIDTH, Log, Outcome, Setting, is_taught, label_of, table
from benchmarks.conv_rich import SPACE
from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_space
from nas_service.recipes.recipe import Recipe
from search_spaces.space import SPACES
from tests.samples import digits

SETTING = Setting(SPACE, SPACES.get(SPACE).template, WIDTH, "digits", "", Recipe().model_dump(mode="json"), "cpu")


@pytest.mark.parametrize(
    ("setting", "layers"), [(SETTING, 4), (replace(SETTING, space="resnet-20", channels=None), 18)], ids=["default", "resnet-20"]
)
def test_the_network_has_binary_kernels_of_3x3_in_number(setting: Setting, layers: int) -> None:
    method = METHODS.get("bnn").from_settings({})
    network = binary_network(build_space(setting.component), setting.genotype(), method, digits().image_format)
    shapes = [layer.shape for layer in binary_layers([network])]
    spatial = [shape for shape in shapes if shape.kernel_size == 3]
    assert len(spatial) == layers
    assert sum(shape.weights for shape in spatial) > 0.9 * sum(shape.weights for shape in shapes)


def test_a_space_with_a_choice_has_no_fixed_architecture() -> None:
    with pytest.raises(SystemExit, match="'abandit-mini' has 729 architectures"):
        replace(SETTING, space="abandit-mini").genotype()


def test_a_log_goes_on_where_it_ended_and_refuses_another_setting(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    outcome = Outcome("bnn", 1, 0.5, 0.25, 3.0, {"flip_ratio": 0.125})
    Log(path, SETTING).add(outcome)
    assert Log(path, SETTING).done == {("bnn", 1): outcome}
    assert Log(path, replace(SETTING, data_root="elsewhere")).done == {("bnn", 1): outcome}
    with pytest.raises(SystemExit, match="another setting"):
        Log(path, replace(SETTING, recipe=Recipe(epochs=7).model_dump(mode="json")))
    assert "| `bnn` | 25.00 | - | 25.00 | 50.00 | 3 | 12.50 |" in table([outcome])


def test_methods_with_settings_of_their_own_have_rows_of_their_own() -> None:
    own = {"name": "react-net", "recipe": {"distillation": 0.5}}
    assert label_of({"name": "bnn"}) == "bnn"
    assert json.loads(label_of(own).removeprefix("react-net "))["recipe"]["distillation"] == 0.5
    assert is_taught(SETTING, own)
    assert not is_taught(SETTING, {"name": "react-net"})
