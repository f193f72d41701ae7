"""Labels of parquet files: mapped as their owners mean them, or refused by name."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.tables import cells, class_label, facts, features, load, source, write, write_labels

DICTIONARY = pa.DictionaryArray.from_arrays


def _classes(root: Path, path: str = "t.parquet", **settings: object) -> list[str]:
    """Return the name of every row's class."""
    found = source(root, path, **settings)
    return [found.class_names[label] for label in found.labels]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (pa.array([1, 2] * 4), ("1", "2")),
        (pa.array([4021, 7] * 4), ("7", "4021")),
        (pa.array([10, 9] * 4), ("9", "10")),
        (pa.array([1, -1] * 4), ("-1", "1")),
        (pa.array([0, 2**63 + 5] * 4, pa.uint64()), ("0", str(2**63 + 5))),
        (pa.array([-(2**63), 2**63 - 1] * 4), (str(-(2**63)), str(2**63 - 1))),
        (pa.array([3, 5] * 4, pa.int8()), ("3", "5")),
        (pa.array([3.0, 5.0] * 4), ("3", "5")),
        (pa.array([3.0, 5.0] * 4, pa.float32()), ("3", "5")),
        (pa.array([3.0, 5.0] * 4, pa.float16()), ("3", "5")),
        (pa.array([True, False] * 4), ("false", "true")),
        (pa.array(["dog", "cat"] * 4), ("cat", "dog")),
        (pa.array(["dog", "cat"] * 4, pa.large_string()), ("cat", "dog")),
        (pa.array(["dog", "cat"] * 4, pa.string_view()), ("cat", "dog")),
        (pa.array(["10", "9"] * 4), ("10", "9")),
        (DICTIONARY(pa.array([1, 0] * 4), pa.array(["small", "large", "huge"])), ("small", "large")),
        (DICTIONARY(pa.array([1, 0] * 4), pa.array(["small", "large"]), ordered=True), ("small", "large")),
        (DICTIONARY(pa.array([1, 0] * 4), pa.array([30, 10])), ("10", "30")),  # parquet keeps no order of numbers
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_without_names_the_classes_are_the_distinct_values(labels: Any, names: tuple[str, ...], tmp_path: Path) -> None:  # noqa: ANN401
    write_labels(tmp_path, labels)
    assert source(tmp_path).class_names == names
    texts = {True: "true", False: "false"}
    written = [texts[value] if isinstance(value, bool) else str(value).removesuffix(".0") for value in labels.to_pylist()]
    assert _classes(tmp_path) == written


@pytest.mark.parametrize("ordered", [True, False])
def test_categories_of_pandas_keep_their_order_and_lose_those_without_a_row(ordered: bool, tmp_path: Path) -> None:  # noqa: FBT001
    sizes = pd.Categorical(["large", "small"] * 4, categories=["small", "middle", "large"], ordered=ordered)
    pd.DataFrame({"image": cells(8), "label": sizes}).to_parquet(tmp_path / "t.parquet")
    assert source(tmp_path).class_names == ("small", "large")
    assert _classes(tmp_path) == ["large", "small"] * 4


def test_categories_that_differ_from_row_group_to_row_group_and_from_shard_to_shard_are_joined(tmp_path: Path) -> None:
    for shard, (first, second) in enumerate(((["small", "large"], ["large", "huge"]), (["huge", "small"], ["large", "giant"]))):
        joined = pa.chunked_array([DICTIONARY(pa.array([1, 0]), pa.array(values)) for values in (first, second)])
        write(tmp_path, f"d/train-{shard}-of-2.parquet", {"image": cells(4), "label": joined}, row_group_size=2)
    assert source(tmp_path, "d").class_names == ("small", "large", "huge", "giant")
    assert _classes(tmp_path, "d") == ["large", "small", "huge", "large", "small", "huge", "giant", "large"]


def test_whole_numbers_that_pandas_once_kept_beside_gaps_are_whole_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": cells(8), "label": [0, 1] * 3 + [None, 1]}).dropna()
    assert frame["label"].dtype == float
    frame.to_parquet(tmp_path / "t.parquet")
    assert source(tmp_path, classes=["cat", "dog"]).labels.tolist() == [0, 1, 0, 1, 0, 1, 1]
    assert source(tmp_path).class_names == ("0", "1")


