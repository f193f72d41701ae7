"""Which command asks for which route: one a route. Where there is none, for whom the route is instead."""

from collections.abc import Iterator, Mapping

# Behind the path of a kind's jobs -> the command of the kind.
_OF_JOBS = {
    "GET /{job_id}": "show",
    "PATCH /{job_id}": "change",
    "DELETE /{job_id}": "delete",
    "GET /{job_id}/events": "events",
    "GET /{job_id}/stream": "stream",
    "POST /{job_id}/cancel": "cancel",
    "POST /{job_id}/pause": "pause",
    "POST /{job_id}/resume": "resume",
    "POST /{job_id}/clone": "clone",
    "GET /{job_id}/logs": "logs",
    "GET ": "list",
}
_OF_TRAINED = {"POST ": "submit", "POST /estimate": "submit --dry-run", "GET /{job_id}/best": "best"}
_OF_SEARCHES = {
    "GET /{job_id}/samples": "samples",
    "GET /{job_id}/samples/{index}": "sample",
    "GET /{job_id}/samples/{index}/diagram.svg": "diagram --sample",
    "GET /{job_id}/arms": "arms",
    "GET /{job_id}/arms/table": "arms",
    "GET /{job_id}/arms/history": "history",
    "GET /{job_id}/rounds": "rounds",
    "GET /{job_id}/beliefs": "beliefs",
    "GET /{job_id}/series": "series",
    "GET /{job_id}/leader": "leader",
    "GET /{job_id}/leader/diagram.svg": "diagram",
    "GET /{job_id}/correlation": "correlation",
    "GET /{job_id}/report.html": "report",
}
_OF_TRAININGS = {
    "POST /{job_id}/hand-made": "hand-made",
    "GET /{job_id}/curves": "curves",
}
_KINDS = {
    "search": ("/v1/searches", {**_OF_JOBS, **_OF_TRAINED, **_OF_SEARCHES}),
    "training": ("/v1/trainings", {**_OF_JOBS, **_OF_TRAINED, **_OF_TRAININGS}),
    "registration": ("/v1/registrations", _OF_JOBS),
}
_SHELVES = ("spaces", "operations", "templates", "strategies", "methods")
_OTHERS = {
    "GET /v1/jobs": "jobs list",
    "GET /v1/jobs/counts": "jobs counts",
    "GET /v1/stream": "jobs stream",
    "GET /v1/trainings/{job_id}/comparison": "compare",
    "GET /v1/comparison": "compare",
    "GET /v1/architectures": "architectures",
    "GET /v1/architectures/{architecture_id}": "architecture show",
    "GET /v1/architectures/{architecture_id}/cost": "architecture cost",
    "GET /v1/architectures/{architecture_id}/diagram.svg": "architecture diagram",
    "GET /v1/architectures/{architecture_id}/download": "download --architecture",
    "GET /v1/candidates": "candidates",
    "GET /v1/candidates/{candidate_id}": "candidate show",
    "GET /v1/candidates/{candidate_id}/curves": "candidate curves",
    "GET /v1/candidates/{candidate_id}/download": "download",
    "GET /v1/specs/{kind}": "spec",
    "GET /v1/datasets": "dataset list",
    "POST /v1/datasets": "dataset register",
    "GET /v1/datasets/{name}": "dataset show",
    "DELETE /v1/datasets/{name}": "dataset delete",
    "GET /v1/datasets/{name}/sheet.png": "dataset show --sheet",
    "GET /v1/audit": "audit",
    "GET /v1/system": "system",
    "GET /v1/usage": "usage",
    "GET /readyz": "status",
}
FOR_OTHERS: Mapping[str, str] = {
    "GET /healthz": "whoever starts the process anew",
    "GET /metrics": "Prometheus",
    "GET /v1/session": "the dashboard",
    "POST /v1/session": "the dashboard",
    "DELETE /v1/session": "the dashboard",
    "GET /v1/keys": "administrators elsewhere; `nas keys` asks the database",
    "POST /v1/keys": "administrators elsewhere; `nas keys` asks the database",
    "DELETE /v1/keys/{prefix}": "administrators elsewhere; `nas keys` asks the database",
}


def _pairs() -> Iterator[tuple[str, str]]:
    for kind, (path, commands) in _KINDS.items():
        for route, command in commands.items():
            verb, _, rest = route.partition(" ")
            yield f"{verb} {path}{rest}", f"{kind} {command}"
    for shelf in _SHELVES:
        yield f"GET /v1/{shelf}", f"catalogue {shelf}"
        yield f"GET /v1/{shelf}/{{name}}", f"catalogue {shelf} NAME"
    yield from _OTHERS.items()


COMMANDS: Mapping[str, str] = dict(_pairs())  # route -> words after `nas`
