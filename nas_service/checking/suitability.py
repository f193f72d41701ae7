"""Suitability: what a spec asks of a dataset, held against the facts that are known of it."""

from nas_service.checking.problems import Problems
from nas_service.data.facts import NAMED, DatasetFacts
from nas_service.specs import SearchSpec
from nas_service.wording import listed

_LEAST = 2  # images in a batch: the statistics of a batch norm want more than one


def check_classes(problems: Problems, facts: DatasetFacts) -> None:
    """Refuse a split that leaves a class without an image to learn from, or all of them without a batch."""
    missing = facts.untrained
    if missing:
        allowed = "a split with an image to train with in every class: more images, another split_seed, or smaller fractions"
        problems.complain("dataset.settings.split_seed", f"no training image of {listed(missing, NAMED)}", allowed)
    if facts.train < _LEAST:
        allowed = f"a split that leaves at least {_LEAST} images to train with"
        problems.complain("dataset.settings.validation_fraction", f"{facts.train} training image(s)", allowed)


def check_tests(problems: Problems, facts: DatasetFacts) -> None:
    """Refuse to train candidates that nothing could be said of: they are scored, and attacked, on test images."""
    if facts.test == 0:
        problems.complain("dataset.name", "no test images", "a dataset with test images: trained candidates are scored on them")


def check_fraction(problems: Problems, spec: SearchSpec, facts: DatasetFacts) -> None:
    """Refuse samples that train on less than a batch can be."""
    fraction = spec.evaluation.train_fraction
    if problems.sound("evaluation.train_fraction") and facts.train >= _LEAST and round(facts.train * fraction) < _LEAST:
        allowed = f"a share that leaves a sample at least {_LEAST} of the {facts.train} training images"
        problems.complain("evaluation.train_fraction", fraction, allowed)
