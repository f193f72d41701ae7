"""`nas gc`, `nas backup`, `nas restore`: looking after what a service keeps. Run them where its database and its store are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.options import Json
from api.console import print_json, print_table, say, tell
from nas_service.settings import Settings
from nas_service.storage.session import Database

if TYPE_CHECKING:
    from nas_service.storage.backups import Manifest

_HOUR_S = 3600.0


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    """Give a database that is there and up to date; an empty one that was made here would know nothing of the store's files."""
    _require_database(settings)
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()


def _require_database(settings: Settings) -> None:
    from nas_service.storage.engines import STARTS  # noqa: PLC0415 - other commands start faster
    from nas_service.storage.schema import require_present  # noqa: PLC0415 - as above

    require_present(settings.database, STARTS)


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
    if found.lost_count:
        raise typer.Exit(1)  # as `nas backup` does, for whoever runs it at night


def back_up(
    folder: Annotated[Path, typer.Argument(help="Folder to write, new or empty; with --check the one to read.")],
    is_check: Annotated[bool, typer.Option("--check", help="Only read a backup, and say whether it is whole.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write database and artifact store to a folder while the service goes on, and read it again."""
    from nas_service.storage.artifacts import ArtifactStore  # noqa: PLC0415 - other commands start faster
    from nas_service.storage.backups import check_backup, write_backup  # noqa: PLC0415 - as above

    if is_check:
        manifest = check_backup(folder)
    else:
        settings = Settings()
        _require_database(settings)
        manifest = write_backup(settings.database, ArtifactStore(settings.artifacts), folder)
    _tell(manifest, f"{folder}: whole, as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC", as_json=as_json)


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `nas backup` wrote.")],
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Read a backup into an empty database and an empty artifact store, for a service that is not running yet."""
    from nas_service.storage.artifacts import ArtifactStore  # noqa: PLC0415 - as above
    from nas_service.storage.restoring import restore_backup  # noqa: PLC0415 - as above

    settings = Settings()
    manifest = restore_backup(folder, settings.database, ArtifactStore(settings.artifacts))
    _tell(manifest, f"restored what was there at {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC: `nas serve` goes on", as_json=as_json)


def _tell(manifest: "Manifest", said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(manifest.model_dump(mode="json", exclude={"files", "tables"}) | {"size_bytes": manifest.size_bytes})
    else:
        rows = sum(table.rows for table in manifest.tables.values())
        say(f"{said}; {rows:,} rows, {len(manifest.files):,} files, {_size(manifest.size_bytes)}")
    for key, why in manifest.lost.items():
        tell(f"lost before the backup: {key}: {why}")
    if manifest.lost:
        raise typer.Exit(1)  # for whoever runs it at night
