"""Restoring a backup into a place that is empty, and what a service has to know before it goes on there."""

from datetime import timedelta
from pathlib import Path

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import delete
from sqlalchemy.orm import Session

from nas_service.errors import NotReadyError
from nas_service.storage import attempts, jobs, usage
from nas_service.storage.artifacts import PIECE_BYTES, SCRATCH, ArtifactStore
from nas_service.storage.attempts import Hold
from nas_service.storage.backups import DATABASE, FILES, Manifest, check_backup
from nas_service.storage.database_copies import SQLITE, SQLITE_FILE, kind_of, restore_rows, whats_there
from nas_service.storage.engines import database_file, parse_url
from nas_service.storage.models import BrowserSession, ControllerRow, FileHold
from nas_service.storage.schema import alembic_config, upgrade
from nas_service.storage.session import Database
from nas_service.storage.whole_files import write_whole

_REASON = "the service was restored from a backup"


def restore_backup(folder: Path, url: str, store: ArtifactStore) -> Manifest:
    """Read a backup into an empty database and an empty store; older schemas are brought up to date.

    The files come first: where the database is, everything is. What was broken off can be begun again.

    Raises:
        InvalidFieldError: If the folder holds no finished backup.
        NotReadyError: If the backup is damaged, or the place is not one for it: why.
    """
    manifest = check_backup(folder)
    _require_place(manifest, url, store)
    for file in manifest.files:
        home, _, key = file.path.partition("/")
        if home == FILES:
            store.put_file(key, folder / file.path)
    if manifest.database == SQLITE:
        _place_file(folder / DATABASE / SQLITE_FILE, Path(str(database_file(parse_url(url)))))
    else:
        restore_rows(url, folder / DATABASE, manifest.revision, manifest.tables)
    upgrade(url)
    database = Database(url)
    try:
        with database.write() as session:
            _settle(session)
    finally:
        database.close()
    return manifest


def _require_place(manifest: Manifest, url: str, store: ArtifactStore) -> None:
    try:
        ScriptDirectory.from_config(alembic_config(url)).get_revision(manifest.revision)
    except CommandError as error:
        raise NotReadyError(
            f"the backup was made by nas-service {manifest.version}, which is newer (its database is at revision "
            f"{manifest.revision}): restore it with that version"
        ) from error
    if kind_of(url) != manifest.database:
        raise NotReadyError(
            f"the backup is of a database on {manifest.database}, and NAS_DATABASE_URL names one on {kind_of(url)}: "
            "name an empty one of the same kind"
        )
    there = whats_there(url)
    if there is not None:
        raise NotReadyError(f"{there}, and a backup is restored into an empty place alone: set NAS_HOME or NAS_DATABASE_URL")
    own = {file.path.removeprefix(f"{FILES}/") for file in manifest.files}
    others = [file.key for file in store.files() if file.key not in own and not file.key.startswith(f"{SCRATCH}/")]
    if others:
        raise NotReadyError(
            f"the artifact store has {len(others)} files that are not of this backup ({others[0]} ...): empty it, or set "
            "NAS_HOME or NAS_ARTIFACT_URL to another place"
        )


def _place_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.parent / ".restoring"
    with source.open("rb") as file:
        write_whole(target, iter(lambda: file.read(PIECE_BYTES), b""), scratch)
    scratch.rmdir()


def _settle(session: Session) -> None:
    """Forget who was at work when the database was copied: their jobs go on with the next controller, without blame."""
    for table in (FileHold, ControllerRow, BrowserSession):
        session.execute(delete(table))
    for job in attempts.held(session):
        usage.forget(session, job.id)
        if not attempts.requeue(session, Hold(job.id, job.attempt, timedelta()), _REASON):
            jobs.set_values(session, job.id, lease_expires_at=None)  # it is to end: the controller sees to that at once
