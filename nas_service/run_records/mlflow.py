"""MLflow: the folder that its file store reads, written without it: one experiment a training, one run a candidate.

MLflow 3 reads such a folder with MLFLOW_ALLOW_FILE_STORE=true, or `mlflow migrate-filestore` puts it into a database.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from nas_service.lifecycle import CandidateState
from nas_service.run_records.record import RunRecord, figures_of
from nas_service.run_records.tensorboard import run_names
from nas_service.wording import printable
from search_spaces.wording import one_line

_RUNS = "mlruns"
_ID_DIGITS = 18  # of an experiment
_LOCAL = 4  # kind of a run's source
_RUNNING, _SCHEDULED, _FINISHED, _FAILED, _KILLED = range(1, 6)
_STATUS = {
    CandidateState.WAITING: _SCHEDULED,
    CandidateState.TRAINING: _RUNNING,
    CandidateState.ATTACKING: _RUNNING,
    CandidateState.SUCCEEDED: _FINISHED,
    CandidateState.STOPPED: _FINISHED,
    CandidateState.FAILED: _FAILED,
    CandidateState.CANCELLED: _KILLED,
}
_PARAMS = ("method", "method_name", "seed", "dataset", "architecture", "search", "rank", "score", "control", "epochs_total")
_TAGS = ("candidate", "training", "state", "worker", "device", "error")
_UNSAFE = re.compile(r"[^A-Za-z0-9_. -]")


def write_mlflow(records: Sequence[RunRecord], folder: Path, target: Path, name: str) -> None:
    """Write `mlruns`: curves and results as metrics, what was chosen as parameters.

    Args:
        records: The candidates of one training.
        folder: To write into.
        target: Where that will lie.
        name: Of the training, for people.
    """
    training = records[0].training
    experiment = str(int(training.replace("-", ""), 16))[:_ID_DIGITS]
    place, there = folder / _RUNS / experiment, (target.resolve() / _RUNS / experiment).as_uri()
    created = min(_ms(record.created_at) for record in records)
    about = {"artifact_location": there, "experiment_id": experiment, "lifecycle_stage": "active", "name": name or training}
    _write_meta(place, about | {"creation_time": created, "last_update_time": created})
    for run_name, record in zip(run_names(records), records, strict=True):
        run = record.candidate.replace("-", "")
        meta: dict[str, object] = {
            "artifact_uri": f"{there}/{run}/artifacts",
            "end_time": None if record.finished_at is None else _ms(record.finished_at),
            "entry_point_name": "",
            "experiment_id": experiment,
            "lifecycle_stage": "active",
            "run_id": run,
            "run_name": run_name,
            "source_name": "",
            "source_type": _LOCAL,
            "source_version": "",
            "start_time": _ms(record.started_at or record.created_at),
            "status": _STATUS[CandidateState(record.state)],
            "tags": [],
            "user_id": "",
        }
        _write_meta(place / run, meta)
        _write_run(place / run, record, run_name)


def _write_run(folder: Path, record: RunRecord, run_name: str) -> None:
    for kind in ("metrics", "params", "tags", "artifacts"):
        (folder / kind).mkdir()
    for name, lines in _metrics(record).items():
        (folder / "metrics" / _UNSAFE.sub("_", name)).write_text("".join(lines), encoding="utf-8")
    known = record.flat()
    for kind, names in (("params", _PARAMS), ("tags", _TAGS)):
        for name in names:
            if known[name] is not None:
                (folder / kind / name).write_text(one_line(str(known[name])), encoding="utf-8")
    (folder / "tags" / "mlflow.runName").write_text(run_name, encoding="utf-8")


def _metrics(record: RunRecord) -> dict[str, list[str]]:
    """Return the lines of each metric: milliseconds since 1970, value, step."""
    found: dict[str, list[str]] = {}
    moment = record.began
    for report in record.epochs:
        moment += report.seconds
        for name, value in figures_of(report).items():
            found.setdefault(name, []).append(f"{round(1000 * moment)} {value!r} {report.epoch}\n")
    ended = _ms(record.finished_at) if record.finished_at else round(1000 * moment)
    for name, value in record.results().items():
        found[name] = [f"{ended} {value!r} {max(0, record.epochs_done - 1)}\n"]
    return found


def _write_meta(folder: Path, meta: Mapping[str, object]) -> None:
    """Write a YAML file: JSON values are YAML, one a line."""
    folder.mkdir(parents=True)
    shown = {name: printable(value) if isinstance(value, str) else value for name, value in meta.items()}
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in sorted(shown.items())]
    (folder / "meta.yaml").write_text("".join(lines), encoding="utf-8")


def _ms(moment: datetime) -> int:
    return round(1000 * moment.timestamp())
