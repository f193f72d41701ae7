"""JSON for people: indented, but with a list of numbers in one line, so that a matrix looks like one."""

import json
import re

# A line break never stands inside a JSON string, so what begins with one after a bracket is a list.
_NUMBERS = re.compile(r"\[\n\s+([^\[\]{}\"]*?)\n\s*\]")


def json_text(value: object, *, sort_keys: bool = False) -> str:
    """Return a plain value as JSON, two spaces a level.

    Raises:
        TypeError: If JSON has no such value.
    """
    text = json.dumps(value, indent=2, sort_keys=sort_keys)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
