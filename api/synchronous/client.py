# Written by `python -m docs.synchronous` from api/asynchronous/client.py: change that.
"""NasClient: the API as Python calls. Needs httpx, pydantic and rich; neither torch nor Ray.

Example:
    with NasClient() as client:
        search = client.search(space="tiny", dataset="digits")
        search.wait()
        for arm in search.arms():
            print(arm.cell, arm.edge, arm.operation, arm.mean)
"""

from datetime import date, datetime
from typing import Any

from api.audit_views import AuditView
from api.key_views import SessionView
from api.refusals import BrokenReplyError, in_our_words, raise_for, read
from api.rows import Rows
from api.synchronous.job_calls import JobCalls
from api.synchronous.result_calls import ResultCalls
from api.system_views import SystemView, UsageView
from api.views import DatasetView, EntryView, Readiness


class NasClient(JobCalls, ResultCalls):
    """A connection to a service."""

    def catalogue(self, shelf: str) -> Rows[EntryView]:
        """Return the entries of `spaces`, `operations`, `templates`, `strategies`, `methods` or `datasets`."""
        return self._all(f"/v1/{shelf}", EntryView, {})

    def entry(self, shelf: str, name: str) -> EntryView:
        """Return one entry of the catalogue."""
        return self._one(f"/v1/{shelf}/{name}", EntryView)

    def caller(self) -> SessionView:
        """Return whose key is shown, if one is, and whether the service asks for keys."""
        return self._one("/v1/session", SessionView)

    def spec_schema(self, kind: str) -> dict[str, Any]:
        """Return the JSON schema of what can be submitted: a `search`, a `training` or a `registration`."""
        return dict((self._request("GET", f"/v1/specs/{kind}")).json())

    def dataset(self, name: str) -> DatasetView:
        """Return a dataset, built in or registered, with what was counted of it."""
        return self._one(f"/v1/datasets/{name}", DatasetView)

    def dataset_sheet(self, name: str) -> bytes:
        """Return a PNG of some training images of every class of a registered dataset."""
        return (self._request("GET", f"/v1/datasets/{name}/sheet.png")).content

    def delete_dataset(self, name: str) -> None:
        """Forget the name of a registered dataset; its files stay, and so do jobs that learnt it."""
        self._request("DELETE", f"/v1/datasets/{name}")

    def system(self) -> SystemView:
        """Return what the service stands on, and who works for it."""
        return self._one("/v1/system", SystemView)

    def audit(
        self,
        owner: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        action: str | None = None,
        resource: str | None = None,
    ) -> Rows[AuditView]:
        """Return what was changed, by whom and from where, and what was refused, newest first; keys of administrators may ask.

        Args:
            owner: Only what keys of this owner did.
            since: Only from this moment on, which has a time zone.
            until: Only before this moment, which has one too.
            action: Only actions in which this occurs: `"DELETE"`, `"/v1/keys"`.
            resource: Only resources in which this occurs: the id of a job.
        """
        moments = {name: moment.isoformat() for name, moment in (("since", since), ("until", until)) if moment is not None}
        words = {"owner": owner, "action": action, "resource": resource}
        return self._all("/v1/audit", AuditView, moments | {name: word for name, word in words.items() if word is not None})

    def usage(self, since: date | None = None, until: date | None = None) -> UsageView:
        """Return what the jobs of every owner held, from a day on and up to one, that included."""
        days = {"since": since, "until": until}
        return self._one("/v1/usage", UsageView, {name: str(day) for name, day in days.items() if day is not None})

    def readiness(self) -> Readiness:
        """Return whether the service can work; one that says that it cannot has answered, too."""
        asked = "GET /readyz"
        with in_our_words(self.url, asked):
            reply = self._connected().get("/readyz")
        try:
            return read(Readiness, reply, self.url, asked)
        except BrokenReplyError:
            raise_for(reply)
            raise
