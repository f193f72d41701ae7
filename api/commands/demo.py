"""`nas demo`: a recorded finished search and its training, so that the pages show something before there is any data."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from api.commands.options import Json
from api.commands.service import prepare_database
from api.console import print_json, program, say, serving
from nas_service.settings import Settings

RECORDING = Path(__file__).resolve().parents[1] / "demo.zip"


def demo(
    remove: Annotated[bool, typer.Option("--remove", help="Take the recording away again.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Put a recorded search and its training into this home's database, to look at and to delete.

    These are results of a real run. The service may run or not; an embedded database is brought up to date first. Playing it
    twice changes nothing.
    """
    from nas_service.storage.artifacts import ArtifactStore  # noqa: PLC0415 - other commands start faster
    from nas_service.storage.recording import play_recording, remove_recording  # noqa: PLC0415 - as above
    from nas_service.storage.session import Database  # noqa: PLC0415 - as above

    settings = Settings()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_database(settings)
    database = Database(settings.database)
    was_there, search_id = False, ""
    with closing(database), database.write() as session:
        if remove:
            was_there = remove_recording(session, RECORDING)
        else:
            search_id = play_recording(session, ArtifactStore(settings.artifacts), RECORDING)
    page = f"{settings.url}/searches/{search_id}"
    if as_json:
        print_json({"removed": was_there} if remove else {"search": search_id, "page": page})
    elif remove:
        say("the recording is removed" if was_there else "there is no recording here")
    else:
        say(f"recorded search: {search_id}, in {settings.home.resolve()}")
        served = serving(settings.home)
        say(f"`{served}` shows it: {page}, or the same path at the address that serve prints")
        say(f"`{program()} demo --remove` takes it away again")