@pytest.mark.parametrize(
    "metadata",
    [
        features(label=class_label("cat", "dog")),
        {"huggingface": json.dumps({"features": {"label": class_label("cat", "dog")}})},
        {"huggingface": json.dumps({"dataset_info": {"features": {"label": class_label("cat", "dog")}}})},
        {
            "huggingface": json.dumps(
                {"dataset_info": {"features": [{"name": "label", "dtype": {"class_label": {"names": {"1": "dog", "0": "cat"}}}}]}}
            )
        },
        {"classes": '["cat", "dog"]'},
        {"classes": "cat, dog"},
        {"classes": "cat,dog", **features(label=class_label("cat", "dog"))},
    ],
)
def test_names_of_the_metadata_are_those_of_the_indices(metadata: dict[str, str], tmp_path: Path) -> None:
    write_labels(tmp_path, [1, 0, 1, 0], metadata)
    assert source(tmp_path).class_names == ("cat", "dog")
    assert _classes(tmp_path) == ["dog", "cat", "dog", "cat"]


def test_a_number_of_classes_without_names_names_them_by_their_indices(tmp_path: Path) -> None:
    write_labels(tmp_path, [2, 0, 2, 0], features(label={"num_classes": 3, "_type": "ClassLabel"}))
    assert source(tmp_path).class_names == ("0", "1", "2")


def test_a_named_class_without_an_image_stays_and_is_told(tmp_path: Path) -> None:
    write_labels(tmp_path, [2, 0] * 8, features(label=class_label("cat", "dog", "eel")))
    found = facts(tmp_path)
    assert found.class_names == ("cat", "dog", "eel")
    assert found.untrained == ("dog",)


def test_names_that_are_given_go_before_those_of_the_file(tmp_path: Path) -> None:
    write_labels(tmp_path, [1, 0] * 4, features(label=class_label("cat", "dog")))
    assert source(tmp_path, classes=["Katze", "Hund"]).class_names == ("Katze", "Hund")
    with pytest.raises(InvalidFieldError, match=r"^classes: \['dog', 'cat'\] is not .* the order of the indices .*: cat, dog$"):
        source(tmp_path, classes=["dog", "cat"])


def test_truth_values_with_names_are_indices(tmp_path: Path) -> None:
    write_labels(tmp_path, [True, False] * 4)
    assert _classes(tmp_path, classes=["bad", "good"]) == ["good", "bad"] * 4


def test_texts_with_names_are_among_them_in_their_order(tmp_path: Path) -> None:
    write_labels(tmp_path, ["cat", "dog"] * 4)
    found = source(tmp_path, classes=["dog", "cat", "eel"])
    assert found.class_names == ("dog", "cat", "eel")
    assert found.labels.tolist() == [1, 0] * 4
    with pytest.raises(InvalidFieldError, match=r"^path: \"t\.parquet row 1: label 'dog'\" .* one of the 2 classes: cat, eel"):
        source(tmp_path, classes=["cat", "eel"])


@pytest.mark.parametrize("metadata", ["3", '{"cat": 0, "dog": 1}', '"cat"', "[0, 1, 2]", "null"])
def test_class_names_that_are_other_json_are_refused_and_can_be_given_instead(metadata: str, tmp_path: Path) -> None:
    write_labels(tmp_path, [0, 1, 2] * 3, {"classes": metadata})
    with pytest.raises(InvalidFieldError, match=r"^classes: .* a JSON list of names, or names with commas"):
        source(tmp_path)
    assert source(tmp_path, classes=["a", "b", "c"]).class_names == ("a", "b", "c")


@pytest.mark.parametrize("names", [[0, 1], {"0": "cat", "2": "dog"}, "cat", [["cat"], ["dog"]]])
def test_names_of_hugging_face_that_are_none_are_refused_and_can_be_given_instead(names: object, tmp_path: Path) -> None:
    write_labels(tmp_path, [0, 1] * 3, features(label={"names": names, "_type": "ClassLabel"}))
    with pytest.raises(InvalidFieldError, match=r"^classes: .* a list of names in the metadata of Hugging Face"):
        source(tmp_path)
    assert source(tmp_path, classes=["a", "b"]).class_names == ("a", "b")


@pytest.mark.parametrize("metadata", ["{", "[" * 100_000, "\x00"])
def test_metadata_of_hugging_face_that_are_no_json_are_refused(metadata: str, tmp_path: Path) -> None:
    write_labels(tmp_path, [0, 1] * 3, {"huggingface": metadata})
    with pytest.raises(InvalidFieldError, match=r"^path: \"t\.parquet metadata 'huggingface'\" .* metadata in JSON"):
        source(tmp_path)


