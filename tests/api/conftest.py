"""The application on a real database, without a controller, and commands as processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from api.app import create_app
from api.cli import main
from api.client import NasClient
from nas_service.catalogue import stated_space
from nas_service.lifecycle import JobState
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import Component, SearchSpec
from nas_service.storage import architectures, candidates, jobs, samples
from nas_service.storage.artifacts import ArtifactStore, StoredFile, record_artifact
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.api.whole_training import Written, write_whole
from tests.holds import held, progress
from tests.reports import COST, epoch_report, metrics


def run_nas(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `nas` as a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")} | variables
    command = [sys.executable, "-m", "api.cli", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=environment)


def run_here(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `nas` in this process: for many that are alike, where one that loads torch takes seconds to start."""
    threads, status, out, err = torch.get_num_threads(), 0, StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("NAS_")]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["nas", *words])
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
    torch.set_num_threads(threads)
    return subprocess.CompletedProcess(["nas", *words], status, out.getvalue(), err.getvalue())


def run_json(*words: str, cwd: Path, **variables: str) -> object:
    """Return what a command prints with --json, run in this process."""
    result = run_here(*words, "--json", cwd=cwd, **variables)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def write_trained(settings: Settings, training_id: str, architectures: list[str]) -> None:
    """Write finished candidates of bnn (80 %) and rebnn (90 %) on every architecture."""
    database = Database(settings.database)
    with database.write() as session:
        methods = {"bnn": 0.8, "rebnn": 0.9}
        planned = [PlannedCandidate(key, {"name": name, "settings": {}}, 0) for key in architectures for name in methods]
        for row in candidates.plan_candidates(session, training_id, planned):
            accuracy = methods[row.method["name"]]
            candidates.begin(session, row.id, "host:1", "cpu", 0)
            candidates.succeed(session, row.id, metrics(validation=accuracy, test=accuracy), COST)
    database.close()


def write_bundled(settings: Settings, architecture_id: str, content: bytes = b"the bundle") -> str:
    """Write a trained candidate with a bundle into database and store, and return its id."""
    database = Database(settings.database)
    store = ArtifactStore(settings.artifacts)
    with database.write() as session:
        training = jobs.create_job(session, jobs.TRAINING, "", {})
        (row,) = candidates.plan_candidates(session, training.id, [PlannedCandidate(architecture_id, {"name": "bnn"}, 0)])
        for epoch in range(3):
            candidates.add_epoch(session, row.id, epoch_report(epoch))
        candidates.begin(session, row.id, "host:1", "cpu", 0)
        candidates.succeed(session, row.id, metrics(validation=0.9, test=0.8), {"ops": 2, "packed_bytes": 9})
        store.put("bundle.zip", content)
        record_artifact(session, row.id, "bundle", StoredFile.of("bundle.zip", content))
    database.close()
    return row.id


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Return a client of an application whose jobs nobody carries out."""
    with TestClient(create_app(settings), base_url="http://localhost", raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture
def whole(settings: Settings) -> Written:
    """Return a search and a training of 3 methods x 5 architectures x 3 seeds."""
    return write_whole(settings)


@pytest.fixture
def nas(client: TestClient) -> NasClient:
    """Return a client that talks to the application without a socket."""
    made = NasClient("http://localhost")
    made._http = client
    return made


@pytest.fixture
def finished_search(settings: Settings) -> str:
    """Write a search with three samples and two architectures into the database, and return its id."""
    database = Database(settings.database)
    strategy = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)
    genotypes = strategy.suggest((), 3)
    history = tuple(Sample(index, genotype, 0.5 + index / 10) for index, genotype in enumerate(genotypes))
    evaluations = tuple(Evaluation(sample.reward, 1.0, diverged=False, seconds=2.0) for sample in history)
    with database.write() as session:
        spec = SearchSpec.model_validate({"space": stated_space(Component(name="tiny")), "name": "first"}).model_dump(mode="json")
        jobs.create_job(session, jobs.SEARCH, "first", spec)
        job, hold = held(session)
        record = samples.WaveRecord(
            Wave(history, evaluations, history),
            tuple({"ops": 1.5} for _ in history),
            strategy.arms(history),
            progress(3),
        )
        samples.commit_wave(session, hold, record)
        cost = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}
        found = [architectures.Discovery(ranked.genotype, ranked.score, cost) for ranked in strategy.rank(history, 2)]
        architectures.add_architectures(session, job.id, found)
        jobs.move(session, job.id, JobState.SUCCEEDED)
    database.close()
    return job.id
