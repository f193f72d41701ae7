"""Figures by class in a bundle: those of the frozen network on the test images, in manifest and model card alike."""

from pathlib import Path

from nas_service.export.bundle import Exported
from nas_service.export.bundle_reading import Bundle, read_bundle
from nas_service.reports import CandidateMetrics
from tests.blind import blind_bundle


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
