"""`nas export`: the curves of a training as files that other tools read. Files only; nothing is sent anywhere."""

import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from api.client import NasClient
from api.commands.identifiers import find_job, recent_jobs
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.console import errors, print_json, say, tell
from api.views import ArchitectureView, CandidateView, JobView, SampleView
from nas_service.lifecycle import FINISHED
from nas_service.run_records.folder import require_free, whole_folder
from nas_service.run_records.found import ArchitectureRecord, SampleRecord, TrainingRecords
from nas_service.run_records.mlflow import write_mlflow
from nas_service.run_records.record import RunRecord
from nas_service.run_records.tables import write_csv, write_parquet
from nas_service.run_records.tensorboard import write_tensorboard
from nas_service.terms import method_label
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype


class ExportKind(StrEnum):
    """What is written."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    PARQUET = "parquet"
    CSV = "csv"


_TABLES = {ExportKind.PARQUET, ExportKind.CSV}
_NEXT = {
    ExportKind.TENSORBOARD: "tensorboard --logdir {folder}",
    ExportKind.MLFLOW: "MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {folder}/mlruns",
}


def _record(training: JobView, row: CandidateView, found: ArchitectureView, client: NasClient) -> RunRecord:
    stood = None if row.metrics is None else row.metrics.robustness
    return RunRecord(
        candidate=row.id,
        training=row.training_id,
        dataset=method_label(training.spec["dataset"]),
        architecture=row.architecture_id,
        search=found.search_id,
        rank=found.rank,
        score=found.score,
        control=found.control,
        method=row.method_label,
        method_name=row.method["name"],
        seed=row.seed,
        state=row.state.value,
        epochs_done=row.epochs_done,
        epochs_total=row.epochs_total,
        validation_accuracy=row.validation_accuracy,
        test_accuracy=row.test_accuracy,
        test_balanced_accuracy=None if row.metrics is None else row.metrics.test_balanced_accuracy,
        attack_eps=None if stood is None else stood.eps,
        attack_restarts=None if stood is None else stood.restarts,
        attack_images=None if stood is None else stood.images,
        attacked_worst=None if stood is None else stood.worst,
        seconds=row.seconds,
        attack_seconds=row.attack_seconds,
        worker=row.worker,
        device=row.device,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attacked={} if stood is None else stood.accuracies,
        cost=row.cost,
        epochs=list(client.curves(row.id)) if row.epochs_done else (),
    )


def _architecture(found: ArchitectureView) -> ArchitectureRecord:
    return ArchitectureRecord(
        architecture=found.id,
        search=found.search_id,
        rank=found.rank,
        score=found.score,
        attacked_score=found.attacked_score,
        control=found.control,
        digest=found.digest,
        genotype=Genotype.from_dict(found.genotype).to_json(),
        created_at=found.created_at,
        cost=found.cost,
    )


def _sample(search: str, told: SampleView) -> SampleRecord:
    return SampleRecord(
        search=search,
        sample=told.index,
        wave=told.wave,
        digest=told.digest,
        genotype=Genotype.from_dict(told.genotype).to_json(),
        reward=told.reward,
        clean_accuracy=told.clean_accuracy,
        attacked_accuracy=told.attacked_accuracy,
        parent_reward=told.parent_reward,
        fidelity=told.fidelity,
        steps=told.steps,
        loss=told.loss,
        diverged=told.diverged,
        seconds=told.seconds,
        worker=told.worker,
        attempt=told.attempt,
        created_at=told.created_at,
        cost=told.cost,
    )


def _read(client: NasClient, training: JobView, *, with_samples: bool) -> TrainingRecords:
    """Return the candidates of a training in its order and what stands behind them, showing how far it is.

    Raises:
        InvalidFieldError: If it has none yet.
    """
    rows = sorted(client.candidates(training=training.id), key=lambda row: row.id)
    if not rows:
        raise InvalidFieldError("TRAINING", training.id, "a training that has begun: this one has no candidates yet")
    found: Mapping[str, ArchitectureView] = {
        key: client.architecture(key) for key in dict.fromkeys(row.architecture_id for row in rows)
    }
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        candidates = [
            _record(training, row, found[row.architecture_id], client)
            for row in progress.track(rows, description="reading candidates")
        ]
        searches = sorted({architecture.search_id for architecture in found.values()}) if with_samples else []
        reading = progress.track(searches, description="reading samples")
        samples = [_sample(key, told) for key in reading for told in client.samples(key)]
    behind = sorted(found.values(), key=lambda architecture: (architecture.search_id, architecture.rank, architecture.id))
    return TrainingRecords(training.name, candidates, [_architecture(architecture) for architecture in behind], samples)


def _write(kind: ExportKind, records: TrainingRecords, folder: Path) -> None:
    with whole_folder(folder) as scratch:
        match kind:
            case ExportKind.TENSORBOARD:
                write_tensorboard(records.candidates, scratch)
            case ExportKind.MLFLOW:
                write_mlflow(records.candidates, scratch, folder, records.name)
            case ExportKind.PARQUET:
                write_parquet(records, scratch)
            case ExportKind.CSV:
                write_csv(records, scratch)


def export(
    training: Annotated[
        str,
        typer.Argument(
            metavar="TRAINING",
            help="Id of a training, the beginning of it, its name, or latest.",
            autocompletion=recent_jobs("training"),
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; an empty one may be there.")],
    kind: Annotated[ExportKind, typer.Option("--to", help="What to write: event files, MLflow's file store, or four tables.")],
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Write the curves and results of a training for TensorBoard or MLflow, or as Parquet or CSV tables.

    Tables are candidates, curves, architectures, and the samples of the searches that found those.
    Files only: nothing is sent anywhere. DIR is there whole at the end, or not at all; a folder with files in it is refused.
    """
    require_free(folder)
    with connect(url) as client:
        job = client.training(find_job(client, "training", training))
        records = _read(client, job, with_samples=kind in _TABLES)
    if job.state not in FINISHED:
        words = f"the training is {job.state}: this is what it has so far"
        tell(words)
    _write(kind, records, folder)
    epochs = sum(len(record.epochs) for record in records.candidates)
    counts = {"candidates": len(records.candidates), "epochs": epochs}
    if kind in _TABLES:
        counts |= {"architectures": len(records.architectures), "samples": len(records.samples)}
    if as_json:
        print_json({"folder": str(folder), "to": kind.value, **counts})
        return
    say(f"{folder}: " + ", ".join(f"{count:,} {what if count != 1 else what[:-1]}" for what, count in counts.items()))
    if kind in _NEXT:
        say(f"next: {_NEXT[kind].format(folder=shlex.quote(str(folder)))}")
