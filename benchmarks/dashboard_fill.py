"""Filling a database with 100,000 jobs and 200,000 samples, for `dashboard_scale`."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, insert

from nas_service.catalogue import build_space, build_strategy
from nas_service.search.bandit import Arm
from nas_service.specs import SearchSpec, TrainingSpec
from nas_service.storage.jobs import REGISTRATION, SEARCH, TRAINING, listed_names
from nas_service.storage.models import Event, Job, JobTag, SampleRow
from nas_service.storage.samples import replace_arms
from nas_service.storage.session import Session, new_id
from search_spaces.genotype import Genotype

BATCH = 1000
SAMPLES_EACH = 5000
SPACES = ("abandit", "abandit-general", "tiny")
STRATEGIES = ("abandit", "random", "evolution")
DATASETS = ("digits", "cifar10", "mine")
STATES = ("succeeded",) * 16 + ("failed", "cancelled", "paused")
WORDS = ("robust", "wide", "night", "seed", "pareto", "small", "first", "ablation")
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def big_spec() -> SearchSpec:
    """Return the search with the most arms."""
    return SearchSpec.model_validate({"space": SPACES[0], "strategy": STRATEGIES[0], "name": "the big one"})


def arms_of(spec: SearchSpec) -> tuple[Arm, ...]:
    """Return the arms of a search before its first sample."""
    return tuple(build_strategy(spec.strategy, build_space(spec.space), spec.seed).arms(()))


def genotypes_of(spec: SearchSpec, count: int) -> list[Genotype]:
    """Return some architectures of a search's space."""
    return list(build_strategy(spec.strategy, build_space(spec.space), spec.seed).suggest((), count))


def fill(engine: Engine, jobs: int, samples: int, queued: int) -> dict[str, str]:
    """Insert jobs and samples in bulk; return the ids of the big search, and of the one that a writer may hold."""
    draw = random.Random(0)  # noqa: S311 - not for secrets
    made = list(_jobs(draw, jobs, queued))
    searches = [row["id"] for row in made if row["kind"] == SEARCH and row["state"] == "succeeded"]
    big = _job(SEARCH, "the big one", "running", big_spec().model_dump(mode="json"), BEGUN) | {"attempt": 1}
    held = _job(SEARCH, "the one at work", "running", big_spec().model_dump(mode="json"), BEGUN) | {"attempt": 1}
    made += [big, held]
    with engine.begin() as connection:
        _insert(connection, Job, made)
        _insert(connection, JobTag, [{"job_id": row["id"], "tag": draw.choice(WORDS)} for row in made[::7]])
        _insert(connection, Event, [_event(row) for row in made])
        with_samples = [big["id"], *searches[: samples // SAMPLES_EACH - 1]]
        genotypes = genotypes_of(big_spec(), 200)
        for job_id in with_samples:
            _insert(connection, SampleRow, _samples(draw, job_id, genotypes))
    with Session(engine) as session, session.begin():
        replace_arms(session, big["id"], tuple(_arm(draw, position, arm) for position, arm in enumerate(arms_of(big_spec()))))
    return {"big": big["id"], "held": held["id"], "old": searches[0]}


def _insert(connection: Connection, table: type[Any], rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), BATCH):
        connection.execute(insert(table), rows[start : start + BATCH])


def _jobs(draw: random.Random, count: int, queued: int) -> Iterator[dict[str, Any]]:
    specs = {
        (space, strategy): SearchSpec.model_validate(
            {"space": space, "strategy": strategy, "training": {"methods": ["bnn", "rebnn"]}}
        ).model_dump(mode="json")
        for space in SPACES
        for strategy in STRATEGIES
    }
    training = TrainingSpec.model_validate(
        {"space": "tiny", "dataset": "digits", "methods": ["bnn", "rebnn"], "architectures": [new_id() for _ in range(8)]}
    ).model_dump(mode="json")
    for place in range(count):
        at = BEGUN + timedelta(seconds=place)
        name = f"{draw.choice(WORDS)} {draw.choice(WORDS)} {place}"
        state = "queued" if place >= count - queued else draw.choice(STATES)
        dataset = {"name": draw.choice(DATASETS), "settings": {}}
        kind = draw.choice((SEARCH, SEARCH, TRAINING, TRAINING, TRAINING, REGISTRATION))
        if kind == SEARCH:
            yield _job(kind, name, state, specs[draw.choice(SPACES), draw.choice(STRATEGIES)] | {"dataset": dataset}, at)
        elif kind == TRAINING:
            yield _job(kind, name, state, training | {"dataset": dataset}, at)
        else:
            yield _job(kind, name, state, {"name": "mine", "kind": "image-folder", "settings": {"path": "mine"}}, at)


def _job(kind: str, name: str, state: str, spec: dict[str, Any], at: datetime) -> dict[str, Any]:
    search = {"kind": "search", "phase": "sampling", "samples": 200, "total": 400, "arms": 540, "arms_left": 99}
    search |= {"best_reward": 0.7312, "best_digest": "0" * 64, "seconds_per_sample": 1.25, "seconds_left": 250.0}
    training = {"kind": "training", "phase": "candidates", "candidates": 16, "finished": 4, "epochs": 93, "total": 400}
    registration = {"kind": "registration", "phase": "decoding", "images": 900, "total": 900}
    progress = {SEARCH: search, TRAINING: training, REGISTRATION: registration}[kind]
    return {
        "id": new_id(),
        "kind": kind,
        "name": name,
        "folded_name": name.casefold(),
        "state": state,
        "spec": spec,
        "note": "",
        "parent_id": None,
        "attempt": 0 if state == "queued" else 1,
        "stalls": 0,
        "progress": {} if state == "queued" else progress,
        "error": "its data set has no such class: " + "x" * 300 if state == "failed" else None,
        "created_at": at,
        "started_at": None if state == "queued" else at,
        "finished_at": None if state in {"queued", "paused", "running"} else at,
        **listed_names(kind, spec),
    }


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {"job_id": row["id"], "kind": "state", "data": {"state": row["state"]}, "created_at": row["created_at"]}


def _samples(draw: random.Random, job_id: str, genotypes: list[Genotype]) -> list[dict[str, Any]]:
    written = [(genotype.to_dict(), genotype.digest) for genotype in genotypes]
    cost = {"binary_parameters": 12_000, "float_parameters": 800, "flops": 10**6, "bops": 10**7, "packed_bytes": 5000}
    return [
        {
            "job_id": job_id,
            "index": index,
            "wave": index - index % 8,
            "genotype": written[index % len(written)][0],
            "digest": written[index % len(written)][1],
            "reward": draw.random(),
            "clean_accuracy": draw.random(),
            "attacked_accuracy": None,
            "parent_reward": None,
            "loss": draw.random(),
            "diverged": False,
            "cost": cost | {"ops": draw.random() * 1e6},
            "seconds": 1.0 + draw.random(),
            "worker": f"host-{index % 4}:100",
            "attempt": 1,
            "created_at": BEGUN + timedelta(seconds=index),
        }
        for index in range(SAMPLES_EACH)
    ]


def _arm(draw: random.Random, position: int, arm: Arm) -> Arm:
    mean = draw.random()
    return Arm(arm.key, 74, mean, mean - 0.1, mean + 0.1, 3 if position % 3 else None)
