"""Which launcher the settings name."""

from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.child_processes import ChildProcessLauncher
from workers.launcher import Launcher
from workers.ray_jobs import RayJobLauncher


def create_launcher(settings: Settings) -> Launcher:
    """Return the launcher that the settings name.

    Raises:
        NotReadyError: If there is none of that name.
    """
    if settings.launcher == "child-process":
        return ChildProcessLauncher(settings)
    if settings.launcher == "ray-job":
        return RayJobLauncher(settings)
    raise NotReadyError(f"NAS_LAUNCHER is {settings.launcher!r}; allowed: child-process, ray-job")
