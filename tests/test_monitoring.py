"""What docs/monitoring has for Prometheus and Grafana, against what a service tells."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.metrics import exposition
from api.views import Readiness
from nas_service.lifecycle import Loss
from nas_service.settings import Settings
from nas_service.storage import controllers, jobs, totals
from nas_service.storage.session import Connections, Database

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
ALERTS = {rule["alert"]: rule["expr"] for rule in RULES}
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel.get("targets", [])}
OF_PROMETHEUS = {"up", "job", "instance"}  # what it adds by itself

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt-get install prometheus)"
)


@pytest.fixture
def told(settings: Settings) -> str:
    """Return what a service tells that has had a few requests, and a controller."""
    database = Database(settings.database)
    with database.write() as session:
        controllers.report(session, "one", None)
    database.close()
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        for path in ("/v1/searches", "/v1/none", "/"):
            client.get(path)
        text: str = client.get("/metrics").text
        return text


def _labels_of(text: str) -> dict[str, set[str]]:
    """Return the samples that there are, each with its labels."""
    found: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def test_every_query_names_figures_and_labels_that_there_are(told: str) -> None:
    samples = _labels_of(told)
    assert len(QUERIES) > 20
    for title, query in {**ALERTS, **QUERIES}.items():
        named = set(re.findall(r"\b(?:nas|process)_[a-z0-9_]+", query))
        assert named or "up{" in query, title
        assert named <= samples.keys(), (title, named - samples.keys())
        known = OF_PROMETHEUS | set().union(*(samples[name] for name in named))
        labels = {
            label for inside in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside)
        }
        grouped = {label.strip() for inside in re.findall(r"by \(([^)]*)\)", query) for label in inside.split(",")}
        assert labels | grouped <= known, (title, (labels | grouped) - known)


def test_every_figure_of_ours_is_asked_for_somewhere(told: str) -> None:
    asked = " ".join([*ALERTS.values(), *QUERIES.values()])
    families = {family.name for family in text_string_to_metric_families(told) if family.name.startswith("nas_")}
    assert {name for name in families if name not in asked} == set()


def test_names_in_legends_and_sentences_are_labels_of_their_query() -> None:
    for panel in PANELS:
        for target in panel.get("targets", []):
            for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"\b{name}\b", target["expr"]) or name == "instance", (panel["title"], name)


def test_values_of_labels_in_queries_are_some_that_there_are(told: str) -> None:
    for query in [*ALERTS.values(), *QUERIES.values()]:
        for label, value in re.findall(r"(state|kind)=\"([a-z_]+)\"", query):
            assert f'{label}="{value}"' in told


def test_nothing_of_the_database_is_told_as_0_while_nobody_can_ask_it() -> None:
    readiness = Readiness(status="not-ready", checks={"database": "the database does not answer"}, queued=0, running=0)
    text = exposition(readiness, None, {}, Connections(0, 0, 20), (0, 256)).decode()
    assert "nas_jobs" not in text
    assert "nas_samples_total" not in text
    assert 'nas_check_ok{check="database"} 0.0' in text


def test_every_process_tells_the_same_of_the_service_before_and_after_a_restart(settings: Settings) -> None:
    database = Database(settings.database)
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
        totals.count(session, "a", totals.SAMPLES, 12)
        totals.count_work(session, "a", 30.0, cpus=2.0, gpus=0.5)
        totals.count_lost(session, "b", Loss.STALL)
        totals.count_wait(session, "b", 70.0)
    database.close()
    expected = {
        'nas_jobs{kind="search",state="queued"} 1.0',
        "nas_samples_total 12.0",
        "nas_work_seconds_total 30.0",
        "nas_cpu_seconds_total 60.0",
        "nas_gpu_seconds_total 15.0",
        'nas_attempts_lost_total{why="stall"} 1.0',
        'nas_queue_wait_seconds_bucket{le="60"} 0.0',
        'nas_queue_wait_seconds_bucket{le="300"} 1.0',
        "nas_queue_wait_seconds_sum 70.0",
    }
    for app in (create_app(settings), create_app(settings)):
        with TestClient(app, base_url="http://localhost") as one:
            assert expected <= set(one.get("/metrics").text.splitlines())


@needs_promtool
def test_promtool_has_nothing_to_say_about_names_and_help(told: str) -> None:
    result = subprocess.run(["promtool", "check", "metrics"], input=told, capture_output=True, text=True, check=False)  # noqa: S607
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_promtool
def test_promtool_takes_the_rules_and_the_configuration(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("nas_x")
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    text = (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus/nas-key", str(key))
    (tmp_path / "prometheus.yml").write_text(text)
    words = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(RULES)} rules found" in result.stdout


def _series(name: str, values: str) -> dict[str, str]:
    return {"series": name, "values": values}


# What is told minute by minute, and which alerts there are after two hours.
HISTORIES: dict[str, tuple[list[dict[str, str]], set[str]]] = {
    "all is well": (
        [
            _series('up{job="nas"}', "1x120"),
            _series('nas_check_ok{job="nas",check="store"}', "1x120"),
            _series('nas_jobs{job="nas",kind="search",state="queued"}', "2x120"),
            _series('nas_jobs{job="nas",kind="search",state="running"}', "1x120"),
            _series('nas_controller_step_age_seconds{job="nas",controller="a"}', "3x120"),
            _series('nas_controller_step_age_seconds{job="nas",controller="gone"}', "0+60x120"),
            _series('nas_samples_total{job="nas"}', "0+10x120"),
            _series('nas_attempts_lost_total{job="nas",why="stall"}', "3x120"),
        ],
        set(),
    ),
    "the controller is gone": (
        [
            _series('nas_jobs{job="nas",kind="search",state="queued"}', "2x120"),
            _series('nas_controller_step_age_seconds{job="nas",controller="a"}', "0+60x120"),
        ],
        {"NasNoController"},
    ),
    "there never was one": ([_series('nas_jobs{job="nas",kind="search",state="queued"}', "2x120")], {"NasNoController"}),
    "a search that stands": (
        [
            _series('nas_jobs{job="nas",kind="search",state="running"}', "1x120"),
            _series('nas_samples_total{job="nas"}', "7x120"),
            _series('nas_attempts_lost_total{job="nas",why="stall"}', "0+0.2x120"),
        ],
        {"NasNothingSampled", "NasAttemptsLost"},
    ),
    "a service that fails": (
        [
            _series('up{job="nas"}', "0x120"),
            _series('nas_check_ok{job="nas",check="store"}', "0x120"),
            _series('nas_http_replies_total{job="nas",status="500"}', "0+6x120"),
            _series('nas_store_errors_total{job="nas"}', "0+6x120"),
        ],
        {"NasAway", "NasCheckFails", "NasFailsRequests", "NasStoreFails"},
    ),
    "one that is used up": (
        [
            _series('nas_database_connections{job="nas",state="in_use"}', "20x120"),
            _series('nas_database_connections_limit{job="nas"}', "20x120"),
            _series('nas_streams_open{job="nas"}', "250x120"),
            _series('nas_streams_limit{job="nas"}', "256x120"),
            _series('nas_queue_oldest_seconds{job="nas",kind="training"}', "90000x120"),
            _series('nas_http_request_seconds_bucket{job="nas",route="/v1/searches",le="2.5"}', "0+1x120"),
            _series('nas_http_request_seconds_bucket{job="nas",route="/v1/searches",le="10"}', "0+9x120"),
            _series('nas_http_request_seconds_bucket{job="nas",route="/v1/searches",le="+Inf"}', "0+9x120"),
        ],
        {"NasConnectionsUsedUp", "NasStreamsUsedUp", "NasQueueStands", "NasSlow"},
    ),
}


@needs_promtool
def test_alerts_are_raised_when_they_should_be_and_not_otherwise(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    tests: list[dict[str, Any]] = []
    for name, (series, raised) in HISTORIES.items():
        count = [{"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": "2h"} for alert in ALERTS]
        for alert, question in zip(ALERTS, count, strict=True):
            question["exp_samples"] = [{"labels": "{}", "value": 1}] if alert in raised else []  # type: ignore[assignment]
        tests.append({"name": name, "interval": "1m", "input_series": series, "promql_expr_test": count})
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}))
    result = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)  # noqa: S607
    assert result.returncode == 0, result.stdout + result.stderr
    assert set().union(*(raised for _, raised in HISTORIES.values())) == ALERTS.keys()
