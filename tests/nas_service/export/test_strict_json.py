"""JSON of strangers."""

import json

import pytest

from nas_service.errors import ExportError
from nas_service.export.strict_json import MAX_ENTRIES, read_object

REFUSED = {
    "no text": (b"\xff", "x holds text that is not Unicode"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "x is not JSON: Unexpected UTF-8 BOM"),
    "UTF-16": ("{}".encode("utf-16"), "x holds text that is not Unicode"),
    "empty": (b"", "x is not JSON: Expecting value"),
    "more": (b"{} {}", "x is not JSON: Extra data"),
    "a list": (b"[]", "x holds list instead of an object"),
    "a text": (b'"x"', "x holds str instead of an object"),
    "null": (b"null", "x holds NoneType instead of an object"),
    "lists in lists": (b"[" * 100_000, "x is nested too deeply"),
    "objects in objects": (b'{"a":' * 50_000, "x is nested too deeply"),
    "a key twice": (b'{"a": {"b": 1, "c": 2, "b": 3}}', "x holds the key 'b' twice"),
    "NaN": (b'{"a": NaN}', "x holds NaN, which is not JSON"),
    "infinity": (b'{"a": -Infinity}', "x holds -Infinity, which is not JSON"),
    "a float beyond all": (b'{"a": 1e999}', "x holds the number 1e999, which is too large"),
    "a number beyond 64 bits": (b'{"a": 9223372036854775808}', "x holds the number 9223372036854775808..., which is too large"),
    "a number of many digits": (b'{"a": ' + b"9" * 1_000_000 + b"}", "x holds the number 99999999999999999999..., which"),
    "half a pair": (b'{"a": ["\\ud800"]}', "x holds text that is not Unicode"),
    "half a pair as a key": (b'{"\\udc00": 1}', "x holds text that is not Unicode"),
    "a control character": (b'{"a": "\x1b"}', "x is not JSON: Invalid control character"),
    "many values": (b'{"a": [' + b"0," * MAX_ENTRIES + b"0]}", f"x holds more than {MAX_ENTRIES} keys and values"),
    "many keys": (
        b"{" + b",".join(b'"%d": 0' % index for index in range(MAX_ENTRIES)) + b"}",
        f"x holds more than {MAX_ENTRIES} keys",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_plain_object_is_refused(case: str) -> None:
    content, reason = REFUSED[case]
    with pytest.raises(ExportError) as caught:
        read_object(content, "x")
    assert str(caught.value).startswith(reason)
    assert len(str(caught.value)) <= 500


def test_a_plain_object_is_read_as_it_stands() -> None:
    content = b'{"a": [1, -9223372036854775807, 0.5, true, null, "\\ud83d\\ude00\\n"], "b": {}}'
    assert read_object(content, "x") == {"a": [1, -(2**63 - 1), 0.5, True, None, "\N{GRINNING FACE}\n"], "b": {}}


def test_keys_and_values_are_counted_without_looking_into_text() -> None:
    """A list of n entries as the only value of an object: n + 2 keys and values."""
    names = {"a": [',:[{\\"' * 10] * (MAX_ENTRIES - 2)}
    assert read_object(json.dumps(names).encode(), "x") == names
    names["a"].append("")
    with pytest.raises(ExportError, match="keys and values"):
        read_object(json.dumps(names).encode(), "x")


@pytest.mark.parametrize("pattern", [b'"', b'\\"', b"[],", b'"":', b"\\"])
def test_whatever_is_counted_is_counted_in_one_pass(pattern: bytes) -> None:
    """Two passes over the rest from every place would take hours."""
    with pytest.raises(ExportError):
        read_object(b'{"a": "' + pattern * (4_000_000 // len(pattern)), "x")
