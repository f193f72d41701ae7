"""StreamHub: the streams of a process. One task reads the database for all of them, and only while somebody watches."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass

import structlog

from api.streams.looks import ALL, Logs, Look, Plan, look, read_page
from api.streams.messages import PING, Message, end_message, log_message
from api.streams.topics import Topic
from nas_service.access import is_seen
from nas_service.errors import BusyError, NasError, NotFoundError, UnavailableError
from nas_service.logs import Outage
from nas_service.storage.session import Database

log = structlog.get_logger()

EVERY_S = 0.25  # between two looks at the database
PING_S = 15.0  # of silence; proxies close what says nothing for longer
THROTTLE_S = 1.0  # between two messages of a job's progress in the stream of all jobs
REPLAYS = 4  # pages that are read at once for viewers who are behind: the others wait, and the requests keep their threads


@dataclass(frozen=True)
class Watch:
    """What a viewer asks for.

    Attributes:
        job_id: The job, or `ALL`.
        kind: Of the job.
        after: The event after which to begin; None: now.
        with_log: Whether lines of the log are told.
        sees: The project that the viewer sees; None: all.
    """

    job_id: str
    kind: str = ""
    after: int | None = None
    with_log: bool = False
    sees: str | None = None


class StreamHub:
    """Fans out what one reader finds. Everything here but the reading itself happens on the event loop."""

    def __init__(self, database: Database, most: int, logs: Logs) -> None:
        """Know where to look; `start` begins.

        Args:
            database: To be read.
            most: Streams at once.
            logs: Where the logs of drivers are.
        """
        self.most = most
        self.looks = 0  # at the database, so far
        self._database = database
        self._logs = logs
        self._outage = Outage("streams.not_read")
        self._viewers = 0
        self.start()

    def start(self) -> None:
        """Begin without viewers, on whatever event loop runs now; also after `stop`, where an application is begun again."""
        self._topics: dict[str, Topic] = {}
        self._held: frozenset[str] = frozenset()
        self._told_at: dict[str, float] = {}  # progress of a job in the stream of all jobs
        self._reader: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._is_closing = False
        self._reading = ThreadPoolExecutor(1, "stream-reader")
        self._replaying = ThreadPoolExecutor(REPLAYS, "stream-replay")

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return self._viewers

    def close(self) -> None:
        """End every stream; nobody is told that its job is over, so clients come back."""
        self._is_closing = True
        self._woken.set()
        for topic in self._topics.values():
            topic.ring()

    async def stop(self) -> None:
        """Close, and wait until nobody reads the database any more."""
        self.close()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        await asyncio.to_thread(self._reading.shutdown)
        await asyncio.to_thread(self._replaying.shutdown)

    async def open(self, watch: Watch) -> "Viewer":
        """Let somebody watch.

        Raises:
            BusyError: If there are too many already, or the service ends.
            NotFoundError: If there is no such job.
            UnavailableError: If the database is away.
        """
        if self._is_closing:
            raise BusyError("the service is ending: ask again in a moment")
        if self._viewers >= self.most:
            raise BusyError(f"{self.most} streams are open (NAS_MAX_STREAMS): close one, or ask for /events now and then")
        viewer = Viewer(self, watch, self._topics.setdefault(watch.job_id, Topic()))
        self._viewers += 1
        viewer.topic.bells.add(viewer.bell)
        viewer.topic.log_viewers += watch.with_log
        try:
            self._read_soon()
            await asyncio.shield(viewer.topic.ready)
            viewer.begin()
        except BaseException:
            self.leave(viewer)
            raise
        return viewer

    def leave(self, viewer: "Viewer") -> None:
        """Take note that somebody watches no more."""
        topic, job_id = viewer.topic, viewer.watch.job_id
        if viewer.bell not in topic.bells:
            return
        self._viewers -= 1
        topic.bells.remove(viewer.bell)
        topic.log_viewers -= viewer.watch.with_log
        if not topic.log_viewers:
            topic.log_place = None
        if not topic.bells and self._topics.get(job_id) is topic:
            self._forget(job_id)
            if not self._topics:
                self._woken.set()

    def _forget(self, job_id: str) -> None:
        del self._topics[job_id]
        if job_id == ALL:
            self._held = frozenset()
            self._told_at.clear()

    async def replay(self, job_id: str, place: int) -> list[Message]:
        """Return events after one, from the database."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._replaying, read_page, self._database, job_id, place)

    @property
    def is_closing(self) -> bool:
        """Whether every stream should end."""
        return self._is_closing

    def _read_soon(self) -> None:
        if self._reader is None:
            # In a context of its own: it is the task of all viewers, not of the request that happens to be the first.
            self._reader = asyncio.create_task(self._read(), name="stream-reader", context=Context())
        elif any(not topic.ready.done() for topic in self._topics.values()):
            self._woken.set()

    async def _read(self) -> None:
        """Look again and again, as long as somebody watches."""
        loop = asyncio.get_running_loop()
        try:
            while self._topics and not self._is_closing:
                self._woken.clear()
                due = loop.time() + EVERY_S
                topics = dict(self._topics)
                is_cut = False
                try:
                    found = await loop.run_in_executor(self._reading, look, self._database, self._plan(topics), self._logs)
                    self.looks += 1
                    is_cut = found.is_cut
                    self._apply(topics, found, loop.time())
                    self._outage.over()
                except Exception as error:  # noqa: BLE001 - whoever watches waits; the log tells it
                    self._fail(topics, error)
                if not is_cut:
                    await self._pause(due - loop.time())
        finally:
            self._reader = None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._woken.wait()
        except TimeoutError:
            return

    def _fail(self, topics: dict[str, Topic], error: Exception) -> None:
        """End the streams: clients come back with the last event that they have, and are told why they cannot be served."""
        self._outage.seen(f"{type(error).__name__}: {error}")
        told = error if isinstance(error, NasError) else UnavailableError("events cannot be read for now")
        for job_id, topic in topics.items():
            if not topic.ready.done():
                topic.ready.set_exception(told)
                topic.ready.exception()  # nobody may be left to hear it
            topic.is_broken = True
            topic.ring()
            if self._topics.get(job_id) is topic:
                self._forget(job_id)

    def _plan(self, topics: dict[str, Topic]) -> Plan:
        everything = topics.get(ALL)
        return Plan(
            places={job_id: topic.head for job_id, topic in topics.items() if job_id != ALL},
            moves=None if everything is None else everything.head,
            watches_all=everything is not None,
            held=self._held if everything is not None else frozenset(),
            logs={job_id: topic.log_place for job_id, topic in topics.items() if topic.log_viewers},
        )

    def _apply(self, topics: dict[str, Topic], found: Look, now: float) -> None:
        for job_id, topic in topics.items():
            before = topic.version, topic.head, topic.logged, topic.is_over
            if job_id == ALL:
                self._apply_all(topic, found, now)
            else:
                _apply_job(topic, job_id, found)
            if not topic.ready.done():
                topic.ready.set_result(None)
            if before != (topic.version, topic.head, topic.logged, topic.is_over):
                topic.ring()

    def _apply_all(self, topic: Topic, found: Look, now: float) -> None:
        if topic.head is None:
            topic.begin(found.moves_head or 0)
        topic.add(found.moves)
        for job_id, seen in found.held.items():
            is_last = job_id not in found.now_held
            is_due = is_last or now - self._told_at.get(job_id, -THROTTLE_S) >= THROTTLE_S
            if is_due and topic.say(job_id, seen.progress, seen.project):
                self._told_at[job_id] = now
        for job_id in [key for key in topic.news if key not in found.held and now - self._told_at.get(key, 0) > PING_S]:
            del topic.news[job_id]
            self._told_at.pop(job_id, None)
        self._held = found.now_held


