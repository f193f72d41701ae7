"""Jobs that can be asked: what is known of one, and what can be done with it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self, Unpack

from api.asynchronous.calls import AsyncBound
from api.asynchronous.results import AsyncArchitecture, AsyncCandidate
from api.drawings import draw_job
from api.event_views import AnyEvent, ProgressMessage
from api.following import StreamMessage
from api.job_views import LogView
from api.markup import Drawing
from api.patience import deadline_in
from api.progress import Show, look_on
from api.refusals import NotSucceededError
from api.rows import AsyncRows
from api.search_views import BeliefsView, LeaderView, RoundsView, SeriesView
from api.spec_fields import TrainingFields
from api.training_views import ComparisonView, CorrelationView, CurvesView
from api.views import ArmView, JobView, SampleView
from nas_service.job_events import EventKind
from nas_service.lifecycle import JobState


class AsyncJob(JobView, AsyncBound):
    """A job: its fields say how it stood when it was last asked about, its methods ask again or do something with it."""

    def _repr_html_(self) -> str:
        """Draw a card with a bar, for notebooks."""
        return draw_job(self)

    def _renew(self, seen: JobView) -> Self:
        self.__dict__.update(seen.__dict__)
        return self

    async def refresh(self) -> Self:
        """Look again how it stands."""
        return self._renew(await self._client._one(self.path, type(self)))

    async def wait(self, timeout: float | None = None, *, quiet: bool = False) -> Self:  # noqa: ASYNC109 - the loop's own ends the block, this one tells
        """Return it when it has succeeded; a service that is away for a moment is waited for.

        Meanwhile a terminal shows a bar, and a notebook its card.

        Args:
            timeout: Seconds; None: however long it takes.
            quiet: Whether nothing is shown.

        Raises:
            NotSucceededError: If it failed or was cancelled.
            StillAtWorkError: If it is not over by then; it goes on.
            ApiError: If it is deleted, or the service is away for longer than two minutes.
            UnansweredError: If the way to the service is.
        """
        with look_on(quiet=quiet) as show:
            return await self._wait(deadline_in(timeout), show)

    async def _wait(self, deadline: float | None, show: Show) -> Self:
        def see(job: JobView) -> None:
            self._renew(job)
            show(self)

        await self._client._until_over(self, see, deadline)
        if self.state != JobState.SUCCEEDED:
            raise NotSucceededError(self)
        return self

    def stream(self, after: int | None = None, *, log: bool = False) -> AsyncIterator[StreamMessage]:
        """Yield what happens to it while it happens, until it is over: events, `progress`, `end`, and `log` if that is asked for.

        Args:
            after: Event after which to begin; None: after `last_event`.
            log: Whether lines of the driver's log come too.

        Raises:
            ApiError: If it is deleted, or the service is away for longer than two minutes.
            UnansweredError: If the way to the service is.
        """
        return self._client.stream(self, after, log=log)

    async def watch(self) -> AsyncIterator[Self]:
        """Yield it again and again, whenever how it stands changed, until it is over; raises as `stream`."""
        async for message in self._client.stream(self):
            if message.kind == "progress":
                told = ProgressMessage.model_validate(message.data)
                for name in ("state", "progress", "waiting_for", "error"):
                    self.__dict__[name] = getattr(told, name)
                yield self
        yield await self.refresh()

    def events(self, *kinds: EventKind) -> AsyncRows[AnyEvent]:
        """Return what happened to it, oldest first; only events of some kinds, where they are given."""
        return self._client.events_of(self, *kinds)

    async def logs(self, *, attempt: int | None = None, after: int | None = None, tail: int | None = None) -> LogView:
        """Return what the driver of an attempt printed: from a byte on, or the last lines."""
        return await self._client.log(self, attempt=attempt, after=after, tail=tail)

    async def pause(self) -> Self:
        """Let it rest: its processes end within seconds, and everything is kept (a registration begins anew)."""
        return self._renew(await self._client._act(self, "pause"))

    async def resume(self) -> Self:
        """Put it back into the queue after a pause; it ends as if it had not rested."""
        return self._renew(await self._client._act(self, "resume"))

    async def cancel(self) -> Self:
        """Ask for its end; what it has so far is kept, but of a registration."""
        return self._renew(await self._client._act(self, "cancel"))

    async def delete(self) -> None:
        """Delete it, when it is over, with its results and their files."""
        await self._client._request("DELETE", self.path)

    async def change(
        self,
        *,
        name: str | None = None,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        priority: int | None = None,
    ) -> Self:
        """Rename it, note something, replace its tags or rank it; None leaves what is there."""
        return self._renew(await self._client.change(self, name=name, note=note, tags=tags, priority=priority))

    async def clone(self, changes: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> Self:
        """Submit it again; fields in `changes` replace those of its spec."""
        return await self._client.clone(self, changes, idempotency_key)


class AsyncSearch(AsyncJob):
    """A search."""

    async def wait(self, timeout: float | None = None, *, quiet: bool = False, trainings: bool = True) -> Self:  # noqa: ASYNC109 - as above
        """Return it when it has succeeded, and so have the trainings that it starts, as its spec has it; else as of any job.

        Args:
            timeout: Seconds for all of them together; None: however long it takes.
            quiet: Whether nothing is shown.
            trainings: Whether its trainings are waited for too.
        """
        deadline = deadline_in(timeout)
        with look_on(quiet=quiet) as show:
            await self._wait(deadline, show)
            for training in (await self.trainings()) if trainings else ():
                await training._wait(deadline, show)
        return self

    def trainings(self) -> "AsyncRows[AsyncTraining]":
        """Return the trainings that it started, newest first."""
        return self._client.trainings(parent=self.id)

    def samples(self) -> AsyncRows[SampleView]:
        """Return its samples in order."""
        return self._client.samples(self.id)

    def arms(self, **chosen: str | int) -> AsyncRows[ArmView]:
        """Return its arms; `at` or `round` says as of when, `cell` and `edge` which."""
        return self._client.arms(self.id, **chosen)

    async def rounds(self) -> RoundsView:
        """Return its rounds that are over, and the arms dropped in each."""
        return await self._client.rounds(self.id)

    async def series(self, **chosen: str | int) -> SeriesView:
        """Return its samples as columns; `fields`, `points` and `after` say which."""
        return await self._client.series(self.id, **chosen)

    async def beliefs(self, **chosen: int) -> BeliefsView:
        """Return how far its models believe what they know beside arms; `at` or `round` says as of when."""
        return await self._client.beliefs(self.id, **chosen)

    async def leader(self, **chosen: int) -> LeaderView:
        """Return the genotype in front; `at` says after how many samples."""
        return await self._client.leader(self.id, **chosen)

    async def diagram(self, theme: str = "auto", **chosen: int) -> Drawing:
        """Return the cells of the genotype in front as a picture; `at` says after how many samples."""
        return await self._client.leader_diagram(self.id, theme, **chosen)

    def architectures(self, **filters: str) -> AsyncRows[AsyncArchitecture]:
        """Return what it found, by rank; with `controls="true"` what it drew to compare with."""
        return self._client.architectures(search=self.id, **filters)

    def candidates(self) -> AsyncRows[AsyncCandidate]:
        """Return the trained networks of what it found, newest first."""
        return self._client.candidates(search=self.id)

    async def best(self) -> AsyncCandidate:
        """Return the best trained candidate of what it found, judged on validation images.

        Raises:
            ApiError: If none was trained.
        """
        return await self._client.candidate((await self._client.best_of_search(self.id)).candidate.id)

    async def correlation(self) -> CorrelationView:
        """Return its scores against the accuracies that its architectures reached when they were trained."""
        return await self._client.correlation(self.id)

    async def report(self) -> bytes:
        """Return it on one page, as HTML."""
        return await self._client.report(self.id)

    async def train(self, top: int = 1, **fields: Unpack[TrainingFields]) -> "AsyncTraining":
        """Submit a training of the best that it found: `train(3, methods=["bnn"])`; fields as of `client.train`."""
        found = (await self._client.architectures(search=self.id))[:top]
        whole: TrainingFields = {"architectures": found, "space": self.spec["space"], "dataset": self.spec["dataset"]}
        whole.update(fields)
        return await self._client.train(**whole)


class AsyncTraining(AsyncJob):
    """A training."""

    def candidates(self) -> AsyncRows[AsyncCandidate]:
        """Return its candidates, newest first."""
        return self._client.candidates(training=self.id)

    async def curves(self, fields: Sequence[str] = ("validation_accuracy", "train_loss"), points: int = 500) -> CurvesView:
        """Return the epochs of all candidates, at most `points` each."""
        return await self._client.training_curves(self.id, fields, points)

    async def comparison(self, *others: "str | AsyncTraining") -> ComparisonView:
        """Return its methods compared, with those of other trainings on the same data if they are given."""
        return await self._client.comparison(self.id, *(other if isinstance(other, str) else other.id for other in others))

    async def best(self) -> AsyncCandidate:
        """Return its best candidate, judged on validation images.

        Raises:
            ApiError: If none was trained.
        """
        return await self._client.candidate((await self._client.best_of_training(self.id)).candidate.id)


class AsyncRegistration(AsyncJob):
    """A registration of a dataset."""
