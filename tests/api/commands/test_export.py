"""`nas export`: other tools' own readers find the figures of the API; a folder is there whole, or not at all."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from api.app import create_app
from api.client import NasClient
from nas_service.run_records.folder import whole_folder
from nas_service.settings import Settings
from search_spaces.genotype import Genotype
from tests.api.conftest import run_here, run_json, write_trained
from tests.api.whole_training import EPOCHS, Written, write_whole
from tests.serving import in_thread

FIELDS = ("train_loss", "train_accuracy", "validation_accuracy", "flip_ratio", "sign_balance", "bimodality", "seconds", "extra")


@pytest.fixture
def whole(settings: Settings) -> Written:
    """Return a search and a training of 3 methods x 5 architectures x 3 seeds."""
    return write_whole(settings)


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Serve the application without a controller on a real socket."""
    with in_thread(create_app(settings)) as url:
        yield url


TABLES = ("candidates", "curves", "architectures", "samples")


def _export(kind: str, whole: Written, address: str, folder: Path) -> None:
    told = run_json("export", whole.training, folder.name, "--to", kind, cwd=folder.parent, NAS_URL=address)
    more = {"architectures": 5, "samples": 0} if kind in {"csv", "parquet"} else {}
    assert told == {"folder": folder.name, "to": kind, "candidates": 45, "epochs": 45 * EPOCHS, **more}


def _curves(address: str, whole: Written) -> dict[tuple[str, int, str], dict[str, list[Any]]]:
    """Return the columns of every curve by method, seed and architecture."""
    with NasClient(address) as client:
        found = client.training_curves(whole.training, FIELDS, 10_000)
    return {(row.method, row.seed, row.architecture): row.columns for row in found.candidates}


def test_tensorboard_s_own_reader_finds_the_curves(whole: Written, address: str, tmp_path: Path) -> None:
    _export("tensorboard", whole, address, tmp_path / "runs")
    curves = _curves(address, whole)
    assert len(list((tmp_path / "runs").iterdir())) == len(curves) == 45
    for (method, seed, architecture), columns in curves.items():
        rank = 1 + whole.architectures.index(architecture)
        reader = EventAccumulator(str(tmp_path / "runs" / f"{method}-rank{rank}-seed{seed}"))
        reader.Reload()
        for name, values in columns.items():
            scalars = reader.Scalars(name.replace(".", "/"))
            assert [scalar.step for scalar in scalars] == list(range(EPOCHS))
            assert [np.float32(scalar.value) for scalar in scalars] == [np.float32(value) for value in values]
        ((ended,), (stood,)) = (reader.Scalars(name) for name in ("test_accuracy", "attacked/pgd-20"))
        assert stood.value == pytest.approx(ended.value / 2, abs=1e-3)
        assert "_hparams_/session_start_info" in reader.summary_metadata


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_hold_the_curves_and_the_candidates(kind: str, whole: Written, address: str, tmp_path: Path) -> None:
    _export(kind, whole, address, tmp_path / "tables")
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {f"{name}.{kind}" for name in TABLES}
    epochs, rows = (_rows(tmp_path / "tables" / f"{name}.{kind}") for name in ("curves", "candidates"))
    for (method, seed, architecture), columns in _curves(address, whole).items():
        own = [row for row in epochs if (row["method"], int(row["seed"]), row["architecture"]) == (method, seed, architecture)]
        for name, values in columns.items():
            assert [float(row[name]) for row in own] == values
    assert len(rows) == 45
    with NasClient(address) as client:
        known = {row.id: row for row in client.candidates(training=whole.training)}
    for row in rows:
        view = known[row["candidate"]]
        assert (float(row["test_accuracy"]), float(row["attack_seconds"])) == (view.test_accuracy, view.attack_seconds)
        assert (float(row["cost.ops"]), float(row["attacked.pgd-20"])) == (view.cost["ops"], float(row["attacked_worst"]))
        assert (row["dataset"], int(row["epochs_total"]), row["worker"]) == ("digits", EPOCHS, "host:1")


