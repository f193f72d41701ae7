"""Jobs as they stand in a list: written as drivers and people write them."""

from nas_service.lifecycle import JobState
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.holds import held

HOSTILE = {
    "markup": '<b id="injected">bold</b><img src=x onerror="alert(1)"><script>alert(2)</script>',
    "quotes": "\"double\" 'single' `back` &amp; &lt;",
    "emoji": "search 😀👩‍👩‍👧‍👦🏳️‍🌈",
    "rtl": "\u05d7\u05d9\u05e4\u05d5\u05e9 \u202eabc\u202c \u0628\u062d\u062b",
    "long": "x" * 200,
}


def add_search(store: Database, name: str = "mini", **fields: object) -> str:
    """Queue a search."""
    spec = SearchSpec.model_validate({"space": "tiny", "name": name, **fields})
    with store.write() as session:
        return jobs.create_job(session, jobs.SEARCH, spec.name, spec.model_dump(mode="json")).id


def begin_next(store: Database) -> str:
    """Take the oldest queued job, as its driver does."""
    with store.write() as session:
        job, _ = held(session)
        return job.id


def end(store: Database, job_id: str, state: JobState, error: str | None = None) -> None:
    """End a job."""
    with store.write() as session:
        jobs.move(session, job_id, state, error=error)


def fill(store: Database) -> dict[str, str]:
    """Write one job in each state that people often see, and return their ids by state."""
    found = {}
    found["succeeded"] = add_search(store, "done")
    begin_next(store)
    end(store, found["succeeded"], JobState.SUCCEEDED)
    found["failed"] = add_search(store, "broken")
    begin_next(store)
    end(store, found["failed"], JobState.FAILED, "the data were not there: " + "long " * 60)
    found["running"] = add_search(store, "at work")
    begin_next(store)
    found["queued"] = add_search(store, "next")
    return found
