"""Audit events as replies."""

from datetime import datetime

from pydantic import Field

from api.views import View


class AuditView(View):
    """Something that somebody changed, or was refused."""

    id: int
    at: datetime = Field(description="By the database's clock.")
    owner: str | None = Field(description="Whose key it was; null: nobody showed one, or a wrong one.")
    key: str | None = Field(description="What the key is called.")
    address: str = Field(description="From where; USER@MACHINE for a command beside the database.")
    request_id: str | None = Field(description="Of the request, if it had one.")
    action: str = Field(description="Verb and route with its placeholders, or a command.")
    resource: str | None = Field(description="What stands in the placeholders, or what was made.")
    status: int = Field(description="Of the reply: above 400 nothing was changed.")
    count: int = Field(description="How many requests were refused alike; 1 of what was done.")
