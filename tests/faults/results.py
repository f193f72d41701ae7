"""What a search and its training led to, less what may differ: times, workers, attempts and ids."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from api.client import NasClient
from nas_service.errors import NasError
from nas_service.lifecycle import FINISHED

Seen = TypeVar("Seen")

SPEC: dict[str, Any] = {
    "space": "tiny",
    "seed": 5,
    "wave": 2,
    "strategy": {"name": "abandit", "settings": {"samples_per_arm": 12}},
    "evaluation": {"max_steps": 3, "train_fraction": 0.2, "validation_images": 150},
    "training": {
        "methods": ["bnn", "xnor-net"],
        "recipe": {"epochs": 24},
        "robustness": {"eps": 0.1, "images": 100, "restarts": 1},
    },
}


def patiently(ask: Callable[[], Seen], keep_alive: Callable[[], None], limit_s: float = 180.0) -> Seen:
    """Ask a service that may be away for a while, while somebody starts again what died."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return ask()
        except NasError:
            if time.monotonic() > deadline:
                raise
            keep_alive()
            time.sleep(0.5)


def is_over(client: NasClient, search_id: str) -> bool:
    """Return whether a search and all trainings it started have ended."""
    jobs = [client.search(search_id), *client.trainings(parent=search_id)]
    return all(job.state in FINISHED for job in jobs)


def marker(client: NasClient, search_id: str) -> tuple[object, ...]:
    """Return figures that change with every sign of progress."""
    jobs = [client.search(search_id), *client.trainings(parent=search_id)]
    return tuple((job.kind, job.state.value, None if job.progress is None else job.progress.model_dump_json()) for job in jobs)


def results(client: NasClient, search_id: str) -> dict[str, Any]:
    """Return everything that must repeat."""
    trainings = list(client.trainings(parent=search_id))
    candidates = [row for training in trainings for row in client.candidates(training=training.id)]
    return {
        "states": [client.search(search_id).state.value, *(training.state.value for training in trainings)],
        "samples": [(row.index, row.digest, row.reward, row.loss) for row in client.samples(search_id)],
        "arms": [tuple(arm.model_dump().values()) for arm in client.arms(search_id)],
        "architectures": [(row.rank, row.digest, row.score) for row in client.architectures(search=search_id)],
        "candidates": sorted(
            (row.method["name"], row.seed, row.state.value, row.test_accuracy, repr(row.metrics)) for row in candidates
        ),
        "curves": sorted(
            (row.method["name"], [(entry.epoch, entry.train_loss, entry.validation_accuracy) for entry in client.curves(row.id)])
            for row in candidates
        ),
    }


def differences(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """Return the names of what differs; nothing may be there twice."""
    found = [name for name in expected if expected[name] != actual[name]]
    indexes = [index for index, *_ in actual["samples"]]
    if len(set(indexes)) != len(indexes):
        found.append("a sample twice")
    if any(len({epoch for epoch, *_ in curve}) != len(curve) for _, curve in actual["curves"]):
        found.append("an epoch twice")
    return found
