"""Keys and callers as replies."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from nas_service.access import Caller, Scope


def _shown_as_it_is(word: str) -> str:
    if not word.isprintable():
        raise ValueError("letters that are shown: no line separators, marks of direction or other control characters")
    return word


_Length = StringConstraints(strip_whitespace=True, min_length=1, max_length=100)
_Word = Annotated[str, _Length, AfterValidator(_shown_as_it_is)]
Owner = Annotated[_Word, Field(description="Whose key it is.")]
Project = Annotated[_Word, Field(description="Whose keys see the same jobs, results and data sets.")]


class Shown(BaseModel):
    """A key, shown by a browser."""

    model_config = ConfigDict(extra="forbid")

    key: SecretStr = Field(max_length=200, description="The text of a key.")


class SessionView(BaseModel):
    """Who calls."""

    keys: bool = Field(description="Whether the service asks for keys.")
    owner: str | None = Field(description="Whose key was shown; null: nobody's.")
    scope: Scope | None = Field(description="What the key is good for.")
    project: str | None = Field(
        description="Whose jobs, results and data sets the key sees, beside those of nobody; an admin's sees all."
    )
    key: str | None = Field(description="What the key is called.")

    @classmethod
    def of(cls, caller: Caller | None, *, keys: bool) -> Self:
        """Tell who calls a service that asks for keys, or does not."""
        if caller is None:
            return cls(keys=keys, owner=None, scope=None, project=None, key=None)
        return cls(keys=keys, owner=caller.owner, scope=caller.scope, project=caller.project, key=caller.prefix)


class KeySpec(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    owner: Owner
    project: Project | None = Field(None, description="Whose keys share jobs, results and data sets; null: the owner's alone.")
    scope: Scope = Field(Scope.SUBMIT, description="What it is good for; each scope holds those before it.")
    days: float | None = Field(365.0, gt=0, le=36500, description="Days until it expires; null: never.")

    @property
    def lasts(self) -> timedelta | None:
        """How long it is good for."""
        return None if self.days is None else timedelta(days=self.days)


class KeyView(BaseModel):
    """A key without its secret."""

    model_config = ConfigDict(from_attributes=True)

    prefix: str
    owner: str
    project: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None

    def moments(self) -> tuple[datetime | None, ...]:
        """Return when it was made, expires, was last used and was revoked."""
        return (self.created_at, self.expires_at, self.used_at, self.revoked_at)


class NewKeyView(KeyView):
    """A key that was just made."""

    text: str = Field(description="The key itself; it is shown this once and kept nowhere.")
