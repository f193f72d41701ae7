"""`nas keys ...`: who may use a service. Run it where the service's database is; over REST administrators have /v1/keys."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from socket import gethostname
from typing import Annotated

import typer

from api.commands.options import Json
from api.commands.service import prepare_database
from api.console import print_json, print_table, say
from api.key_views import KeySpec, KeyView
from nas_service.access import Scope
from nas_service.settings import Settings
from nas_service.storage.session import Database

app = typer.Typer(no_args_is_help=True, help="Say who may use a service: run it where the service's database is.")


@contextmanager
def _database(command: str) -> Iterator[Database]:
    """Give the service's database; what the command changes in it goes into the audit events."""
    from nas_service.storage.audit import Deed, done_by  # noqa: PLC0415 - other commands start faster

    settings = Settings()
    prepare_database(settings)
    database = Database(settings.database)
    try:
        with done_by(Deed(f"nas keys {command}", f"{_user()}@{gethostname()}")):
            yield database
    finally:
        database.close()


def _user() -> str:
    try:
        return getuser()
    except (OSError, KeyError):  # a number without a name, as in containers
        return str(os.getuid())


@app.command()
def create(
    owner: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[Scope, typer.Option(help="What it is good for; each scope holds those before it.")] = Scope.SUBMIT,
    project: Annotated[
        str | None, typer.Option(help="Whose keys share jobs, results and data sets; the owner's alone if left out.")
    ] = None,
    days: Annotated[float, typer.Option(min=0, help="Days until it expires; 0: never.")] = 365.0,
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Make a key and print it: this once, since only a digest is kept."""
    from nas_service.storage.access_keys import create_key  # noqa: PLC0415 - other commands start faster
    from nas_service.storage.audit import name_resource  # noqa: PLC0415

    spec = KeySpec(owner=owner, project=project, scope=scope, days=days or None)
    with _database("create") as database, database.write() as session:
        row, text = create_key(session, spec.owner, spec.scope, spec.lasts, spec.project)
        name_resource(row.prefix)
        view = KeyView.model_validate(row)
    if as_json:
        print_json(view.model_dump(mode="json") | {"text": text})
        return
    ends = "never expires" if view.expires_at is None else f"expires {view.expires_at:%Y-%m-%d}"
    say(f"key {view.prefix} of {view.owner}, in project {view.project}, may {view.scope}, {ends}; it is shown this once:")
    say(text)


@app.command("list")
def list_all(as_json: Json = False) -> None:  # noqa: FBT002 - typer's way
    """List keys, also those that are void, without their secrets."""
    from nas_service.storage.access_keys import list_keys  # noqa: PLC0415 - as above

    with _database("list") as database, database.read() as session:
        views = [KeyView.model_validate(row) for row in list_keys(session)]
    if as_json:
        print_json(views)
        return
    columns = ["key", "owner", "project", "scope", "made", "expires", "last used", "revoked"]
    rows = [
        (
            view.prefix,
            view.owner,
            view.project,
            view.scope,
            *(f"{moment:%Y-%m-%d}" if moment else "-" for moment in view.moments()),
        )
        for view in views
    ]
    print_table("keys", columns, rows)


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="What the key is called, as `nas keys list` shows it.")],
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Make a key void for good, with every browser that showed it; a running service heeds it within five seconds."""
    from nas_service.storage.access_keys import list_keys  # noqa: PLC0415 - as above
    from nas_service.storage.access_keys import revoke as make_void  # noqa: PLC0415
    from nas_service.storage.audit import name_resource  # noqa: PLC0415

    with _database("revoke") as database, database.write() as session:
        name_resource(prefix)
        theirs = [row.prefix for row in list_keys(session) if row.owner == prefix and row.revoked_at is None]
        if theirs:
            raise typer.BadParameter(f"{prefix} is an owner: name one of the keys {', '.join(theirs)}", param_hint="PREFIX")
        view = KeyView.model_validate(make_void(session, prefix))
    if as_json:
        print_json(view)
    else:
        say(f"key {view.prefix} of {view.owner} is void")
