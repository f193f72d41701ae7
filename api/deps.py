"""What routes need: the state of the running service."""

from dataclasses import dataclass, replace
from typing import Annotated, cast

from fastapi import Depends, Request

from api.gate import Gate
from api.readiness import ReadinessWatch
from api.replays import Replays
from api.stream_places import StreamPlaces
from api.streams.hub import StreamHub
from nas_service.access import NOBODYS, Caller, Whose
from nas_service.checking.datasets import DatasetSource, Registered
from nas_service.checking.specs import Place
from nas_service.data.facts import DatasetFacts
from nas_service.earlier_searches import find_earlier
from nas_service.search.earlier import PriorSearch
from nas_service.settings import Settings
from nas_service.specs import Component, FromSearch
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.datasets import list_datasets
from nas_service.storage.quotas import Quota
from nas_service.storage.series import KnownColumns
from nas_service.storage.session import Database
from workers.controller import Controller
from workers.launcher import Launcher


@dataclass(frozen=True)
class Service:
    """The parts of a running service, as whoever calls may see it.

    Attributes:
        database: As the caller sees it; the other parts have it whole.
        caller: Who showed a key; None where nobody is asked for one.
    """

    settings: Settings
    database: Database
    store: ArtifactStore
    launcher: Launcher
    controller: Controller | None
    readiness: ReadinessWatch
    streams: StreamHub
    replays: Replays
    columns: KnownColumns
    gate: Gate | None
    stream_places: StreamPlaces
    caller: Caller | None = None

    @property
    def whose(self) -> Whose:
        """Whose what is made now is."""
        return NOBODYS if self.caller is None else self.caller.whose

    @property
    def quota(self) -> Quota:
        """What the jobs of one owner may be together."""
        return Quota(self.settings.key_jobs, self.settings.key_samples)

    def wake_controller(self) -> None:
        """Let the controller look at once, if it runs in this process."""
        if self.controller is not None:
            self.controller.wake()

    def page_limit(self, asked: int) -> int:
        """Return the number of entries in a page."""
        return min(asked, self.settings.page_limit)

    def place(self) -> Place:
        """Return where a job would run now, with the datasets that users registered."""
        with self.database.read() as session:
            rows = list_datasets(session)
        registered = {
            row.name: Registered(Component(name=row.kind, settings=row.settings), DatasetFacts.from_dict(row.facts))
            for row in rows
        }
        return Place(self.launcher.capacity(), DatasetSource(self.settings.data, registered), self._earlier)

    def _earlier(self, given: FromSearch) -> PriorSearch | None:
        with self.database.read() as session:
            return find_earlier(session, given)


async def get_service(request: Request) -> Service:
    """Return the service as the caller may see it; in no thread, so that health waits for none."""
    service, caller = cast("Service", request.app.state.service), cast("Caller | None", getattr(request.state, "caller", None))
    if service.gate is None:
        return service
    sees = _NOTHING if caller is None else caller.sees  # health and the login need no key
    return replace(service, database=service.database.seen_by(sees), caller=caller)


_NOTHING = ""  # a project that no key has

ServiceDep = Annotated[Service, Depends(get_service)]
