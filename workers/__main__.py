"""`python -m workers JOB ATTEMPT`: the driver process. Launchers start it; people use `nas`."""

import sys

from nas_service.logs import configure_logs
from nas_service.settings import Settings
from workers.driver import drive


def main() -> int:
    """Read the two arguments and drive."""
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():  # noqa: PLR2004 - program, job, attempt
        print("usage: python -m workers JOB ATTEMPT", file=sys.stderr)  # noqa: T201 - a command line's message
        return 2
    settings, job_id, attempt = Settings(), sys.argv[1], int(sys.argv[2])
    configure_logs(settings.log_format, job_id=job_id, attempt=attempt)
    return drive(settings, job_id, attempt)


if __name__ == "__main__":
    sys.exit(main())
