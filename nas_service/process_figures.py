"""What this process has counted since it began, for Prometheus; what the whole service counts is in `storage.totals`."""

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more of each, which nobody asks for

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

STORE_ERRORS = Counter("nas_store_errors", "Times that this process could not use the artifact store.", registry=REGISTRY)
DATABASE_ERRORS = Counter(
    "nas_database_errors",
    "Times that the database was away for this process, by what it did instead.",
    ["state"],
    registry=REGISTRY,
)
