"""Connections to PostgreSQL. psycopg comes with the extra `postgres`, so only an engine of that kind loads this module."""

import math
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from nas_service.storage.engines import TimeOuts

Result = TypeVar("Result")

_WAKE_S = 0.1  # psycopg looks for signals as often
_SLACK_S = 1.0  # the server's own limit comes first, since its error says more


class _LimitedConnection(psycopg.Connection[TupleRow]):
    """A connection that gives up on a server that says nothing: one that is frozen never closes its socket."""

    limit_s: float | None = None

    def wait(self, gen: PQGen[Result], interval: float = _WAKE_S, timeout: float | None = None) -> Result:
        """Wait as psycopg does, within the limit; a connection whose statement still runs is of no more use."""
        try:
            return super().wait(gen, interval, self.limit_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def limited(engine: Engine, time_outs: "TimeOuts") -> Engine:
    """Return an engine for PostgreSQL whose connections wait no longer than `time_outs` says."""
    in_ms = {"lock_timeout": time_outs.lock_s, "idle_in_transaction_session_timeout": time_outs.idle_s}
    if time_outs.statement_s is not None:
        in_ms["statement_timeout"] = time_outs.statement_s
    options = " ".join(f"-c {name}={math.ceil(1000 * seconds)}" for name, seconds in in_ms.items())

    limit_s = None if time_outs.statement_s is None else time_outs.statement_s + _SLACK_S

    @event.listens_for(engine, "do_connect")
    def connect(_: object, __: object, words: tuple[Any, ...], named: dict[str, Any]) -> psycopg.Connection[TupleRow]:
        # What the URL says comes later, so it wins.
        ours = {"connect_timeout": math.ceil(time_outs.connect_s), "options": f"{options} {named.get('options', '')}".strip()}
        connection = _LimitedConnection.connect(*words, **{**ours, **named, "options": ours["options"]})
        connection.limit_s = limit_s
        return connection

    @event.listens_for(engine, "checkin")
    def expect_life(connection: _LimitedConnection | None, _: object) -> None:
        if connection is not None:  # the next thing sent is the pool's test of it
            connection.limit_s = time_outs.connect_s

    @event.listens_for(engine, "checkout")
    def expect_work(connection: _LimitedConnection, _: object, __: object) -> None:
        connection.limit_s = limit_s

    return engine
