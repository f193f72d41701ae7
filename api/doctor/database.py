"""The doctor on the database: whether it answers, its schema, its clock, keys, and who looks after the queue."""

from collections.abc import Iterator
from pathlib import Path

from api.doctor.findings import Finding, broken, note, ok, warning
from nas_service.connections import is_loopback
from nas_service.errors import DatabaseAwayError, NotReadyError
from nas_service.settings import Settings
from nas_service.storage import access_keys, attempts, controllers, trouble
from nas_service.storage.engines import TimeOuts, database_file, parse_url
from nas_service.storage.schema import Standing, head_revision, standing, try_write
from nas_service.storage.session import Database, database_now, utc_now

MOST_SKEW_S = 5.0
_TIME_OUTS = TimeOuts(lock_s=2.0, statement_s=3.0, connect_s=3.0, pool_s=3.0)
_HEADER = b"SQLite format 3\0"
_ADVICE = {
    trouble.UNREACHABLE: "start it, or mend host and port in NAS_DATABASE_URL and what is on the way",
    trouble.REFUSING: "mend the user and the password in NAS_DATABASE_URL",
    trouble.MISSING: "create it (`createdb`) and run `nas migrate`, or mend its name in NAS_DATABASE_URL",
    trouble.LOCKED: "see who writes for so long, and end it",
    trouble.READ_ONLY: "let the service write it; a replica that only reads cannot be used",
    trouble.FULL: "make room on its disk",
    trouble.FAILING: "make room on its disk, and see whether the disk is well",
    trouble.SHUT: "let the user of the service open the file and its folder",
    trouble.EXHAUSTED: "raise its max_connections, or run fewer processes",
    trouble.SLOW: "see what keeps it busy",
}


def see_database(settings: Settings) -> Iterator[Finding]:
    """Look at the database from its address to what is in it, as far as one gets; nothing in it is changed."""
    try:
        file = database_file(parse_url(settings.database))
        if file is not None and not file.exists():
            yield note("database", f"there is none yet at {file.absolute()}", "`nas serve` makes it")
            if _asks_for_keys(settings):
                yield _no_key(settings)
            return
        if file is not None and not _is_sqlite(file):
            yield broken(
                "database", f"{file.absolute()} is no SQLite database", "move it away, or mend NAS_HOME or NAS_DATABASE_URL"
            )
            return
        url = parse_url(settings.database)
        if url.host is not None and "@" in url.host:
            said = "NAS_DATABASE_URL has more than one @: which one ends the password cannot be told"
            yield broken("database", said, "write an @ of the password as %40, or use NAS_DATABASE_PASSWORD_FILE")
            return
        database = Database(settings.database, _TIME_OUTS, connections=2)
    except NotReadyError as error:
        said, _, advice = str(error).rpartition("; ")
        yield broken("database", said or str(error), advice if said else "mend NAS_DATABASE_URL")
        return
    try:
        yield from _see_inside(settings, database)
    except DatabaseAwayError as error:
        state = str(error).removeprefix("the database ")
        yield broken("database", f"{_named(settings)} {state}", _ADVICE.get(state, "see its own log"))
    finally:
        database.close()


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_HEADER)) in {b"", _HEADER}  # an empty file is one that nobody wrote yet


def _named(settings: Settings) -> str:
    url = parse_url(settings.database)
    file = database_file(url)
    return f"the database {file}" if file is not None else f"the database {url.database} at {url.host or 'the local socket'}"


def _see_inside(settings: Settings, database: Database) -> Iterator[Finding]:
    stands, revision = standing(database.engine)
    yield ok("database", f"{_named(settings)} answers")
    finding = _migrations(settings, stands, revision)
    yield finding
    if stands is Standing.EMPTY and settings.is_embedded and _asks_for_keys(settings):
        yield _no_key(settings)
    if stands in {Standing.EMPTY, Standing.UNKNOWN}:
        return
    try_write(database.engine)
    if not settings.is_embedded:
        yield _clock(database)
    if stands is Standing.HEAD:
        yield _keys(settings, database)
        yield from _controllers(settings, database)


def _migrations(settings: Settings, stands: Standing, revision: str | None) -> Finding:
    head = head_revision()
    advice = "`nas serve` runs the migrations that it lacks" if settings.is_embedded else "run `nas migrate`"
    if stands is Standing.HEAD:
        return ok("migrations", f"at {head}, as this version needs")
    if stands is Standing.UNKNOWN:
        said = f"the database is at revision {revision}, which this version does not know: a newer one was here"
        return broken("migrations", said, "install that version again; going back means restoring a backup")
    said = "no migration has run" if stands is Standing.EMPTY else f"the database is at {revision}, this version needs {head}"
    return note("migrations", said, advice) if settings.is_embedded else broken("migrations", said, advice)


def _clock(database: Database) -> Finding:
    with database.read() as session:
        before = utc_now()
        there = database_now(session)
        here = before + (utc_now() - before) / 2
    skew_s = (there - here).total_seconds()
    if abs(skew_s) > MOST_SKEW_S:
        said = f"the database's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
        return warning("clock", said, "let both go by a time server (chrony, systemd-timesyncd)")
    return ok("clock", "the database's clock and this machine's agree")


def _keys(settings: Settings, database: Database) -> Finding:
    if not _asks_for_keys(settings):
        return ok("keys", "on loopback nobody is asked for one")
    with database.read() as session:
        is_any = access_keys.has_valid_key(session)
    if is_any:
        return ok("keys", "there is a valid one")
    return _no_key(settings)


def _asks_for_keys(settings: Settings) -> bool:
    return settings.require_keys or not is_loopback(settings.host)


def _no_key(settings: Settings) -> Finding:
    said = f"a service on {settings.host} asks for keys, and there is no valid one: `nas serve` does not start"
    return broken("keys", said, "make one with `nas keys create OWNER`")


def _controllers(settings: Settings, database: Database) -> Iterator[Finding]:
    with database.read() as session:
        living, last = controllers.living(session), controllers.last_step(session)
        is_waited_for, now = attempts.has_queued(session), database_now(session)
    for row in living:
        if row.trouble is not None:
            yield warning(
                "controller", f"no driver can be started: it waits for {row.trouble}", "see to that; jobs wait meanwhile"
            )
    if living:
        age_s = max(0.0, (now - living[0].stepped_at).total_seconds())
        yield ok("controller", f"{len(living)} at work, the last step {age_s:.0f} s ago")
        return
    ago = "none is at work" if last is None else f"the last one stepped {(now - last).total_seconds():.0f} s ago"
    said, advice = (
        f"nobody looks after the queue: {ago}",
        "start `nas serve` with NAS_CONTROLLER=true, or see why its log stopped",
    )
    if is_waited_for:
        yield broken("controller", f"{said}, and jobs wait", advice)
    elif settings.is_embedded:
        yield note("controller", said, "`nas serve` does, while it runs")
    else:
        yield broken("controller", said, advice)
