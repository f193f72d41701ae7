"""Figures by class in a bundle: those of the frozen network on the test images, in manifest and model card alike."""

from pathlib import Path

import pytest

from nas_service.data.classes import MAX_CLASSES, MAX_LETTERS, check_class_names
from nas_service.export.bundle import Exported, architecture_bundle
from nas_service.export.bundle_reading import Bundle, read_bundle
from nas_service.export.rebuilding import network_of
from nas_service.reports import CandidateMetrics, ClassFigures
from nas_service.specs import Component
from tests.blind import blind_bundle
from tests.reports import epoch_report, even
from tests.samples import tiny_genotype


def _read(made: Exported, folder: Path) -> Bundle:
    (folder / "x.zip").write_bytes(made.content)
    return read_bundle(folder / "x.zip")


def test_a_network_that_does_not_know_the_rare_class_is_found_out(tmp_path: Path) -> None:
    made = blind_bundle(("common", "rare"), (200, 1))
    assert made.metrics.test_accuracy == 200 / 201
    assert made.metrics.test_balanced_accuracy == 0.5
    assert made.metrics.validation_balanced_accuracy == 0.5
    classes = made.metrics.test_classes
    assert classes is not None
    assert classes.confusion == ((200, 0), (1, 0))
    bundle = _read(made, tmp_path)
    assert CandidateMetrics.model_validate(bundle.manifest["metrics"]) == made.metrics
    card = bundle.files["README.md"].decode()
    assert "| test | 0.9950 | 0.5000 | 201 |" in card
    assert "| rare | 1 | 0.0000 | common (1) |" in card


def test_a_class_without_test_images_has_no_accuracy_and_is_named(tmp_path: Path) -> None:
    made = blind_bundle(("common", "rare", "none"), (5, 5, 0))
    bundle = _read(made, tmp_path)
    stored = bundle.manifest["metrics"]["test_classes"]
    assert (stored["accuracies"], stored["covered"], stored["missing"]) == ([1.0, 0.0, None], 2, ["none"])
    assert bundle.manifest["metrics"]["test_balanced_accuracy"] == 0.5
    assert "nothing is known of none." in bundle.files["README.md"].decode()


def test_of_many_classes_the_manifest_keeps_the_counts_without_the_matrix(tmp_path: Path) -> None:
    names = [f"class {place}" for place in range(120)]
    bundle = _read(blind_bundle(names, [2] * 120), tmp_path)
    stored = bundle.manifest["metrics"]["test_classes"]
    assert "confusion" not in stored
    assert (stored["images"], stored["correct"]) == ([2] * 120, [2] + [0] * 119)
    card = bundle.files["README.md"].decode()
    assert "The 20 of 120 classes with the lowest accuracy" in card
    assert card.count("| class 0 (2) |") == 20


def test_a_class_name_does_not_break_the_card(tmp_path: Path) -> None:
    card = _read(blind_bundle(("a\n# heading", "b|\x1b[31m"), (2, 2)), tmp_path).files["README.md"].decode()
    assert r"2 classes: a\\n# heading, b\|\\x1b\[31m." in card
    assert r"| b\|\\x1b\[31m | 2 | 0.0000 | a\\n# heading (2) |" in card
    assert "\n# heading" not in card
    assert "\x1b" not in card


def _longest_names() -> tuple[str, ...]:
    """Return as many names as a dataset may have, each as long as one may be, of letters that take most bytes in JSON."""
    names = [f"{place:05}".ljust(MAX_LETTERS, "\N{GRINNING FACE}") for place in range(MAX_CLASSES)]
    return check_class_names(names, "classes")


def test_a_bundle_of_as_many_classes_as_there_may_be_is_read_back(tmp_path: Path) -> None:
    """Nearly all lack test images, so that they are named once more."""
    names = _longest_names()
    bundle = _read(blind_bundle(names, [1] * 100 + [0] * (MAX_CLASSES - 100)), tmp_path)
    assert tuple(bundle.candidate.class_names) == names
    assert len(bundle.manifest["metrics"]["test_classes"]["missing"]) == MAX_CLASSES - 100
    assert network_of(bundle).classifier.out_features == MAX_CLASSES
    assert len(bundle.files["README.md"]) < 200_000


@pytest.mark.parametrize("tested", [MAX_CLASSES, pytest.param(0, marks=pytest.mark.slow)])
def test_a_manifest_that_names_all_classes_wherever_it_can_is_read_back(tested: int, tmp_path: Path) -> None:
    """In the settings of the dataset too; every class with a third of its images right, or no class with an image."""
    names = _longest_names()
    labels = [place for place in range(tested) for _ in range(300_000 // MAX_CLASSES)]
    figures = ClassFigures.count(names, labels, [(place + turn % 3) % MAX_CLASSES for turn, place in enumerate(labels)])
    known = CandidateMetrics.of(epoch_report(), even(900), even(900), None).model_copy(update={"test_classes": figures})
    facts = {
        "rank": 1,
        "search_id": "s",
        "score": 0.5,
        "cost": {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0},
        "class_names": list(names),
        "dataset": {"name": "parquet", "settings": {"path": "x.parquet", "classes": list(names)}},
        "metrics": known.model_dump(mode="json", exclude_none=True),
    }
    content = architecture_bundle(Component(name="tiny"), tiny_genotype(), "<svg/>", facts)
    (tmp_path / "x.zip").write_bytes(content)
    stored = read_bundle(tmp_path / "x.zip").manifest
    assert CandidateMetrics.model_validate(stored["metrics"]) == known
    assert stored["dataset"] == facts["dataset"]
