"""The tidier: deletes from the store what nobody needs any more."""

import time

from nas_service.logs import Outage
from nas_service.settings import Settings
from nas_service.storage import audit, file_holds, litter
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.session import Database

AT_ONCE = 50  # keys in one round
SWEEP_S = 60.0  # between two looks for files that a writer left half-written


class Tidier:
    """Picks up litter a round at a time; one key that cannot be deleted keeps no other waiting."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Open the store."""
        self._age_s = settings.litter_s
        self._audit_days = settings.audit_days
        self._database = database
        self._store = ArtifactStore(settings.artifacts)
        self._sweep_at = 0.0
        self._outage = Outage("store.not_tidied")

    def tidy(self) -> None:
        """Delete the litter that is old enough, unless a backup is under way, and now and then what else is left.

        That is what writers left half-written, and audit events of long ago.

        Raises:
            DatabaseAwayError: If the database is, for now.
        """
        with self._database.read() as session:
            keys = litter.list_litter(session, AT_ONCE, self._age_s)
            if file_holds.is_held(session):
                return
        stuck = {key: trouble for key in keys if (trouble := self._delete(key)) is not None}
        if keys:
            with self._database.write() as session:
                litter.picked_up(session, [key for key in keys if key not in stuck])
                litter.put_off(session, stuck)
        swept = self._sweep()
        trouble = next(iter(stuck.values()), swept)
        if trouble is not None:
            self._outage.seen(trouble)
        elif keys:
            self._outage.over()

    def _delete(self, key: str) -> str | None:
        """Return what was in the way, if something was."""
        try:
            self._store.delete(key)
        except OSError as error:
            return f"{key}: {type(error).__name__}: {error}"
        return None

    def _sweep(self) -> str | None:
        """Return as `_delete`."""
        if time.monotonic() < self._sweep_at:
            return None
        self._sweep_at = time.monotonic() + SWEEP_S
        self._forget_deeds()
        try:
            self._store.remove_abandoned()
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        return None

    def _forget_deeds(self) -> None:
        with self._database.read() as session:
            is_any = audit.has_old(session, self._audit_days)
        if is_any:
            with self._database.write() as session:
                audit.forget_old(session, self._audit_days)
