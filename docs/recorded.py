"""Writes the recording that `nas demo` plays: `python -m docs.recorded SEARCH_ID` with NAS_HOME as the home that it ran in."""

import sys

from api.commands.demo import RECORDING
from nas_service.settings import Settings
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.recording import write_recording
from nas_service.storage.session import Database

if __name__ == "__main__":
    settings = Settings()
    database = Database(settings.database)
    with database.read() as session:
        write_recording(session, ArtifactStore(settings.artifacts), sys.argv[1], RECORDING)
    database.close()
    print(f"{RECORDING}: {RECORDING.stat().st_size} bytes")  # noqa: T201 - a program for people
