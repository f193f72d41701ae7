"""Worker nodes with a home of their own and no data root: they get images by digest, and may leave and come back."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from api.client import NasClient
from api.commands.embedded import embedded_service
from api.refusals import ApiError
from api.views import JobView
from nas_service.errors import NotReadyError
from nas_service.lifecycle import FINISHED, JobState
from nas_service.settings import Settings
from tests.clusters import Cluster, cluster, kill
from tests.e2e.conftest import epochs_of, samples_of
from tests.faults.results import SPEC as QUICK
from tests.faults.results import differences, is_over, results
from tests.nas_service.data.files import write_folder
from tests.serving import nas_serve
from tests.waiting import wait_until
from workers.ray_jobs import RayJobLauncher

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LIMIT_S = 900.0  # on a busy machine
EACH = 200  # pictures of each of three classes
SPEC: dict[str, Any] = {
    **QUICK,
    "dataset": {"name": "image-folder", "settings": {"path": "pictures"}},
    "strategy": {"name": "random", "settings": {"samples": 16}},
    "evaluation": {"max_steps": 8, "epochs": 20, "train_fraction": 1.0, "validation_images": 90},
    "training": {"methods": ["bnn", "xnor-net"], "recipe": {"epochs": 40}},
}
QUICKLY = {"lease_s": 12.0, "poll_s": 0.2, "checkpoint_s": 0.5, "object_store_bytes": 100_000_000, "max_stalls": 2}


@dataclass
class Team:
    """A service whose drivers are Ray Jobs, and its cluster.

    Attributes:
        home: Of the service and of the head, where the data root is too.
        place: The cluster.
        client: Of the service.
        launcher: As the service has one.
        nodes: Worker nodes by name, each with a home of its own.
    """

    home: Path
    place: Cluster
    client: NasClient
    launcher: RayJobLauncher
    nodes: dict[str, tuple[psutil.Process, ExitStack]] = field(default_factory=dict)

    def add(self, name: str, cpus: int = 2) -> None:
        """Start a worker node that has neither the data nor the service's home."""
        running = ExitStack()
        variables = {"NAS_HOME": str(self.home_of(name)), "NAS_DATA_ROOT": "/nowhere"}
        variables["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "1"  # else it works on for 30 s after SIGTERM, and all may be done
        self.nodes[name] = running.enter_context(self.place.worker(cpus, **variables)), running

    def remove(self, name: str, number: signal.Signals) -> None:
        """Stop a worker node: at once as when its machine goes away, or as an operator does."""
        node, running = self.nodes.pop(name)
        if number is signal.SIGKILL:
            kill(node)
        else:
            node.terminate()
            node.wait(60)
        running.close()

    def close(self) -> None:
        """End the worker nodes that are left."""
        for name in list(self.nodes):
            self.remove(name, signal.SIGKILL)

    def home_of(self, name: str) -> Path:
        """Return the home of a worker node."""
        return self.home.parent / name

    def kept(self, name: str) -> list[str]:
        """Return the suffixes of what is in the cache of a worker node, entries being without."""
        return sorted(path.suffix for path in (self.home_of(name) / "cache" / "images").glob("*"))

    def cpus(self) -> float:
        """Return the processors of the worker nodes that are there."""
        try:
            return self.launcher.capacity().cpus
        except NotReadyError:
            return 0

    def submit(self, spec: dict[str, Any]) -> str:
        """Submit a search as soon as the cluster can take one."""

        def try_it() -> str:
            try:
                return self.client.submit_search(spec).id
            except ApiError:
                time.sleep(1)
                return ""

        return wait_until(try_it, bool, 120)

    def search(self, search_id: str) -> JobView:
        """Return a search as it stands."""
        return self.client.search(search_id)

    def finish(self, search_id: str) -> dict[str, Any]:
        """Wait for the end of a search and its training, and return what they led to."""
        wait_until(lambda: is_over(self.client, search_id), bool, LIMIT_S)
        return results(self.client, search_id)


@contextmanager
def _team(home: Path, **settings: object) -> Iterator[Team]:
    """Run a service and a head without processors inside the block."""
    home.mkdir()
    made = Settings(home=home, dataset_by_value_bytes=0, launcher="ray-job", **{**QUICKLY, **settings})  # type: ignore[arg-type]  # as fields want them
    write_folder(made.data, each=EACH)
    with ExitStack() as running:
        place = running.enter_context(cluster(made.environment()))
        running.enter_context(place.head())
        time.sleep(6)  # Ray does not wait long for a head
        made = made.model_copy(update={"ray_jobs_url": f"http://127.0.0.1:{place.jobs_port}"})
        variables = {**made.environment(), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": place.token}
        service = running.enter_context(nas_serve(home, **variables))  # type: ignore[arg-type]  # variables alone
        launcher = RayJobLauncher(made.model_copy(update={"ray_auth_token": SecretStr(place.token)}))
        team = Team(home, place, running.enter_context(NasClient(service.url)), launcher)
        running.callback(team.close)
        yield team


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the search and its training lead to in an embedded service."""
    settings = Settings(home=tmp_path_factory.mktemp("embedded"), **QUICKLY)  # type: ignore[arg-type]  # as above
    write_folder(settings.data, each=EACH)
    with embedded_service(settings) as address, NasClient(address) as client:
        search_id = client.submit_search(SPEC).id
        wait_until(lambda: is_over(client, search_id), bool, LIMIT_S)
        return results(client, search_id)


def test_nodes_without_data_get_the_images_once_and_lead_to_the_same(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    with _team(tmp_path / "home") as team:
        for name in ("one", "two"):
            team.add(name, cpus=1)
        wait_until(team.cpus, lambda cpus: cpus == 2)
        search_id = team.submit(SPEC)
        assert differences(undisturbed, team.finish(search_id)) == []
        workers = {sample.worker for sample in team.client.samples(search_id)}
        assert len(workers) == 2
        assert [team.kept(name) for name in ("one", "two")] == [[""], [""]]
        assert not (team.home_of("one") / "artifacts").exists()


def test_damaged_images_on_the_drivers_machine_are_refused_in_words(tmp_path: Path) -> None:
    with _team(tmp_path / "home") as team:
        team.add("one")
        search = {key: value for key, value in SPEC.items() if key != "training"}
        assert team.finish(team.submit(search))["states"] == ["succeeded"]
        (images,) = (team.home / "cache" / "images").glob("*/images.npy")
        content = bytearray(images.read_bytes())
        content[-7] ^= 1
        images.write_bytes(content)
        shutil.rmtree(team.home_of("one") / "cache")
        search_id = team.submit(search)
        ended = wait_until(lambda: team.search(search_id), lambda job: job.state in FINISHED, LIMIT_S)
        assert ended.state == JobState.FAILED
        assert f"remove cache/images/{images.parent.name} under NAS_HOME on the driver's machine, which is damaged" in str(
            ended.error
        )
        assert team.kept("one") == []


def _went_on_after_s(look: Callable[[], int]) -> float:
    """Wait until there is more than there was, and return the seconds that took."""
    began, before = time.monotonic(), look()
    wait_until(look, lambda count: count > before, LIMIT_S)
    return round(time.monotonic() - began, 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_node_that_leaves_and_comes_back_costs_nothing_but_time(
    number: signal.Signals, tmp_path: Path, undisturbed: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    """The only node leaves in mid-search and comes back; in mid-training another one takes over before it does."""
    with _team(tmp_path / "home") as team:
        team.add("one")
        search_id = team.submit(SPEC)

        def samples() -> int:
            return samples_of(team.search(search_id))

        wait_until(samples, lambda count: count >= 2, LIMIT_S)
        team.remove("one", number)
        wait_until(lambda: team.search(search_id).waiting_for, lambda said: said is not None, LIMIT_S)
        team.add("one")
        record_property("search_went_on_s", _went_on_after_s(samples))
        wait_until(lambda: team.search(search_id), lambda job: job.state in FINISHED, LIMIT_S)
        (training,) = team.client.trainings(parent=search_id)

        def epochs() -> int:
            return epochs_of(team.client.training(training.id))

        wait_until(epochs, lambda count: count >= 2, LIMIT_S)
        team.remove("one", number)
        team.add("two")
        record_property("training_went_on_s", _went_on_after_s(epochs))
        team.add("one")
        assert differences(undisturbed, team.finish(search_id)) == []
