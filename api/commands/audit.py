"""`nas audit`: who changed what."""

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from api.audit_views import AuditView
from api.commands.job_lists import SHOWN, Limit
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.console import print_json, print_table, say

_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def audit(  # noqa: PLR0913, PLR0917 - one a filter
    owner: Annotated[str | None, typer.Option(help="Only what keys of this owner did.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=_MOMENTS, help="Only from this moment on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_MOMENTS, help="Only before this moment, in UTC.")] = None,
    action: Annotated[str | None, typer.Option(help="Only what has this in its action: DELETE, /v1/keys, 'nas keys'.")] = None,
    resource: Annotated[str | None, typer.Option("--of", help="Only what has this in what it was done to: a job's id.")] = None,
    limit: Limit = SHOWN,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Show what was changed, by whom and from where, and what was refused, newest first."""
    with connect(url) as client:
        rows = client.audit(owner=owner, since=_in_utc(since), until=_in_utc(until), action=action, resource=resource)
        found = list(islice(rows, limit + 1))
    if as_json:
        print_json(found[:limit])
        return
    print_table("audit", ["when", "who", "key", "from", "status", "what", "of", "times"], [_row(view) for view in found[:limit]])
    if len(found) > limit:
        say(f"there are more; --limit shows them, --owner, --since, --until, --action and --of fewer (these are {limit})")


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)


def _row(view: AuditView) -> tuple[str, ...]:
    moment = f"{view.at:%Y-%m-%d %H:%M:%S}"
    who = (view.owner or "-", view.key or "-", view.address)
    return (moment, *who, str(view.status), view.action, view.resource or "-", str(view.count))