def test_tables_hold_the_architectures_and_the_samples_behind_them(
    finished_search: str, settings: Settings, address: str, tmp_path: Path
) -> None:
    with NasClient(address) as client:
        found, samples = list(client.architectures(search=finished_search)), list(client.samples(finished_search))
        spec = {"space": "tiny", "dataset": "digits", "architectures": [row.id for row in found], "methods": ["bnn", "rebnn"]}
        training = client.submit_training(spec).id
    write_trained(settings, training, [row.id for row in found])
    for kind in ("parquet", "csv"):
        told = run_json("export", training, kind, "--to", kind, cwd=tmp_path, NAS_URL=address)
        assert told == {"folder": kind, "to": kind, "candidates": 4, "epochs": 0, "architectures": 2, "samples": 3}
    files = {name: pq.read_table(tmp_path / "parquet" / f"{name}.parquet") for name in TABLES}
    rows = files["samples"].to_pylist()
    for row, sample in zip(rows, samples, strict=True):
        assert (row["search"], row["sample"], row["reward"]) == (finished_search, sample.index, sample.reward)
        assert (row["created_at"], row["cost.ops"], row["diverged"]) == (sample.created_at, 1.5, False)
        assert Genotype.from_json(row["genotype"]).digest == row["digest"] == sample.digest
    for row, view in zip(files["architectures"].to_pylist(), found, strict=True):
        assert (row["architecture"], row["rank"], row["score"], row["digest"]) == (view.id, view.rank, view.score, view.digest)
    types = {field.name: str(field.type) for field in files["samples"].schema}
    expected = {"sample": "int64", "reward": "double", "attacked_accuracy": "double", "steps": "int64", "diverged": "bool"}
    assert {name: types[name] for name in expected} == expected
    assert types["created_at"] == "timestamp[us, tz=UTC]"
    csv_rows = _rows(tmp_path / "csv" / "samples.csv")
    assert [float(row["reward"]) for row in csv_rows] == [row["reward"] for row in rows]
    assert [(row["diverged"], row["attacked_accuracy"]) for row in csv_rows] == [("False", "")] * 3
    assert list(csv_rows[0]) == files["samples"].column_names


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow", "parquet", "csv"])
def test_the_same_training_gives_the_same_bytes(kind: str, whole: Written, address: str, tmp_path: Path) -> None:
    """From two processes, whose maps may have unlike orders; MLflow's files name the folder that they were written to."""
    written = []
    for turn in ("1", "2"):
        run_json("export", whole.training, "made", "--to", kind, cwd=tmp_path, NAS_URL=address, PYTHONHASHSEED=turn)
        made = (tmp_path / "made").rename(tmp_path / turn)
        written.append({str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()})
    assert len(written[0]) >= 4
    assert written[0] == written[1]


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_mlflow_s_folder_holds_the_curves(whole: Written, address: str, tmp_path: Path) -> None:
    """By the layout of its file store; `test_mlflow_itself_reads_its_folder` asks MLflow, where there is one."""
    _export("mlflow", whole, address, tmp_path / "given")
    (experiment,) = (tmp_path / "given" / "mlruns").iterdir()
    about = yaml.safe_load((experiment / "meta.yaml").read_text(encoding="utf-8"))
    assert (about["name"], about["experiment_id"], about["lifecycle_stage"]) == ("whole", experiment.name, "active")
    assert about["artifact_location"] == experiment.as_uri()
    curves = _curves(address, whole)
    runs = [path for path in experiment.iterdir() if path.is_dir()]
    assert len(runs) == 45
    for run in runs:
        meta = yaml.safe_load((run / "meta.yaml").read_text(encoding="utf-8"))
        assert (meta["run_id"], meta["status"], meta["experiment_id"]) == (run.name, 3, experiment.name)
        method, seed, architecture = ((run / "params" / name).read_text() for name in ("method", "seed", "architecture"))
        assert meta["run_name"] == (run / "tags" / "mlflow.runName").read_text()
        for name, values in curves[method, int(seed), architecture].items():
            lines = [line.split(" ") for line in (run / "metrics" / name).read_text().splitlines()]
            assert [(float(value), int(step)) for _, value, step in lines] == list(zip(values, range(EPOCHS), strict=True))
            assert [int(moment) for moment, _, _ in lines] == sorted(int(moment) for moment, _, _ in lines)


