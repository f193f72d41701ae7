"""Fair shares, as rules that hold whatever happens: decisions are carried out by a model of owners, jobs and time."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as some

from nas_service.fair_share import Placed, Rules, Standing, Waiting, next_leave, next_start

TURN_S = 10.0


@dataclass
class _Job:
    id: str
    owner: str
    left_s: int
    priority: int = 0
    begun_s: float | None = None
    is_leaving: bool = False


@dataclass
class _Queue:
    """Owners, jobs and a clock: what controllers, drivers and the database are to the decisions."""

    rules: Rules
    jobs: list[_Job] = field(default_factory=list)
    used_s: dict[str, float] = field(default_factory=dict)
    now_s: int = 0
    leaves: list[tuple[int, str]] = field(default_factory=list)  # when, and who made room

    def add(self, owner: str, length_s: int, priority: int = 0) -> _Job:
        job = _Job(f"{len(self.used_s):03}-{len(self.jobs) + 1000 * self.now_s:09}", owner, length_s, priority)
        self.used_s.setdefault(owner, 0.0)
        self.jobs.append(job)
        return job

    def standings(self) -> list[Standing]:
        made = []
        for owner in sorted(self.used_s):
            own = [job for job in self.jobs if job.owner == owner and job.left_s > 0]
            placed = tuple(
                Placed(job.id, job.priority, self.now_s - job.begun_s, job.is_leaving, not job.is_leaving)
                for job in own
                if job.begun_s is not None
            )
            waiting = sorted((job for job in own if job.begun_s is None), key=lambda job: (-job.priority, job.id))
            head = Waiting(waiting[0].id, waiting[0].priority) if waiting else None
            made.append(Standing(owner, self.used_s[owner], placed, head))
        return made

    def step(self) -> None:
        """Let a second go by: drivers that were asked let go, the controller starts and asks, everybody at work goes on."""
        self.decide()
        self.work()

    def decide(self) -> None:
        for job in self.jobs:
            if job.is_leaving:
                job.begun_s, job.is_leaving = None, False
        while (found := next_start(self.standings(), self.rules)) is not None:
            self.job(found.id).begun_s = self.now_s
        while (leaving := next_leave(self.standings(), self.rules)) is not None:
            self.job(leaving.id).is_leaving = True
            self.leaves.append((self.now_s, self.job(leaving.id).owner))

    def work(self) -> None:
        for job in self.at_work():
            job.left_s -= 1
            self.used_s[job.owner] += 1
            if job.left_s == 0:
                job.begun_s, job.is_leaving = None, False
        self.now_s += 1

    def job(self, key: str) -> _Job:
        return next(job for job in self.jobs if job.id == key)

    def at_work(self) -> list[_Job]:
        return [job for job in self.jobs if job.begun_s is not None]

    def waiting(self) -> list[_Job]:
        return [job for job in self.jobs if job.left_s > 0 and job.begun_s is None]


rules = some.builds(Rules, some.integers(1, 4), some.integers(0, 3), some.just(TURN_S))
owners = some.sampled_from(["ada", "bob", "cyd", "dan"])
submissions = some.lists(some.tuples(some.integers(0, 60), owners, some.integers(1, 80), some.integers(-2, 2)), max_size=25)


@settings(deadline=None, max_examples=40)
@given(rules, submissions)
def test_no_place_is_free_while_a_job_may_have_it_and_no_owner_has_more_than_it_may(
    rules: Rules, given: list[tuple[int, str, int, int]]
) -> None:
    queue = _Queue(rules)
    for _, owner, length_s, priority in given:
        queue.add(owner, length_s, priority)
    for _ in range(40):
        queue.decide()
        held = {owner: len([job for job in queue.at_work() if job.owner == owner]) for owner in queue.used_s}
        assert sum(held.values()) <= rules.places
        assert not rules.owner_jobs or max(held.values(), default=0) <= rules.owner_jobs
        if sum(held.values()) < rules.places:
            assert all(0 < rules.owner_jobs <= held[job.owner] for job in queue.waiting())
        queue.work()


@settings(deadline=None, max_examples=40)
@given(rules, submissions)
def test_every_job_ends(rules: Rules, given: list[tuple[int, str, int, int]]) -> None:
    """In as many seconds as all take together, a second for everybody who makes room, and the time of submission."""
    queue = _Queue(rules)
    for now in range(80 + 2 * sum(length_s for _, _, length_s, _ in given)):
        for at, owner, length_s, priority in given:
            if at == now:
                queue.add(owner, length_s, priority)
        queue.step()
    assert not queue.waiting()
    assert not queue.at_work()


@settings(deadline=None, max_examples=40)
@given(some.integers(1, 4), some.lists(some.integers(1, 30), min_size=1, max_size=12))
def test_one_owner_without_priorities_has_the_oldest_first_and_makes_room_for_nobody(places: int, lengths: list[int]) -> None:
    queue = _Queue(Rules(places, 0, TURN_S))
    made = [queue.add("ada", length_s) for length_s in lengths]
    begun: list[_Job] = []
    for _ in range(sum(lengths) + 1):
        queue.decide()
        begun += [job for job in made if job.begun_s == queue.now_s]
        queue.work()
    assert begun == made
    assert queue.leaves == []


@settings(deadline=None, max_examples=40)
@given(some.integers(1, 4), some.integers(1, 3))
def test_whoever_had_nothing_lately_starts_in_the_second_step(places: int, seconds: int) -> None:
    """The first asks a job of the other to make room, the next starts."""
    queue = _Queue(Rules(places, 0, TURN_S))
    for _ in range(50):
        queue.add("ada", 1000)
    for _ in range(seconds):
        queue.step()
    small = queue.add("bob", 5)
    queue.step()
    assert small.begun_s is None
    queue.step()
    assert small.begun_s is not None
    assert len(queue.leaves) == 1


@settings(deadline=None, max_examples=40)
@given(some.integers(1, 3), some.integers(2, 4), some.integers(1, 40))
def test_owners_with_long_jobs_have_equal_shares_and_turns_are_not_short(places: int, owners: int, first_s: int) -> None:
    queue = _Queue(Rules(places, 0, TURN_S))
    names = ["ada", "bob", "cyd", "dan"][:owners]
    for _ in range(places + 1):
        queue.add("ada", 10_000)
    for _ in range(first_s):
        queue.step()
    for name in names[1:]:
        for _ in range(places + 1):
            queue.add(name, 10_000)
    for _ in range(600):
        queue.step()
    used = list(queue.used_s.values())
    assert max(used) - min(used) <= max(first_s * places, TURN_S + places) + 2 * places + owners
    later = [at for at, _ in queue.leaves if at > first_s + owners]
    assert len(later) <= 600 * places / TURN_S, "who makes room had a turn"


def test_a_higher_priority_goes_first_among_the_jobs_of_an_owner_and_takes_a_place_of_its_own() -> None:
    queue = _Queue(Rules(2, 0, TURN_S))
    low, high = [queue.add("ada", 100, priority) for priority in (-1, 3)]
    queue.step()
    urgent, other = queue.add("ada", 5, 5), queue.add("ada", 5, -1)
    queue.step()
    queue.step()
    assert [job.begun_s is not None for job in (low, high, urgent, other)] == [False, True, True, False]


def test_a_priority_takes_no_place_of_another_owner() -> None:
    queue = _Queue(Rules(2, 0, TURN_S))
    long, other = queue.add("ada", 100), queue.add("bob", 100)
    queue.step()
    urgent = queue.add("bob", 5, 100)
    for _ in range(3):
        queue.step()
    assert [job.begun_s is not None for job in (long, other, urgent)] == [True, False, True]


def test_what_cannot_leave_without_a_loss_stays_and_nobody_is_asked_twice() -> None:
    stands = Standing("ada", 900.0, (Placed("a", may_leave=False),), Waiting("b"))
    assert next_leave([stands, Standing("bob", 0.0, (), Waiting("c"))], Rules(1)) is None
    leaving = replace(stands, placed=(Placed("a", is_leaving=True), Placed("d")))
    assert next_leave([leaving, Standing("bob", 0.0, (), Waiting("c"))], Rules(2)) is None


def test_an_owner_who_is_less_than_a_turn_ahead_keeps_its_place() -> None:
    held = Placed("a")
    for ahead_s, found in ((599.0, None), (600.0, held)):
        ada, bob = Standing("ada", 50.0 + ahead_s, (held,)), Standing("bob", 50.0, (), Waiting("c"))
        assert next_leave([ada, bob], Rules(1, turn_s=600.0)) == found


def test_who_has_as_many_places_as_another_makes_no_room_whatever_it_used() -> None:
    ada, bob = Standing("ada", 9000.0, (Placed("a"),)), Standing("bob", 0.0, (Placed("b"),), Waiting("c"))
    assert next_leave([ada, bob], Rules(2)) is None


def test_who_has_no_place_waits_for_one_turn_of_a_job_at_most_whatever_it_had_lately() -> None:
    """Else who computed for ten hours this week waits for ten hours behind somebody new."""
    for ran_s, leaves in ((599.0, None), (600.0, "a")):
        ada = Standing("ada", ran_s, (Placed("a", ran_s=ran_s), Placed("new")))
        found = next_leave([ada, Standing("bob", 36_000.0, (), Waiting("c"))], Rules(2, turn_s=600.0))
        assert (found and found.id) == leaves
    ada = Standing("ada", 900.0, (Placed("a", ran_s=900.0), Placed("b", ran_s=900.0)))
    assert next_leave([ada, Standing("bob", 36_000.0, (Placed("d"),), Waiting("c"))], Rules(3, turn_s=600.0)) is None
