"""What a spec asks of its dataset is refused before anything starts, from facts alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from nas_service.capacity import Capacity
from nas_service.checking.datasets import DatasetSource, Registered, readable_files
from nas_service.checking.specs import Place, check_local_training, check_search
from nas_service.errors import InvalidInputError
from nas_service.specs import Component
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import write_parquet
from tests.samples import digits


def _place(root: Path, **registered: Registered) -> Place:
    return Place(Capacity(cpus=2, gpus=0), DatasetSource(root, registered))


def _problems(body: dict[str, object], place: Place) -> dict[str, tuple[object, str]]:
    with pytest.raises(InvalidInputError) as caught:
        check_search(body, place)
    return {problem.field: (problem.given, problem.allowed) for problem in caught.value.problems}


def test_classes_without_a_training_image_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path, [0, 2] * 20)
    named = {"path": "pictures.parquet", "classes": [f"c{index}" for index in range(30)]}
    dataset = {"name": "parquet", "settings": named}
    given, allowed = _problems({"dataset": dataset}, _place(tmp_path))["dataset.settings.split_seed"]
    assert given == "no training image of c1, c3, c4 and 25 more"
    assert "an image to train with in every class" in allowed
    with pytest.raises(InvalidInputError, match="no training image of"):
        check_local_training({"dataset": dataset}, tmp_path)


def test_a_phantom_class_of_labels_from_one_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path, [1, 2] * 20)
    dataset = {"name": "parquet", "settings": {"path": "pictures.parquet"}}
    assert "no training image of cat" in str(_problems({"dataset": dataset}, _place(tmp_path)))


def test_a_split_or_a_share_that_leaves_no_batch_is_refused(tmp_path: Path) -> None:
    dataset = {"name": "digits", "settings": {"test_fraction": 0.998, "validation_fraction": 0.7}}
    problems = _problems({"dataset": dataset}, _place(tmp_path))
    assert problems["dataset.settings.validation_fraction"][0] == "1 training image(s)"
    assert "evaluation.train_fraction" not in problems
    (field,) = _problems({"evaluation": {"train_fraction": 0.0005}}, _place(tmp_path))
    assert field == "evaluation.train_fraction"
    check_search({"evaluation": {"train_fraction": 0.01}}, _place(tmp_path))


def test_nothing_is_trained_on_a_dataset_without_test_images(tmp_path: Path) -> None:
    """A search alone does not look at them."""
    facts = replace(digits().facts, test=0)
    place = _place(tmp_path, mine=Registered(Component(name="digits", settings={"split_seed": 9}), facts))
    check_search({"dataset": "mine"}, place)
    problems = _problems({"dataset": "mine", "training": {"methods": ["bnn"]}}, place)
    assert problems == {"dataset.name": ("no test images", "a dataset with test images: trained candidates are scored on them")}


def test_what_the_file_system_refuses_is_said_of_the_path_without_naming_this_machine_s() -> None:
    component = Component(name="image-folder", settings={"path": "pictures"})
    words = r"^path: 'pictures' is .* files that can be read \(Permission denied\)$"
    with pytest.raises(InvalidFieldError, match=words), readable_files(component):
        raise PermissionError(13, "Permission denied", "/data/pictures")


def test_a_registered_dataset_whose_files_are_gone_is_refused(tmp_path: Path) -> None:
    component = Component(name="image-folder", settings={"path": "gone"})
    place = _place(tmp_path, mine=Registered(component, digits().facts))
    assert list(_problems({"dataset": "mine"}, place)) == ["dataset.settings.path"]
