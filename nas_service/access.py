"""Who may do what: keys, their scopes, and who calls."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

_COOKIE = re.compile("[A-Za-z0-9_-]{43}")  # 32 bytes
_TEXT = re.compile(rf"nas_(?P<prefix>[0-9a-f]{{12}})_{_COOKIE.pattern}")


class Scope(StrEnum):
    """What a key is good for; each scope holds those before it."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"

    def covers(self, other: "Scope") -> bool:
        """Return whether what needs `other` may be done with this."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Whose:
    """Whose something is.

    Attributes:
        owner: Who made it; None where nobody was asked for a key.
        project: Who shares it: keys of the same project see the same jobs, results and data sets. None: everybody.
    """

    owner: str | None = None
    project: str | None = None


NOBODYS = Whose()


def is_seen(by: str | None, project: str | None) -> bool:
    """Return whether what is a project's is seen by another one, None being the whole service's: its own, and nobody's."""
    return by is None or project is None or project == by


@dataclass(frozen=True)
class Caller:
    """Somebody who showed a key.

    Attributes:
        prefix: What the key is called.
        owner: Whose it is.
        project: Whose jobs, results and data sets it sees and makes.
        scope: What it is good for.
    """

    prefix: str
    owner: str
    project: str
    scope: Scope

    @property
    def whose(self) -> Whose:
        """Whose what the caller makes is."""
        return Whose(self.owner, self.project)

    @property
    def sees(self) -> str | None:
        """The project that the caller sees; None: an administrator sees all."""
        return None if self.scope is Scope.ADMIN else self.project


def new_key_text() -> str:
    """Return the text of a new key: `nas_`, 12 characters that it is called by, and a secret of 256 bits."""
    return f"nas_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def prefix_of(text: str) -> str | None:
    """Return what a key is called, or None where the text is no key's."""
    found = _TEXT.fullmatch(text)
    return found["prefix"] if found else None


def new_cookie() -> str:
    """Return the text of a new cookie: a secret of 256 bits."""
    return secrets.token_urlsafe(32)


def may_be_cookie(text: str) -> bool:
    """Return whether a text has the form of a cookie of this service."""
    return _COOKIE.fullmatch(text) is not None


def digest_of(text: str) -> str:
    """Return what is kept of a secret. It has 256 bits that nobody chose: there is nothing that a slow digest would protect."""
    return hashlib.sha256(text.encode()).hexdigest()