def _apply_job(topic: Topic, job_id: str, found: Look) -> None:
    seen = found.jobs.get(job_id)
    if topic.head is None:
        topic.begin(found.heads.get(job_id, 0))
    topic.add(found.messages.get(job_id, []))
    if seen is not None:
        topic.kind, topic.project = seen.kind, seen.project
        topic.say(job_id, seen.progress)
    if job_id in found.logs:
        topic.log_place, wire = found.logs[job_id]
        if wire is not None:
            topic.log(wire)
    if seen is None or not found.is_cut:
        topic.move(None if seen is None else seen.state)


class Viewer:
    """One stream: its place, and nothing else."""

    def __init__(self, hub: StreamHub, watch: Watch, topic: Topic) -> None:
        """Begin nowhere."""
        self.watch = watch
        self.topic = topic
        self.bell = asyncio.Event()
        self._hub = hub
        self._place = 0
        self._version = 0
        self._logged = 0
        self._is_dismissed = False
        self._first: list[bytes] = []  # of a log that others watch: where the lines begin that this viewer gets

    def begin(self) -> None:
        """Begin where the watch says, or now.

        Raises:
            NotFoundError: If there is no such job.
        """
        is_there = self.topic.kind == self.watch.kind and is_seen(self.watch.sees, self.topic.project)
        if self.watch.job_id != ALL and not is_there:
            raise NotFoundError(self.watch.kind, self.watch.job_id)
        self._place = self.topic.head or 0 if self.watch.after is None else self.watch.after
        self._logged = self.topic.logged
        place = self.topic.log_place
        if self.watch.with_log and place is not None:
            self._first = [log_message(place.message())]

    def leave(self) -> None:
        """Watch no more."""
        self._hub.leave(self)

    def dismiss(self) -> None:
        """End the stream, though its job goes on: whoever watches may no longer."""
        self._is_dismissed = True
        self.bell.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield what is to be sent, until the job is over and everything was told, the database is away, or the service ends."""
        topic, hub = self.topic, self._hub
        while not (hub.is_closing or topic.is_broken or self._is_dismissed):
            self.bell.clear()
            told = b"".join(self._now())
            try:
                events = topic.after(self._place)
                if events is None:
                    events = await hub.replay(self.watch.job_id, self._place)
            except UnavailableError:
                return  # the client comes back, and asks for what is after the last event that it has
            if events:
                self._place = events[-1].id
                told += b"".join(message.wire for message in events if is_seen(self.watch.sees, message.project))
            elif self._place < topic.floor:
                self._place = topic.floor  # what was between is deleted
            if told:
                yield told
            if events or self._place < topic.floor:
                continue
            if topic.is_over and self._place >= (topic.head or 0) and self._version == topic.version:
                yield end_message(topic.state)
                return
            if not await self._is_rung():
                yield PING

    def _now(self) -> list[bytes]:
        topic = self.topic
        said, self._first = [*topic.said_after(self._version, self.watch.sees), *self._first], []
        self._version = topic.version
        if self.watch.with_log and self._logged != topic.logged:
            said += [wire for number, wire in topic.logs if number > self._logged]
            self._logged = topic.logged
        return said

    async def _is_rung(self) -> bool:
        """Wait for something new; return whether there was something before a sign of life is due."""
        try:
            async with asyncio.timeout(PING_S):
                await self.bell.wait()
        except TimeoutError:
            return False
        return True
