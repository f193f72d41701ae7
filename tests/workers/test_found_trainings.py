"""Whole trainings that a search makes are the candidates of the training that follows, on a real database and a real Ray."""

import pytest

from nas_service.settings import Settings
from nas_service.specs import TrainingSpec
from nas_service.storage import architectures, candidates, deletion, events, jobs, litter
from nas_service.storage.artifacts import ArtifactStore, get_artifact
from nas_service.storage.keys import whole_trainings_folder
from nas_service.storage.models import Candidate
from nas_service.storage.session import Database
from tests.workers.conftest import carried_out, submitted

RECIPE = {"epochs": 3, "batch_size": 64, "max_steps_per_epoch": 4}
SEARCH = {
    "dataset": "digits",
    "method": "bnn",
    "strategy": {"name": "random", "settings": {"samples": 4}},
    "evaluation": {"own": {"recipe": RECIPE}},
    "wave": 2,
    "keep": 2,
    "seed": 5,
}


def _train(settings: Settings, opened: Database, search_id: str, **spec: object) -> list[Candidate]:
    """Train the best architecture of a search and return the candidates."""
    with opened.write() as session:
        best = architectures.list_architectures(session, limit=1, job_id=search_id)[0]
        given = {"space": "tiny", "dataset": "digits", "architectures": [best.id], "methods": ["bnn"], "seeds": [5], **spec}
        body = TrainingSpec.model_validate(given).model_dump(mode="json")
        job_id = jobs.create_job(session, jobs.TRAINING, "", body).id
    assert carried_out(settings) == 0
    with opened.read() as session:
        return list(candidates.candidates_of(session, job_id))


def _taken(opened: Database, row: Candidate) -> tuple[int | None, bool | None]:
    """Return how many epochs a candidate began with, and whether they were the search's."""
    with opened.read() as session:
        told = [entry.data for entry in events.list_events(session, row.job_id, limit=500) if entry.kind == "candidate"]
    (began,) = [entry for entry in told if entry["candidate"] == row.id and entry["state"] == "training"]
    return began.get("resumed_from"), began.get("by_search")


def _weights(settings: Settings, opened: Database, row: Candidate) -> bytes | None:
    with opened.read() as session:
        return ArtifactStore(settings.artifacts).get(get_artifact(session, row.id, "safetensors").key)


@pytest.mark.ray
@pytest.mark.slow
def test_the_winner_of_a_search_is_not_trained_again_and_is_the_same_network(settings: Settings, opened: Database) -> None:
    small = settings.model_copy(update={"object_store_bytes": 100_000_000})
    search_id = submitted(opened, **SEARCH).id
    assert carried_out(small) == 0
    store, folder = ArtifactStore(settings.artifacts), whole_trainings_folder(search_id)
    made = {key + "/" for key in store.keys(folder)}  # a folder for each architecture
    with opened.read() as session:
        found = architectures.list_architectures(session, limit=9, job_id=search_id)
        dropped = {key for key in litter.list_litter(session, 99) if key.startswith(folder)}
    kept = {whole_trainings_folder(search_id, row.digest) for row in found}
    assert len(kept) == 2
    assert kept <= made
    assert dropped == made - kept

    taken, other = _train(small, opened, search_id, recipe=RECIPE, seeds=[5, 6])
    assert (_taken(opened, taken), _taken(opened, other)) == ((3, True), (None, None)), "another seed is another network"
    assert taken.epochs_done == 3
    (unlike,) = _train(small, opened, search_id, recipe={**RECIPE, "learning_rate": 0.001})
    assert _taken(opened, unlike) == (None, None)

    for key in kept:
        store.delete(key)
    (anew,) = _train(small, opened, search_id, recipe=RECIPE)
    assert _taken(opened, anew) == (None, None)
    assert _weights(settings, opened, anew) == _weights(settings, opened, taken)
    assert anew.metrics is not None
    assert taken.metrics is not None
    assert anew.metrics["test_accuracy"] == taken.metrics["test_accuracy"]

    with opened.write() as session:
        deletion.delete_job(session, search_id, jobs.SEARCH, with_trainings=True)
        assert folder in litter.list_litter(session, 99)
