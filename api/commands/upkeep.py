"""`nas gc`, `nas backup`, `nas restore`: looking after what a service keeps. Run them where its database and its store are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from api.commands.options import Json
from api.commands.service import prepare_database
from api.console import print_json, print_table, tell
from nas_service.settings import Settings
from nas_service.storage.session import Database

_HOUR_S = 3600.0


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    prepare_database(settings)
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def collect_garbage(
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,  # noqa: FBT002 - typer's way
    hours: Annotated[
        float, typer.Option(min=0, help="Files written within so many hours stay; never less than NAS_LITTER_S.")
    ] = 1.0,
    caches: Annotated[bool, typer.Option("--caches", help="Full-precision networks go too; trainings make them again.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Remove what nobody needs from the artifact store, and logs of deleted jobs; say which rows have lost their file."""
    from nas_service.storage.artifacts import ArtifactStore  # noqa: PLC0415 - other commands start faster
    from workers.garbage import GarbageCollector  # noqa: PLC0415 - as above

    settings = Settings()
    with _database(settings) as database:
        store = ArtifactStore(settings.artifacts)
        collector = GarbageCollector(settings, database, store, age_s=hours * _HOUR_S, with_caches=caches)
        found = collector.look() if is_dry else collector.collect()
    if as_json:
        print_json(asdict(found))
    else:
        goes = "would go" if is_dry else "gone"
        rows = [
            (pile.kind, pile.files, _size(pile.size_bytes), goes if pile.goes else f"stays: {pile.why}") for pile in found.piles
        ]
        print_table("files", ["kind", "files", "size", "what happens"], rows)
    for key in found.lost:
        tell(f"lost: a row describes {key}, and the store has no such file: restore it from a backup, or train again")
    if found.lost_count > len(found.lost):
        tell(f"... and {found.lost_count - len(found.lost)} more")
    for key in found.stuck:
        tell(f"{key} could not be deleted now: the controller tries again")
