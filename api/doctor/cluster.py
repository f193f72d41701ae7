"""The doctor on where drivers run: this machine, or a Ray cluster behind its job server."""

from collections.abc import Iterator
from importlib.metadata import version

from api.doctor.findings import Finding, broken, ok, warning
from nas_service.connections import bare_address
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.job_server import JobServer
from workers.ray_jobs import NO_WORKER, RayJobLauncher

_KINDS = ("child-process", "ray-job")


def see_cluster(settings: Settings) -> Iterator[Finding]:
    """Look at the launcher, and at the job server where it is Ray's."""
    if settings.launcher not in _KINDS:
        yield broken("launcher", f"NAS_LAUNCHER is {settings.launcher!r}", f"allowed: {', '.join(_KINDS)}")
    elif settings.launcher == "child-process":
        yield ok("launcher", "drivers are processes of this machine")
    else:
        yield from _see_ray(settings)


def _see_ray(settings: Settings) -> Iterator[Finding]:
    url = settings.ray_jobs_url.rstrip("/")
    try:
        token = settings.ray_token
    except NotReadyError as error:
        said, _, advice = str(error).rpartition("; ")
        yield broken("ray", said or str(error), advice or "put the cluster's token into it")
        return
    try:
        launcher = RayJobLauncher(settings)
        server = JobServer(url, token)
        server.probe()
    except NotReadyError as error:
        yield _away(url, str(error))
        return
    yield ok("ray", f"its job server answers at {bare_address(url)}")
    try:
        yield from _see_token(url)
        yield _version(server)
        given = launcher.capacity()
        yield ok("ray", f"living worker nodes: {given.cpus:g} CPUs, {given.gpus:g} GPUs")
    except NotReadyError as error:
        advice = "start one: `ray start --address=HEAD:6379` on a machine with processors" if str(error) == NO_WORKER else ""
        yield broken("ray", str(error), advice or "see whether the head's processes are all well")


def _away(url: str, said: str) -> Finding:
    url = bare_address(url)
    if "RAY_AUTH_TOKEN" in said:
        return broken(
            "ray",
            f"the job server at {url} refuses the token",
            "set RAY_AUTH_TOKEN to the cluster's own, here too",
        )
    if said.startswith("NAS_"):
        return broken("ray", said, "mend NAS_RAY_JOBS_URL")
    return broken(
        "ray", f"{said} ({url})", "start the head (`ray start --head`), or mend NAS_RAY_JOBS_URL and what is on the way"
    )


def _see_token(url: str) -> Iterator[Finding]:
    """Look whether the job server answers who shows nothing."""
    try:
        JobServer(url, "").probe()
    except NotReadyError:
        yield ok("ray", "it asks for a token, and ours is right")
    else:
        said = "its job server asks nobody for a token: whoever reaches it may run what they like"
        yield warning("ray", said, "start the cluster with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN set")


def _version(server: JobServer) -> Finding:
    there, here = server.version(), version("ray")
    if there != here:
        said = f"the cluster has Ray {there}, and Ray {here} is installed here"
        return warning("ray", said, "give both the same version: drivers are made for this one")
    return ok("ray", f"the cluster has Ray {there}, as is installed here")
