"""Secrets in files, as Docker and Kubernetes hand them out: one file a secret, so that no environment shows any."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from nas_service.errors import NotReadyError

LONGEST_BYTES = 10_000


def read_secret(path: Path, variable: str) -> str:
    """Return the text of a file, less one line break at its end, which most editors write.

    Args:
        path: Of the file.
        variable: That names it, for whoever has to set it right.

    Raises:
        NotReadyError: If it cannot be read, is empty, or holds what is no text; its content is never told.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_BYTES + 1)
        text = content.decode().removesuffix("\n")
    except OSError as error:
        raise NotReadyError(f"{variable} is {path}, which cannot be read ({error.strerror}); allowed: a file") from error
    except UnicodeDecodeError as error:
        raise NotReadyError(f"{variable} is {path}, which holds no text in UTF-8") from error
    if "\r" in text or "\n" in text:  # others who read the same file would keep what we took off
        raise NotReadyError(f"{variable} is {path}, which has several lines, or lines of Windows; allowed: one line, ended by LF")
    if not text or len(content) > LONGEST_BYTES:
        what = "is empty" if not text else f"has more than {LONGEST_BYTES} bytes"
        raise NotReadyError(f"{variable} is {path}, which {what}; allowed: a file with the secret alone")
    return text


def with_password(url: str, password: str) -> str:
    """Return a database's URL with a password in it; any password, since what means something in a URL is escaped.

    Raises:
        NotReadyError: If the URL names no user, or has a password already. It is not repeated.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or not user:
        raise NotReadyError(
            "NAS_DATABASE_URL names no user for the password in NAS_DATABASE_PASSWORD_FILE; allowed: "
            "postgresql+psycopg://USER@HOST/NAME"
        )
    if ":" in user:
        raise NotReadyError("NAS_DATABASE_URL has a password, and NAS_DATABASE_PASSWORD_FILE another; allowed: one of them")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