@pytest.mark.parametrize(
    "metadata", ["3", "[]", '{"info": 3}', '{"info": {"features": 3}}', '{"info": {"features": {"label": 3}}}']
)
def test_metadata_of_hugging_face_that_say_nothing_of_classes_are_passed_over(metadata: str, tmp_path: Path) -> None:
    write_labels(tmp_path, [0, 1] * 3, {"huggingface": metadata})
    assert source(tmp_path).class_names == ("0", "1")


def test_two_lists_of_names_that_differ_are_refused(tmp_path: Path) -> None:
    write_labels(tmp_path, [0, 1] * 3, {"classes": "dog,cat", **features(label=class_label("cat", "dog"))})
    with pytest.raises(InvalidFieldError, match=r"^classes: 'not set' .* says cat, dog; t\.parquet says dog, cat$"):
        source(tmp_path)
    for part, names in (("train", ("cat", "dog")), ("test", ("dog", "cat"))):
        write_labels(tmp_path, [0, 1] * 3, features(label=class_label(*names)), f"d/{part}.parquet")
    with pytest.raises(InvalidFieldError, match=r"train\.parquet says cat, dog; d/test\.parquet says dog, cat$"):
        source(tmp_path, "d")


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        ([0, 1, 2, 3], r"row 3: label 3' .* class indices from 0 to 2$"),
        ([0, -1, 2, 1], r"row 1: label -1' .* class indices from 0 to 2; -1 says that a row has no label"),
        ([0, 1, 2, 10**12], r"row 3: label 1000000000000' .* from 0 to 2$"),
        ([0.0, 1.0, -2.0, 2.0], r"row 2: label -2' .* from 0 to 2$"),
        ([1, 2, 3] * 3, r"label: labels up to 3' .* class indices from 0 to 2; these count from 1$"),
        ([1, 3] * 3, r"label: labels up to 3' .* class indices from 0 to 2; these count from 1$"),
        (list(range(1, 20_000)), r"row 2: label 3' .* from 0 to 2$"),
    ],
)
def test_an_index_that_is_none_is_named_with_its_row(labels: list[int], allowed: str, tmp_path: Path) -> None:
    write_labels(tmp_path, labels, {"classes": "cat,dog,eel"})
    with pytest.raises(InvalidFieldError, match=rf"^path: 't\.parquet {allowed}"):
        source(tmp_path)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (pa.array([0, None, 1, None]), r"^path: 't\.parquet row 1: no label' .* a label in every row; 2 of 4 lack it$"),
        (pa.array(["a", "b", None, "a"]), r"row 2: no label' .* 1 of 4 lack it$"),
        (DICTIONARY(pa.array([0, 1, None, 0]), pa.array(["a", "b"])), r"row 2: no label' .* 1 of 4 lack it$"),
        (pa.array([0.0, float("nan"), None, 1.0]), r"row 1: no label' .* 2 of 4 lack it$"),
        (pa.array([0.0, float("nan")] * 2, pa.float16()), r"row 1: no label' .* 2 of 4 lack it$"),
        (pa.array([0.0, 0.5, 1.0, 1.0]), r"^path: 't\.parquet row 1: label 0\.5' .* whole numbers as labels$"),
        (pa.array([0.0, float("inf"), 1.0, 1.0]), r"row 1: label inf' .* whole numbers"),
        (
            pa.array([None] * 4),
            r"^label_column: 'label: null' .* a column of one whole number, text, truth value or category a row$",
        ),
        (pa.array([[0], [0, 1], [1], []]), r"^label_column: 'label: list<"),
        (pa.array([{"id": 0}] * 4), r"^label_column: 'label: struct<id: int64>'"),
        (pa.array([b"cat", b"dog"] * 2), r"^label_column: 'label: binary'"),
        (pa.array([Decimal(1), Decimal(2)] * 2), r"^label_column: 'label: decimal128"),
        (pa.array([0, 1] * 2, pa.timestamp("s")), r"^label_column: 'label: timestamp"),
        (pa.array([0, 1] * 2, pa.date32()), r"^label_column: 'label: date32"),
        (pa.array([3, 4, 5, 6]), r"^label_column: 'label: 4 distinct values in 4 training rows' .* these look like ids$"),
        (pa.array(["a.png", "b.png", "c.png"]), r"^label_column: 'label: 3 distinct values in 3 training rows'"),
        (pa.array([*range(10_001)] * 2), r"^label_column: 'label: more than 10000 distinct values in 20002 training rows'"),
        (pa.array([0] * 9), r"^classes: \('0',\) is not allowed; allowed: at least two classes"),
        (pa.array(["cat", "cat "] * 2), r"^label_column: \"two classes 'cat'\""),
        (pa.array(["cat", ""] * 2), r"^label_column: \"class ''\""),
        (pa.array(["cat", "d\nog"] * 2), r"^label_column: 'class d\\\\nog'"),
    ],
    ids=range(21),
)
def test_labels_that_can_be_no_classes_are_refused(labels: Any, complaint: str, tmp_path: Path) -> None:  # noqa: ANN401
    write_labels(tmp_path, labels)
    with pytest.raises(InvalidFieldError, match=complaint):
        facts(tmp_path)


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    texts = pa.array([b"cat", b"d\xf6g"] * 4).view(pa.string())
    write_labels(tmp_path, texts)
    with pytest.raises(InvalidFieldError, match=r"^path: 't\.parquet rows from 0 on: labels' .* text in UTF-8$"):
        source(tmp_path)


