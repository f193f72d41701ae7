"""Named datasets: what the name of a dataset stands for, built in or registered, and the facts that are known of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nas_service.catalogue import build_dataset
from nas_service.checking.problems import Problems
from nas_service.checking.suitability import check_classes
from nas_service.data.cache import ImageCache
from nas_service.data.dataset import DATASETS, ImageDataset
from nas_service.data.facts import DatasetFacts
from nas_service.data.paths import reason_of
from nas_service.data.source import Tell, tell_nobody
from nas_service.settings import Settings
from nas_service.specs import Component
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.registry import near_matches


@dataclass(frozen=True)
class Registered:
    """A dataset that a user gave a name.

    Attributes:
        component: Its kind with its settings.
        facts: As they were counted when it was registered; None if an earlier version did.
    """

    component: Component
    facts: DatasetFacts | None = None


@dataclass(frozen=True)
class DatasetSource:
    """Where datasets come from.

    Attributes:
        root: The data root.
        registered: By name.
    """

    root: Path
    registered: Mapping[str, Registered]

    def resolve(self, component: Component) -> Component:
        """Return a registered dataset as its kind with its settings, settings given with the name on top; others as they are.

        Raises:
            UnknownNameError: If the name is neither built in nor registered.
        """
        if component.name in self.registered:
            named = self.registered[component.name].component
            return Component(name=named.name, settings={**named.settings, **component.settings})
        known = {*DATASETS.names(), *self.registered}
        if component.name not in known:
            raise UnknownNameError("dataset", component.name, near_matches(component.name, known), sorted(known))
        return component

    def facts(self, component: Component) -> DatasetFacts:
        """Return the facts of a resolved dataset, decoding no image: as they were counted at its registration, else counted now.

        Raises:
            InvalidFieldError: If its files are not there, or not as they should be.
            pydantic.ValidationError: If a setting is unknown or out of range.
        """
        dataset = DATASETS.get(component.name).from_settings(component.settings)
        known = [entry.facts for entry in self.registered.values() if entry.component == component and entry.facts is not None]
        with readable_files(component):
            if not known:
                return dataset.facts(self.root)
            dataset.check(self.root)
            return known[0]

    def check(self, problems: Problems, component: Component) -> tuple[Component, DatasetFacts] | None:
        """Return a dataset resolved, with its facts; None if that cannot be, which is complained about."""
        dataset = problems.attempt("dataset", partial(self.resolve, component))
        facts = None if dataset is None else problems.attempt("dataset", partial(self.facts, dataset))
        if dataset is None or facts is None:
            return None
        check_classes(problems, facts)
        return dataset, facts


@contextmanager
def readable_files(component: Component) -> Iterator[None]:
    """Say of a dataset's path what the file system says inside the block.

    Raises:
        InvalidFieldError: If it refuses something.
    """
    try:
        yield
    except OSError as error:
        given = component.settings.get("path", ".")
        raise InvalidFieldError("path", given, f"files that can be read ({reason_of(error)})") from error


def image_cache(settings: Settings) -> ImageCache:
    """Return where this process keeps decoded images."""
    return ImageCache(settings.dataset_cache, settings.dataset_cache_bytes)


def open_dataset(component: Component, settings: Settings, tell: Tell = tell_nobody) -> ImageDataset:
    """Read a built-in kind of dataset with its settings, whole, or map what was read before.

    Args:
        component: Kind and settings.
        settings: For the data root and the cache of decoded images.
        tell: Called as images are decoded.

    Raises:
        InvalidInputError: If the kind or a setting is unknown, or a file is not as it should be.
        NotReadyError: If decoded images cannot be kept.
    """
    problems = Problems()
    with readable_files(component):
        loaded = problems.attempt("dataset", lambda: build_dataset(component).load(settings.data, image_cache(settings), tell))
    problems.finish()
    assert loaded is not None  # noqa: S101 - for the type checker; no problem, so it was loaded
    return loaded
