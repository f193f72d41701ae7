"""Reference networks through the whole pipeline: a step of training, attacks, a bundle, and the network rebuilt from it."""

from functools import cache
from pathlib import Path

import pytest
import torch

from nas_service.candidate import train_to_bundle
from nas_service.capacity import Capacity
from nas_service.catalogue import build_space
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_search, check_training
from nas_service.errors import InvalidInputError
from nas_service.export.bundle import _run_source
from nas_service.export.bundle_archive import WEIGHTS
from nas_service.export.bundle_reading import read_bundle, read_tensors
from nas_service.export.diagram import draw
from nas_service.export.rebuilding import has_own_source, network_of
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import LocalTrainingSpec
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES, Role, SpaceSettings
from tests.samples import digits

CASES = [
    pytest.param("resnet-18", 16, "xnor-net", marks=pytest.mark.slow),
    ("resnet-20", 16, "react-net"),
    ("vgg-binarynet", 16, "bnn"),  # with fully connected layers
    pytest.param("vgg-small", 32, "bnn", marks=pytest.mark.slow),
]
NAMES = ("resnet-18", "resnet-20", "vgg-binarynet", "vgg-small")
EVERY_CASE = pytest.mark.parametrize(("space", "channels", "method"), CASES)


def _genotype(space: str) -> Genotype:
    return STRATEGIES.get("random").from_settings(SPACES.get(space), {}, 0).suggest((), 1)[0]


@cache
def _content(space: str, channels: int, method: str) -> bytes:
    """Train two steps, attack, freeze, compare and write; three of the networks narrower than published, so that it is quick."""
    spec = LocalTrainingSpec.model_validate(
        {
            "space": {"name": space, "settings": {"channels": channels}},
            "method": method,
            "recipe": {"epochs": 1, "max_steps_per_epoch": 2, "batch_size": 32},
            "robustness": {"images": 8, "restarts": 1, "transfer": False},
        }
    )
    content, metrics, _ = train_to_bundle(spec, _genotype(space), digits(), 10**6, torch.device("cpu"), lambda _: None)
    assert metrics.robustness is not None
    return content


@EVERY_CASE
def test_a_bundle_comes_back_as_the_network_that_its_own_source_builds(
    space: str, channels: int, method: str, tmp_path: Path
) -> None:
    (tmp_path / "b.zip").write_bytes(_content(space, channels, method))
    bundle = read_bundle(tmp_path / "b.zip")
    assert Genotype.from_json(bundle.file("genotype.json").decode()).digest == _genotype(space).digest
    network = network_of(bundle).eval()
    assert has_own_source(bundle, network)
    written = _run_source(bundle.file("model.py").decode(), read_tensors(bundle.file(WEIGHTS), WEIGHTS))
    images = torch.rand(8, 1, 8, 8)
    assert torch.equal(written(images), network(images))


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_names_the_convolution_of_every_stage(name: str) -> None:
    space = SPACES.get(name)
    picture = draw(space, _genotype(name))
    for cell in space.cell_types:
        role = ", a reduction" if cell.role is Role.REDUCTION else ""
        assert f"Cell {cell.name}{role}: from the input to node 1: conv-3x3." in picture


def test_the_picture_tells_of_fully_connected_layers_to_those_who_see_it_and_to_those_who_do_not() -> None:
    space = SPACES.get("vgg-binarynet").configure(SpaceSettings(channels=16))
    said = "After the last cell: fully connected layers of 128 and 128 outputs"
    picture = draw(space, _genotype("vgg-binarynet"))
    assert f"{said}.</desc>" in picture
    assert f">{said}</text>" in picture
    assert "fully connected" not in draw(SPACES.get("vgg-small"), _genotype("vgg-small"))


def _place(root: Path) -> Place:
    return Place(Capacity(cpus=2, gpus=0), DatasetSource(root, {}))


@pytest.mark.parametrize("strategy", STRATEGIES.names())
def test_a_search_of_one_architecture_is_one_sample_or_refused(strategy: str, tmp_path: Path) -> None:
    """One sample makes it an architecture of the service, which trainings can name; more would be the same again."""
    spec = {"space": "resnet-20", "strategy": strategy}
    total = STRATEGIES.get(strategy).from_settings(SPACES.get("resnet-20"), {}, 0).total
    if total == 1:
        assert check_search(spec, _place(tmp_path)).spec.space.name == "resnet-20"
        return
    with pytest.raises(InvalidInputError) as caught:
        check_search(spec, _place(tmp_path))
    (problem,) = caught.value.problems
    assert (problem.field, problem.given) == ("strategy", f"{strategy}, {total} samples")
    assert problem.allowed.startswith("1 sample, which abandit takes: space resnet-20 holds one architecture")


def test_more_samples_of_one_architecture_are_refused_and_of_two_are_not(tmp_path: Path) -> None:
    random = {"name": "random", "settings": {"samples": 2}}
    one, two = ({"name": "abandit-mini", "settings": {"operations": names}} for names in (["skip"], ["skip", "conv-3x3"]))
    with pytest.raises(InvalidInputError, match="holds one architecture"):
        check_search({"space": one, "strategy": random}, _place(tmp_path))
    assert check_search({"space": two, "strategy": random}, _place(tmp_path)).spec.strategy.settings == {"samples": 2}


def test_a_training_names_a_reference_network_and_its_settings(tmp_path: Path) -> None:
    spec = {"space": {"name": "resnet-18", "settings": {"stem": "large"}}, "architectures": ["some-id"], "dataset": "digits"}
    checked = check_training({**spec, "methods": ["bi-real"]}, _place(tmp_path)).spec
    assert build_space(checked.space).stem.value == "large"
    with pytest.raises(InvalidInputError, match=r"space\.settings\.stem: 'huge'"):
        check_training(
            {**spec, "methods": ["bi-real"], "space": {"name": "resnet-18", "settings": {"stem": "huge"}}}, _place(tmp_path)
        )
