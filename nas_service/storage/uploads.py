"""Uploads in parts to S3 that nobody ended: no reader ever sees them, and the store keeps their parts all the same."""

import time
from dataclasses import dataclass
from typing import Any

from fsspec.spec import AbstractFileSystem


@dataclass(frozen=True)
class Upload:
    """An upload in parts.

    Attributes:
        key: What it would have become.
        identifier: The store's name of it.
        size_bytes: Of the parts that arrived.
    """

    key: str
    identifier: str
    size_bytes: int


def unfinished(files: AbstractFileSystem, root: str, age_s: float) -> list[Upload]:
    """Return the uploads below a root (`bucket/prefix`) that were begun at least `age_s` seconds ago and never ended."""
    bucket, _, prefix = root.partition("/")
    below = f"{prefix}/" if prefix else ""
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": below}
    found: list[Upload] = []
    while True:
        page = files.call_s3("list_multipart_uploads", **asked)
        for entry in page.get("Uploads", []):
            if entry["Key"].startswith(below) and time.time() - entry["Initiated"].timestamp() >= age_s:
                listed = files.call_s3("list_parts", Bucket=bucket, Key=entry["Key"], UploadId=entry["UploadId"])
                size = sum(part["Size"] for part in listed.get("Parts", []))
                found.append(Upload(entry["Key"].removeprefix(below), entry["UploadId"], size))
        if not page.get("IsTruncated"):
            return found
        asked |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def abort(files: AbstractFileSystem, root: str, upload: Upload) -> None:
    """End an upload: its parts go."""
    bucket, _, prefix = root.partition("/")
    key = f"{prefix}/{upload.key}" if prefix else upload.key
    files.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload.identifier)
