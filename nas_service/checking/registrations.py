"""Checking registrations: what can be known at once when one is submitted, and everything when it is carried out."""

from pathlib import Path

from nas_service.catalogue import build_dataset
from nas_service.checking.datasets import image_cache, readable_files
from nas_service.checking.drafts import Draft, read_draft
from nas_service.checking.problems import Problems
from nas_service.data.dataset import DATASETS, ImageDataset
from nas_service.data.source import Tell
from nas_service.errors import ConflictError
from nas_service.settings import Settings
from nas_service.specs import RegistrationSpec


def check_registration(body: object, data_root: Path) -> RegistrationSpec:
    """Read a registration from JSON and look whether its files are there, reading none of them.

    Raises:
        InvalidInputError: With every complaint found.
        ConflictError: If the name is that of a built-in dataset.
    """
    draft: Draft[RegistrationSpec] = read_draft(RegistrationSpec, body)
    spec = draft.spec

    def look() -> None:
        with readable_files(spec.component):
            build_dataset(spec.component).check(data_root)

    draft.build("kind", "settings", look)
    draft.finish()
    if spec.name in DATASETS.names():
        raise ConflictError(f"a dataset {spec.name!r} is built in")
    return spec


def read_registered(spec: RegistrationSpec, settings: Settings, tell: Tell) -> ImageDataset:
    """Read the whole dataset of a registration, or map what was read before; `tell` is called as images are decoded.

    Raises:
        InvalidInputError: If a file is not as it should be, or what `check_registration` saw is so no more.
        NotReadyError: If decoded images cannot be kept.
    """
    problems = Problems()

    def read() -> ImageDataset:
        with readable_files(spec.component):
            return build_dataset(spec.component).load(settings.data, image_cache(settings), tell)

    loaded = problems.build("kind", "settings", read)
    problems.finish()
    assert loaded is not None  # noqa: S101 - for the type checker; no problem, so it was loaded
    return loaded
