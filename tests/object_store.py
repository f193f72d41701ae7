"""A real server of S3 on this machine: SeaweedFS in one process, on free ports."""

import json
import secrets
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import s3fs
from botocore.exceptions import BotoCoreError

from tests.clusters import free_port
from tests.waiting import wait_until

_SERVER = Path(sys.executable).parent / "weed"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


@dataclass(frozen=True)
class ObjectStore:
    """A running server.

    Attributes:
        environment: With which AWS's own clients find it.
    """

    environment: Mapping[str, str]

    def files(self) -> s3fs.S3FileSystem:
        """Return a client of its own, beside the store's."""
        return s3fs.S3FileSystem(
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            key=self.environment["AWS_ACCESS_KEY_ID"],
            secret=self.environment["AWS_SECRET_ACCESS_KEY"],
            use_listings_cache=False,
        )

    def new_store(self) -> str:
        """Make a bucket and return the URL of a store in it."""
        bucket = f"nas-{uuid.uuid4().hex}"
        self.files().mkdir(bucket)
        return f"s3://{bucket}/artifacts"


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Run a server inside the block, with its files in a folder."""
    key, secret, users = secrets.token_hex(8), secrets.token_hex(16), folder / "s3.json"
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    users.write_text(
        json.dumps(
            {"identities": [{"name": "nas", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}]}
        )
    )
    ports = {name: free_port() for name in (*_PORTS, *(f"{name}.grpc" for name in _PORTS))}
    command = [str(_SERVER), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={users}"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=0"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3.port']}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        store = ObjectStore(environment)
        wait_until(lambda: _is_up(store, server, folder), bool)
        yield store
    finally:
        server.kill()  # asked to end it takes half a minute
        server.wait()


def _is_up(store: ObjectStore, server: subprocess.Popen[bytes], folder: Path) -> bool:
    assert server.poll() is None, (folder / "log").read_text()[-2000:]
    try:
        with socket.create_connection(("127.0.0.1", int(store.environment["AWS_ENDPOINT_URL"].rpartition(":")[2]))):
            pass
        store.files().pipe_file(store.new_store().removeprefix("s3://") + "/up", b"x")
    except (OSError, BotoCoreError):  # it does not listen yet, or has no volume yet
        return False
    return True
