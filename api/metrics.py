"""What /metrics tells: figures of the whole service from its database, and figures of this process."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.readiness import OK
from api.views import Readiness
from nas_service.lifecycle import JobState
from nas_service.process_figures import REGISTRY
from nas_service.storage import jobs, totals
from nas_service.storage.service_figures import ServiceFigures
from nas_service.storage.session import Connections
from nas_service.storage.totals import losses_in, waits_in

_TOTALS = {
    totals.SAMPLES: ("nas_samples", "Samples that searches committed."),
    totals.WORK_SECONDS: ("nas_work_seconds", "Time for which drivers had jobs, added up over all jobs."),
    totals.CPU_SECONDS: ("nas_cpu_seconds", "Processors that actors and trials had, times seconds."),
    totals.GPU_SECONDS: ("nas_gpu_seconds", "GPUs, or shares of one, that they had, times seconds."),
}


class _Snapshot(Collector):
    """Families of metrics that were made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(
    readiness: Readiness,
    figures: ServiceFigures | None,
    free_bytes: dict[str, int],
    connections: Connections,
    streams: tuple[int, int],
) -> bytes:
    """Return everything in Prometheus's format.

    Args:
        readiness: As /readyz tells it.
        figures: Of the whole service; None where the database cannot be asked: they are left out then, not told as 0.
        free_bytes: Room by place.
        connections: Of requests to the database.
        streams: Open ones, and how many may be.
    """
    registry = CollectorRegistry()
    registry.register(_Snapshot([*_of_process(readiness, free_bytes, connections, streams), *_of_service(figures)]))
    return generate_latest(registry) + generate_latest(REGISTRY)


def _of_process(
    readiness: Readiness, free_bytes: dict[str, int], connections: Connections, streams: tuple[int, int]
) -> Iterator[Metric]:
    yield _gauge("nas_check_ok", "Checks of readiness: 1 where all is well.", "check", _checks(readiness))
    yield _gauge("nas_free_bytes", "Room on the disks of the home and of a local artifact store.", "place", free_bytes)
    states = {"in_use": connections.in_use, "idle": connections.idle}
    yield _gauge("nas_database_connections", "Connections of requests to the database.", "state", states)
    yield _plain("nas_database_connections_limit", "How many of them there may be.", connections.most)
    open_streams, limit = streams
    yield _plain("nas_streams_open", "Streams of events that are open.", open_streams)
    yield _plain("nas_streams_limit", "How many of them there may be.", limit)


def _checks(readiness: Readiness) -> dict[str, int]:
    return {name: int(told == OK) for name, told in readiness.checks.items()}


def _of_service(figures: ServiceFigures | None) -> Iterator[Metric]:
    if figures is None:
        return
    by_state = GaugeMetricFamily("nas_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    for kind in jobs.KINDS:
        for state in JobState:
            by_state.add_metric([kind, state.value], figures.jobs.get((kind, state.value), 0))
    yield by_state
    oldest = {kind: figures.oldest_queued_s.get(kind, 0.0) for kind in jobs.KINDS}
    yield _gauge("nas_queue_oldest_seconds", "Since when the oldest queued job of a kind is there; 0: none is.", "kind", oldest)
    steps = figures.step_age_s
    yield _gauge("nas_controller_step_age_seconds", "How long ago a controller made its last good step.", "controller", steps)
    yield _plain(
        "nas_artifact_bytes", "Size of the files of candidates and registrations.", figures.totals.get(totals.ARTIFACT_BYTES, 0)
    )
    for name, (metric, help_text) in _TOTALS.items():
        yield CounterMetricFamily(metric, help_text, value=figures.totals.get(name, 0.0))
    lost = CounterMetricFamily("nas_attempts_lost", "Attempts at jobs that were lost, by why.", labels=["why"])
    for why, count in losses_in(figures.totals).items():
        lost.add_metric([why.value], count)
    yield lost
    waits = waits_in(figures.totals)
    buckets = [*((f"{limit_s:g}", float(count)) for limit_s, count in waits.within), ("+Inf", float(waits.count))]
    yield HistogramMetricFamily(
        "nas_queue_wait_seconds", "From when a job was submitted to when its first driver was started.", buckets, waits.seconds
    )


def _gauge(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _plain(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)