READ_BY_MLFLOW = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
(experiment,) = [found for found in client.search_experiments() if found.experiment_id != "0"]
runs = client.search_runs([experiment.experiment_id], order_by=["metrics.test_accuracy DESC"], max_results=100)
told = [
    {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "test_accuracy": run.data.metrics["test_accuracy"],
        "train_loss": [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "train_loss")],
    }
    for run in runs
]
print(json.dumps({"experiment": experiment.name, "runs": told}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("store", ["file", "database"])
def test_mlflow_itself_reads_its_folder(store: str, whole: Written, address: str, tmp_path: Path) -> None:
    """As it lies there, and put into a database by MLflow's own command."""
    mlflow = shutil.which("mlflow")
    if mlflow is None:
        pytest.skip("there is no mlflow on PATH")
    _export("mlflow", whole, address, tmp_path / "given")
    uri, variables = str(tmp_path / "given" / "mlruns"), {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"}
    if store == "database":
        uri = f"sqlite:///{tmp_path}/mlflow.db"
        command = [mlflow, "migrate-filestore", "--source", str(tmp_path / "given" / "mlruns"), "--target", uri]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
        del variables["MLFLOW_ALLOW_FILE_STORE"]
    python = Path(mlflow).with_name("python")
    read = subprocess.run([python, "-c", READ_BY_MLFLOW, uri], check=True, cwd=tmp_path, env=variables, capture_output=True)
    told = json.loads(read.stdout.splitlines()[-1])
    assert (told["experiment"], len(told["runs"])) == ("whole", 45)
    accuracies = [run["test_accuracy"] for run in told["runs"]]
    assert accuracies == sorted(accuracies, reverse=True)
    curves = _curves(address, whole)
    for run in told["runs"]:
        columns = curves[run["params"]["method"], int(run["params"]["seed"]), run["params"]["architecture"]]
        assert run["train_loss"] == [[step, value] for step, value in enumerate(columns["train_loss"])]
        assert run["status"] == "FINISHED"


def test_a_folder_with_files_in_it_is_refused_and_left_alone(whole: Written, address: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    for given in ("mine", "mine/notes.txt", "."):
        refused = run_here("export", whole.training, given, "--to", "csv", cwd=tmp_path, NAS_URL=address)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"DIR: '{given}' is not allowed; allowed: a folder that is not there yet, or an empty one" in refused.stderr
    assert [path.read_text() for path in folder.iterdir()] == ["mine"]
    gone = run_here("export", "gone", "other", "--to", "csv", cwd=tmp_path, NAS_URL=address)
    assert (gone.returncode, "no training 'gone'" in gone.stderr) == (1, True)
    assert not (tmp_path / "other").exists()


def test_an_empty_folder_is_filled_and_the_next_command_is_told(whole: Written, address: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o750)
    done = run_here("export", whole.training, "empty", "--to", "tensorboard", cwd=tmp_path, NAS_URL=address)
    assert done.stdout.splitlines() == [
        f"empty: 45 candidates, {45 * EPOCHS} epochs",
        "next: tensorboard --logdir empty",
    ]
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o750


def test_a_training_without_candidates_leaves_no_folder(whole: Written, address: str, tmp_path: Path) -> None:
    with NasClient(address) as client:
        spec = {"space": "tiny", "dataset": "digits", "architectures": whole.architectures[:1], "methods": ["bnn"]}
        training = client.submit_training(spec).id
    refused = run_here("export", training, "new", "--to", "csv", cwd=tmp_path, NAS_URL=address)
    assert (refused.returncode, "this one has no candidates yet" in refused.stderr) == (1, True)
    assert not (tmp_path / "new").exists()


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), whole_folder(tmp_path / "deep" / "made") as scratch:
        (scratch / "half").write_text("x")
        raise OSError("full")
    assert list((tmp_path / "deep").iterdir()) == []
    with whole_folder(tmp_path / "deep" / "made") as scratch:
        (scratch / "whole").write_text("x")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["made"]
    assert (tmp_path / "deep" / "made" / "whole").read_text() == "x"
