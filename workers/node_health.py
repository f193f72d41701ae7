"""`python -m workers.node_health`: whether this machine is a living node of the cluster, as the cluster's head sees it.

For health checks of containers: exit status 0, or 1 with a sentence. A node whose processes run and whom the head does not
know any more is not healthy, and neither is a head whose job server says nothing.
"""

import socket
import sys

from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.job_server import JobServer


def node_trouble(server: JobServer, host: str) -> str | None:
    """Return why a machine is no living node; None: it is one.

    Args:
        server: The job server of the head.
        host: What the machine calls itself.
    """
    try:
        server.probe()
        nodes = server.nodes()
    except NotReadyError as error:
        return str(error)
    alive = sorted(str(node.get("nodeManagerHostname")) for node in nodes if node.get("state") == "ALIVE")
    return None if host in alive else f"{host} is no living node of the cluster; living: {', '.join(alive) or 'none'}"


def main() -> int:
    """Look once, and return the exit status."""
    try:
        settings = Settings()
        trouble = node_trouble(JobServer(settings.ray_jobs_url, settings.ray_token), socket.gethostname())
    except NotReadyError as error:
        trouble = str(error)
    print(trouble or "alive", file=sys.stderr if trouble else sys.stdout)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
