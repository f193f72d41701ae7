"""Names of classes: text that can be stored and shown, one name a class."""

import unicodedata
from collections.abc import Sequence

from nas_service.wording import is_text, printable
from search_spaces.errors import InvalidFieldError

MAX_CLASSES = 10_000
MAX_LETTERS = 200  # of a name


def check_class_names(names: Sequence[str], field: str) -> tuple[str, ...]:
    """Return class names as they will be stored, having seen that they can be: in Unicode's composed form, without spaces around.

    Args:
        names: As a disk, a schema or a person gives them.
        field: The setting that led to them.

    Raises:
        InvalidFieldError: If there are too many, one is no text, is empty or too long, or two look alike.
    """
    if len(names) > MAX_CLASSES:
        raise InvalidFieldError(field, f"{len(names)} classes", f"at most {MAX_CLASSES} classes")
    seen: dict[str, str] = {}
    for name in names:
        if not is_text(name):
            allowed = "class names that are text in UTF-8 without control characters: rename it"
            raise InvalidFieldError(field, f"class {printable(name)}", allowed)
        kept = unicodedata.normalize("NFC", name).strip()
        if not 0 < len(kept) <= MAX_LETTERS:
            raise InvalidFieldError(field, f"class {printable(name)[:40]!r}", f"class names of 1 to {MAX_LETTERS} letters")
        if kept in seen:
            allowed = f"class names that look different: {seen[kept]!a} and {name!a} do not"
            raise InvalidFieldError(field, f"two classes {kept!r}", allowed)
        seen[kept] = name
    return tuple(seen)
