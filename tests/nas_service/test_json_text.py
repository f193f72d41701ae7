"""JSON for people."""

import json

from nas_service.json_text import json_text


def test_lists_of_numbers_are_one_line_each_and_nothing_else_changes() -> None:
    value = {
        "matrix": [[1, 0], [2, -3.5e-7]],
        "shares": [None, True, 0.5],
        "none": [],
        "names": ["[", "1,\n 2", "]"],
        "objects": [{"a": [1]}],
    }
    text = json_text(value)
    assert json.loads(text) == value
    assert "    [1, 0],\n    [2, -3.5e-07]\n" in text
    assert '"shares": [null, true, 0.5],' in text
    assert json_text([1, 2]) == "[1, 2]"
    assert json_text({"b": 1, "a": 2}, sort_keys=True) == '{\n  "a": 2,\n  "b": 1\n}'


def test_text_that_looks_like_a_list_stays_as_it_is() -> None:
    value = ["[\n  1,\n  2\n]", "[ 1,  2 ]", '"[', '\\"[\n 3 ]']
    assert json.loads(json_text({"text": value, "number": [7, 8]})) == {"text": value, "number": [7, 8]}
