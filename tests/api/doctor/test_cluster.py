"""The doctor on Ray: away, frozen, another version, another token, without worker nodes."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.doctor.cluster import see_cluster
from api.doctor.findings import Check, Level
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from tests.api.doctor.seen import answering, bad, seen
from tests.clusters import Cluster, cluster, free_port
from tests.waiting import wait_until
from workers import job_server
from workers.job_server import JobServer

CHECK = Check("ray", see_cluster)


def _at(settings: Settings, port: int, token: str = "") -> Settings:
    url = f"http://127.0.0.1:{port}"
    return settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": url, "ray_auth_token": SecretStr(token)})


def test_drivers_on_this_machine_need_no_cluster(settings: Settings) -> None:
    assert [finding.said for finding in seen(CHECK, settings)] == ["drivers are processes of this machine"]


def test_a_launcher_that_is_none(settings: Settings) -> None:
    (found,) = bad(CHECK, settings.model_copy(update={"launcher": "slurm"}))
    assert (found.said, found.advice) == ("NAS_LAUNCHER is 'slurm'", "allowed: child-process, ray-job")


def test_an_address_that_is_none(settings: Settings) -> None:
    (found,) = bad(CHECK, settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": "ray-head:8265"}))
    assert "NAS_RAY_JOBS_URL is 'ray-head:8265'" in found.said


def test_a_job_server_that_is_away(settings: Settings) -> None:
    port = free_port()
    (found,) = bad(CHECK, _at(settings, port))
    assert found.level is Level.BROKEN
    assert "does not answer" in found.said
    assert f"127.0.0.1:{port}" in found.said
    assert found.advice.startswith("start the head (`ray start --head`), or mend NAS_RAY_JOBS_URL")


def test_a_job_server_that_is_frozen(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "READ_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        (found,) = bad(CHECK, _at(settings, frozen.getsockname()[1]))
    assert "nothing came within" in found.said


def test_a_cluster_of_another_version_that_asks_for_no_token(settings: Settings) -> None:
    """What answers everything alike is no cluster: it has no nodes, which is told last."""
    with answering(200, json.dumps({"ray_version": "2.40.0"}).encode()) as port:
        open_to_all, older, strange = bad(CHECK, _at(settings, port, "ours"))
    assert open_to_all.said.startswith("its job server asks nobody for a token")
    assert older.said.startswith("the cluster has Ray 2.40.0, and Ray 2.6")
    assert "nothing of the cluster's nodes that Ray 2.60 would say" in strange.said


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    """Run the head of a cluster, without processors."""
    with cluster({}) as made, made.head():
        server = JobServer(f"http://127.0.0.1:{made.jobs_port}", made.token)

        def answers() -> bool:
            try:
                server.nodes()
                server.probe()
            except NotReadyError:
                return False
            return True

        wait_until(answers, bool, 120)
        yield made


@pytest.mark.ray
def test_a_cluster_with_another_token_then_without_workers_then_whole(settings: Settings, head: Cluster) -> None:
    (refused,) = bad(CHECK, _at(settings, head.jobs_port, "wrong"))
    assert refused.said == f"the job server at http://127.0.0.1:{head.jobs_port} refuses the token"
    assert refused.advice == "set RAY_AUTH_TOKEN to the cluster's own, here too"
    (empty,) = bad(CHECK, _at(settings, head.jobs_port, head.token))
    assert empty.said == "the cluster has no living worker node"
    assert empty.advice.startswith("start one: `ray start --address=HEAD:6379`")
    with head.worker():
        found = wait_until(
            lambda: seen(CHECK, _at(settings, head.jobs_port, head.token)),
            lambda told: all(finding.level is Level.OK for finding in told),
            120,
        )
    said = [finding.said for finding in found]
    assert said[1] == "it asks for a token, and ours is right"
    assert said[-1] == "living worker nodes: 2 CPUs, 0 GPUs"


def test_the_token_is_read_from_its_file_and_no_password_is_shown(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "token"
    with answering(200, b"{}") as port:
        url = f"http://nas:hidden@127.0.0.1:{port}"
        there = settings.model_copy(update={"launcher": "ray-job", "ray_jobs_url": url, "ray_auth_token_path": file})
        (absent,) = bad(CHECK, there)
        assert absent.said.startswith(f"RAY_AUTH_TOKEN_PATH is {file}, which cannot be read")
        file.write_text("ours\n")
        found = seen(CHECK, there)
    assert found[0].said == f"its job server answers at http://127.0.0.1:{port}"
    away = [*bad(CHECK, there), *bad(CHECK, there.model_copy(update={"ray_jobs_url": "ftp://nas:hid@den@ray:1"}))]
    assert "hidden" not in str([*found, *away])
    assert "den@" not in str(away)
