"""`nas registration ...`: registrations of datasets as jobs; `nas dataset register` submits them."""

from functools import partial
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.identifiers import find_job, job_argument
from api.commands.interruption import told_that_it_goes_on
from api.commands.job_changes import add_changes
from api.commands.jobs import JobKind, add_job_commands, connect
from api.commands.options import Json, Url
from api.commands.searches import exit_for
from api.console import console, errors, print_json, say
from api.console import watch as watch_job
from api.views import JobView

app = typer.Typer(no_args_is_help=True, help="Look at registrations of datasets that are under way or over.")
KIND = JobKind("registration", "registrations", NasClient.registration, is_kept=False)
add_job_commands(app, KIND)
add_changes(app, KIND)

RegistrationId = Annotated[str, job_argument("registration")]


def until_over(client: NasClient, registration_id: str, *, as_json: bool) -> JobView:
    """Show a registration's progress until it is over, and return it.

    Raises:
        typer.Exit: With status 130, after Ctrl-C: the registration goes on.
    """
    with told_that_it_goes_on("registration", registration_id):
        return watch_job(partial(client.registration, registration_id), errors if as_json else console)


@app.command()
def watch(registration_id: RegistrationId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show the progress of a registration until it is over."""
    with connect(url) as client:
        job = until_over(client, find_job(client, "registration", registration_id), as_json=as_json)
    if as_json:
        print_json(job)
    exit_for([job])


@app.command()
def delete(registration_id: RegistrationId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Delete a registration that is over; its dataset stays."""
    with connect(url) as client:
        registration_id = find_job(client, "registration", registration_id)
        client.delete_registration(registration_id)
    if as_json:
        print_json({"deleted": registration_id})
    else:
        say(f"registration {registration_id} is deleted")
