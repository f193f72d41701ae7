"""Paths in messages: the absolute ones are this machine's own."""

import pytest

from nas_service.data.paths import reason_of, without_paths


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot open /srv/nas/a.db", "cannot open a.db"),
        ("'/srv/my nas/a b.db' is gone", "'a b.db' is gone"),
        ("no space (/srv/nas/artifacts/): full", "no space (artifacts): full"),
        ("/srv/nas: no such file", "nas: no such file"),
        ("the store file:///srv/nas/artifacts is away", "the store artifacts is away"),
        ("sqlite:////srv/nas/nas.db is locked", "nas.db is locked"),
        ("error:/srv/nas/a.db", "error:a.db"),
    ],
)
def test_of_an_absolute_path_the_last_name_is_left(text: str, told: str) -> None:
    assert without_paths(text) == told


@pytest.mark.parametrize(
    "text",
    ["https://example.org/v1/jobs", "s3://bucket/a/b", "teachers/a.safetensors", "3/4 images, 1 / 2", "and/or", "bfloat16 // 2"],
)
def test_what_is_no_absolute_path_stays(text: str) -> None:
    assert without_paths(text) == text


def test_a_reason_names_no_path_although_nobody_named_it() -> None:
    assert reason_of(ValueError("cannot map /srv/nas/a.parquet")) == "cannot map a.parquet"
    assert reason_of(OSError(28, "No space left on device", "/srv/nas/a.parquet")) == "No space left on device"


@pytest.mark.parametrize("name", ["sun ☀️/x.jpg", "50%/b.jpg", "a&/b.jpg", "cats (new)/b.jpg", "q/☀️/y/x.jpg"])
def test_names_below_the_data_root_keep_their_folders(name: str) -> None:
    text = f"pictures that can be read, unlike {name} (empty), {name} (truncated)"
    assert without_paths(text) == text
