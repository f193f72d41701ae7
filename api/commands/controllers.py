"""`nas controller`: the controller as a process of its own, without a port; services beside it set NAS_CONTROLLER=false."""

import signal
import threading
from datetime import timedelta
from typing import Annotated

import typer

from api.commands.service import prepare_database
from api.console import say
from nas_service.errors import NotReadyError
from nas_service.settings import Settings

LOOK_S = 1.0  # between two looks whether the loop still runs


def controller(
    check: Annotated[bool, typer.Option("--check", help="Only say whether a controller steps; status 1 if none does.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Run the controller alone, without a port; with services that have NAS_CONTROLLER=false, on the same database."""
    from nas_service.logs import configure_logs  # noqa: PLC0415 - other commands start faster

    settings = Settings()
    if check:
        say(living_controller(settings))
    else:
        configure_logs()
        prepare_database(settings)
        run_controller(settings)


def living_controller(settings: Settings) -> str:
    """Return what the controller that stepped last says of itself, from its row in the database.

    Raises:
        NotReadyError: If none has stepped lately.
    """
    from nas_service.storage import controllers  # noqa: PLC0415 - as above
    from nas_service.storage.session import Database, database_now  # noqa: PLC0415 - as above

    prepare_database(settings)
    database = Database(settings.database)
    try:
        with database.read() as session:
            found = controllers.living(session, timedelta(seconds=settings.step_limit_s))
            now = database_now(session)
    finally:
        database.close()
    if not found:
        raise NotReadyError(f"no controller has made a good step within {settings.step_limit_s:g} s (NAS_STEP_LIMIT_S)")
    age_s = max(0.0, (now - found[0].stepped_at).total_seconds())
    waits = "" if found[0].trouble is None else f"; it starts no driver now: {found[0].trouble}"
    return f"a controller stepped {age_s:.0f} s ago{waits}"


def run_controller(settings: Settings) -> None:
    """Step until SIGTERM or SIGINT, then end the drivers that were started here, whose jobs go on with another controller.

    Raises:
        NotReadyError: If the loop ended by itself, so that a supervisor starts the process anew.
    """
    from nas_service.storage.session import Database  # noqa: PLC0415 - as above
    from workers.controller import Controller  # noqa: PLC0415 - as above
    from workers.launchers import create_launcher  # noqa: PLC0415 - as above

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    database = Database(settings.database)
    running = Controller(settings, database, create_launcher(settings))
    running.start()
    say(f"controller on {settings.launcher}, data in {settings.home.resolve()}")
    try:
        while not over.wait(LOOK_S):
            if not running.is_alive:
                raise NotReadyError("the controller's loop ended; the log says why")
    finally:
        running.stop()
        database.close()
