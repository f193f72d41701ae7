"""`nas export`: the curves of a training as files that other tools read. Files only; nothing is sent anywhere."""

import shlex
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from api.client import NasClient
from api.commands.identifiers import find_job
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.console import console, errors, print_json
from api.views import ArchitectureView, CandidateView, JobView
from nas_service.lifecycle import FINISHED
from nas_service.run_records.folder import require_free, whole_folder
from nas_service.run_records.mlflow import write_mlflow
from nas_service.run_records.record import RunRecord
from nas_service.run_records.tables import write_csv, write_parquet
from nas_service.run_records.tensorboard import write_tensorboard
from nas_service.terms import method_label
from search_spaces.errors import InvalidFieldError


class ExportKind(StrEnum):
    """What is written."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    PARQUET = "parquet"
    CSV = "csv"


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


def _records(client: NasClient, training: JobView) -> Iterator[RunRecord]:
    """Yield the candidates of a training in its order, showing how far it is.

    Raises:
        InvalidFieldError: If it has none yet.
    """
    rows = sorted(client.candidates(training=training.id), key=lambda row: row.id)
    if not rows:
        raise InvalidFieldError("TRAINING", training.id, "a training that has begun: this one has no candidates yet")
    architectures: Mapping[str, ArchitectureView] = {
        key: client.architecture(key) for key in dict.fromkeys(row.architecture_id for row in rows)
    }
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        for row in progress.track(rows, description="reading candidates"):
            yield _record(training, row, architectures[row.architecture_id], client)


def _write(kind: ExportKind, records: list[RunRecord], folder: Path, training: JobView) -> None:
    with whole_folder(folder) as scratch:
        match kind:
            case ExportKind.TENSORBOARD:
                write_tensorboard(records, scratch)
            case ExportKind.MLFLOW:
                write_mlflow(records, scratch, folder, training.name)
            case ExportKind.PARQUET:
                write_parquet(records, scratch)
            case ExportKind.CSV:
                write_csv(records, scratch)


def export(
    training: Annotated[
        str, typer.Argument(metavar="TRAINING", help="Id of a training, the beginning of it, its name, or latest.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; an empty one may be there.")],
    kind: Annotated[ExportKind, typer.Option("--to", help="What to write: event files, MLflow's file store, or two tables.")],
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Write the curves and results of a training for TensorBoard or MLflow, or as Parquet or CSV tables.

    Files only: nothing is sent anywhere. DIR is there whole at the end, or not at all; a folder with files in it is refused.
    """
    require_free(folder)
    with connect(url) as client:
        job = client.training(find_job(client, "training", training))
        records = list(_records(client, job))
    if job.state not in FINISHED:
        words = f"the training is {job.state}: this is what it has so far"
        errors.print(words, markup=False, highlight=False)
    _write(kind, records, folder, job)
    epochs = sum(len(record.epochs) for record in records)
    if as_json:
        print_json({"folder": str(folder), "to": kind.value, "candidates": len(records), "epochs": epochs})
        return
    words = f"{folder}: {len(records):,} candidate(s), {epochs:,} epochs"
    console.print(words, markup=False, highlight=False, soft_wrap=True)
    if kind in _NEXT:
        console.print(
            f"next: {_NEXT[kind].format(folder=shlex.quote(str(folder)))}", markup=False, highlight=False, soft_wrap=True
        )