@pytest.mark.parametrize(
    ("training", "held", "label"),
    [([1, 2], 3, "3"), ([0, 1], -1, "-1"), (["cat", "dog"], "eel", "'eel'"), ([7, 10**12], 10**13, "10000000000000")],
)
def test_a_label_that_no_training_row_has_is_named(training: list[Any], held: Any, label: str, tmp_path: Path) -> None:  # noqa: ANN401
    write_labels(tmp_path, training * 4)
    write_labels(tmp_path, [training[0], held, held], name="held.parquet")
    with pytest.raises(
        InvalidFieldError, match=r"^test_path: .*held\.parquet row 1: label .* a label that some training row has"
    ) as caught:
        source(tmp_path, test_path="held.parquet")
    assert f"row 1: label {label}" in str(caught.value)


def test_test_rows_whose_labels_are_secret_are_refused(tmp_path: Path) -> None:
    """Hugging Face writes -1."""
    said = features(label=class_label("cat", "dog"))
    write_labels(tmp_path, [0, 1] * 4, said, "d/train.parquet")
    write_labels(tmp_path, [-1] * 4, said, "d/test.parquet")
    with pytest.raises(
        InvalidFieldError, match=r"test\.parquet row 0: label -1' .*; -1 says that a row has no label: leave such"
    ):
        source(tmp_path, "d")


_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tests.nas_service.data.tables import source
source(Path(sys.argv[1]), "small.parquet")  # everything is imported, every pool of memory is there
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24,) * 2)
found = source(Path(sys.argv[1]), sys.argv[2])
assert len(found.class_names) == 2, found.class_names
"""


@pytest.mark.parametrize("largest", [3_000_000, 10**12, 2**63 - 1])
def test_a_large_label_takes_no_memory(largest: int, tmp_path: Path) -> None:
    """No more than 16 MiB: an array up to the smallest of them would take 24 MB."""
    write_labels(tmp_path, [0, 1] * 20, name="small.parquet")
    write_labels(tmp_path, [7, largest] * 20, name="large.parquet")
    program = [sys.executable, "-c", _IN_LITTLE_MEMORY, str(tmp_path), "large.parquet"]
    subprocess.run(program, check=True, capture_output=True, timeout=120)


def test_a_million_ids_are_refused_without_a_name_for_each(tmp_path: Path) -> None:
    ids = pa.array(np.arange(1_000_000))
    pq.write_table(pa.table({"image": pa.repeat(pa.scalar(cells(1)[0]), len(ids)), "label": ids}), tmp_path / "t.parquet")
    with pytest.raises(InvalidFieldError, match="more than 10000 distinct values in 1000000 training rows"):
        source(tmp_path)


def test_the_classes_are_the_same_for_every_order_of_the_rows(tmp_path: Path) -> None:
    write_labels(tmp_path, [5, 3, 9, 3, 5, 9])
    write_labels(tmp_path, [9, 9, 3, 3, 5, 5], name="other.parquet")
    assert source(tmp_path).class_names == source(tmp_path, "other.parquet").class_names == ("3", "5", "9")
    assert load(tmp_path, "other.parquet").class_names == ("3", "5", "9")
