"""What the search's driver does around the waves: the ends of a search."""

from collections.abc import Callable

import pytest

from nas_service.lifecycle import JobState
from nas_service.search.control import Control
from nas_service.settings import Settings
from nas_service.storage import events, jobs, litter
from nas_service.storage.architectures import list_architectures
from nas_service.storage.keys import supernet_folder
from nas_service.storage.models import Job
from nas_service.storage.samples import history_of
from nas_service.storage.session import Database
from tests.samples import GREY_8
from tests.workers.conftest import sampled
from workers.context import CancelledError, JobContext, PausedError
from workers.driver import carry_out
from workers.search_driver import SearchDriver


def _count(opened: Database, job_id: str) -> tuple[str, int, int]:
    """Return the job's state, its architectures and the trainings it started."""
    with opened.read() as session:
        found = list_architectures(session, limit=9, job_id=job_id)
        trainings = jobs.list_jobs(session, jobs.TRAINING, limit=9, parent_id=job_id)
        return jobs.get_job(session, job_id).state, len(found), len(trainings)


@pytest.mark.parametrize(
    ("request_of", "error", "state"),
    [(jobs.request_cancel, CancelledError, "cancelling"), (jobs.request_pause, PausedError, "pausing")],
)
def test_a_wish_after_the_last_wave_starts_no_training(
    request_of: Callable[..., Job], error: type[Exception], state: str, settings: Settings, opened: Database
) -> None:
    """It comes between the last commit and the end: nothing is written, and whoever ends the search keeps its best."""
    job_id = sampled(opened, training={"methods": ["bnn"]}).id
    context = JobContext(settings, job_id, 1)
    with opened.write() as session:
        request_of(session, job_id, jobs.SEARCH)
        job, history = jobs.get_job(session, job_id), history_of(session, job_id)
    with pytest.raises(error):
        SearchDriver(context, job)._conclude(history, GREY_8)
    assert _count(opened, job_id) == (state, 0, 0)
    context.close()


def test_a_search_trains_what_it_chose_with_controls_beside_it(settings: Settings, opened: Database) -> None:
    """One of either kind, marked, and no discovery; `tests/e2e/test_controls.py` follows them to the report."""
    job_id = sampled(opened, 3, keep=3, training={"methods": ["bnn"], "top_k": 1, "controls": 2}).id
    context = JobContext(settings, job_id, 1)
    with opened.read() as session:
        job, history = jobs.get_job(session, job_id), history_of(session, job_id)
    SearchDriver(context, job)._conclude(history, GREY_8)
    context.close()
    with opened.read() as session:
        found = list_architectures(session, limit=9, job_id=job_id)
        controls = list_architectures(session, limit=9, job_id=job_id, controls=True)
        (training,) = jobs.list_jobs(session, jobs.TRAINING, limit=9, parent_id=job_id)
        (told,) = events.list_events(session, job_id, limit=9, kinds=["search.chosen"])
    assert [row.rank for row in found] == [1, 2, 3]
    assert [row.control for row in controls] == [Control.UNIFORM, Control.LIKE_COST]
    chosen, *beside = training.spec["architectures"]
    assert (chosen in {row.id for row in found}, beside) == (True, [row.id for row in controls])
    assert (len(told.data["ranks"]), told.data["uniform"], told.data["like_cost"]) == (1, 1, 1)


@pytest.mark.ray
def test_a_resumed_search_that_is_cancelled_before_it_samples_keeps_its_best(settings: Settings, opened: Database) -> None:
    """And what is left of its supernet is known to be litter."""
    job_id = sampled(opened).id
    context = JobContext(settings, job_id, 1)
    with opened.write() as session:
        job = jobs.get_job(session, job_id)
        context.note_state(JobState(jobs.request_cancel(session, job_id, jobs.SEARCH).state))  # as the lease's thread would
    assert carry_out(context, job) == 0
    assert _count(opened, job_id) == ("cancelled", 1, 0)
    with opened.read() as session:
        assert supernet_folder(job_id) in litter.list_litter(session, 9)
    context.close()


def test_a_search_that_fails_keeps_its_best(settings: Settings, opened: Database) -> None:
    """Its data are gone; what it had sampled is not."""
    job_id = sampled(opened).id
    context = JobContext(settings, job_id, 1)
    with opened.write() as session:
        job = jobs.get_job(session, job_id)
        job.spec = {**job.spec, "dataset": {"name": "image-folder", "settings": {"path": "gone"}}}
    assert carry_out(context, job) == 1
    assert _count(opened, job_id) == ("failed", 1, 0)
    context.close()
