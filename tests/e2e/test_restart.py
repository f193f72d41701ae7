"""The service itself goes away and comes back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from api.client import NasClient
from api.commands.embedded import embedded_service
from nas_service.lifecycle import FINISHED
from nas_service.settings import Settings
from tests.e2e.conftest import Bare, arm_table, bare_table, samples_of
from tests.e2e.test_search import SPEC
from tests.processes import driver_pids
from tests.waiting import wait_until

pytestmark = pytest.mark.ray


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_when_the_service_is_restarted(bare: Callable[..., Bare], tmp_path: Path) -> None:
    """Ended with SIGTERM, the service ends its drivers; the next one goes on from the last committed sample."""
    settings = Settings(home=tmp_path, object_store_bytes=100_000_000, poll_s=0.1)
    with embedded_service(settings) as address, NasClient(address) as client:
        job = client.submit_search(SPEC)
        wait_until(lambda: client.search(job.id), lambda seen: samples_of(seen) >= 3)
    assert driver_pids(job.id) == []
    with embedded_service(settings) as address, NasClient(address) as client:
        ended = wait_until(lambda: client.search(job.id), lambda seen: seen.state in FINISHED)
        assert (ended.state, ended.attempt) == ("succeeded", 2)
        assert arm_table(client.arms(job.id)) == bare_table(bare(**SPEC).arms)
        assert len(list(client.samples(job.id))) == 18
