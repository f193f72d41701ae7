"""Settings: the only place that reads the environment, but for a client's one address (`connections.service_url`)."""

from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nas_service.connections import DEFAULT_URL
from nas_service.secret_files import read_secret, with_password

LogFormat = Literal["auto", "json", "text"]

_NAME = r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
_SITE = r"https?://[A-Za-z0-9._\[\]:-]+"


class Settings(BaseSettings):
    """What an installation may set, each as the environment variable NAS_<NAME>.

    The defaults are the embedded service: SQLite, local files, one driver at a time, local Ray, loopback only.
    """

    model_config = SettingsConfigDict(env_prefix="NAS_", frozen=True)

    home: Path = Field(Path(".nas"), description="Folder for the database, artifacts, logs and data of an embedded service.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite at <home>/nas.db.")
    database_password_file: Path | None = Field(
        None, description="File that holds the password of the user whom NAS_DATABASE_URL names; unset: that URL has it."
    )
    artifact_url: str = Field("", description="fsspec URL of the artifact store; empty: <home>/artifacts.")
    data_root: Path | None = Field(None, description="Folder that datasets are read from; unset: <home>/data.")
    scratch: Path | None = Field(
        None, description="Folder of one driver for what need not outlive it; launchers set it, each driver its own."
    )
    url: str = Field(DEFAULT_URL, description="Address of the service, for the CLI and the client.")
    host: str = Field("127.0.0.1", description="Address that `nas serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that `nas serve` listens on; 0: any free one.")
    allowed_hosts: str = Field(
        "",
        pattern=rf"^({_NAME}(,{_NAME})*)?$",
        description="Names that the service goes by besides localhost, NAS_HOST and any number, with commas between; "
        "`*.example.org`: all below.",
    )
    allowed_origins: str = Field(
        "",
        pattern=rf"^({_SITE}(,{_SITE})*)?$",
        description="Sites whose pages may ask besides the service's own, with commas between, as `https://example.org`.",
    )
    require_keys: bool = Field(
        False,  # noqa: FBT003 - pydantic's default
        description="Whether a key is needed on loopback too (`nas keys`); off loopback one always is.",
    )
    key_requests_per_s: float = Field(50.0, gt=0, le=1e6, description="Requests a second that one key may send for long.")
    key_jobs: int = Field(
        0, ge=0, le=1_000_000, description="Jobs not over that the keys of one owner may have together; 0: as many as they like."
    )
    key_samples: int = Field(
        0,
        ge=0,
        le=10**12,
        description="Samples that the searches of one owner that are not over may take together; 0: as many as they like.",
    )
    key_streams: int = Field(
        64, ge=0, le=100_000, description="Streams of events that one key may have open; 0: as many as the service serves."
    )
    audit_days: float = Field(
        90.0, gt=0, le=36500, description="Days that audit events are kept: what was changed by whom (`nas audit`)."
    )
    key: SecretStr = Field(SecretStr(""), description="Key of the command line and the client, for a service that asks for one.")
    controller: bool = Field(True, description="Whether the API process runs the controller loop.")  # noqa: FBT003 - pydantic's default
    launcher: str = Field("child-process", description="How drivers start: child-process, or ray-job on a cluster.")
    ray_address: str = Field("local", description="Ray cluster a driver connects to; local: one of its own.")
    ray_jobs_url: str = Field(
        "http://127.0.0.1:8265",
        description="Ray's job server, for the ray-job launcher; the cluster's `python` needs this project.",
    )
    ray_auth_token: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("ray_auth_token", "RAY_AUTH_TOKEN"),
        description="Token of Ray's job server; read from Ray's own variable RAY_AUTH_TOKEN.",
    )
    ray_auth_token_path: Path | None = Field(
        None,
        validation_alias=AliasChoices("ray_auth_token_path", "RAY_AUTH_TOKEN_PATH"),
        description="File that holds that token, where the variable does not; read from Ray's own RAY_AUTH_TOKEN_PATH.",
    )
    object_store_bytes: int = Field(200_000_000, ge=80_000_000, description="Object store of a local Ray.")
    max_concurrent_jobs: int = Field(1, ge=1, le=1000, description="Searches and trainings that may run at once.")
    max_concurrent_registrations: int = Field(
        1, ge=1, le=1000, description="Registrations that may run at once, whatever else is at work."
    )
    owner_jobs: int = Field(
        0, ge=0, le=1000, description="Searches and trainings of one owner that may run at once; 0: any number."
    )
    turn_s: float = Field(
        600.0,
        gt=0,
        description="Seconds of running by which an owner may be ahead of another that waits, before its jobs make room; who had "
        "none lately need not wait.",
    )
    lease_s: float = Field(30.0, gt=0, description="Seconds after which a silent driver counts as lost.")
    start_limit_s: float = Field(180.0, gt=0, description="Seconds that a driver may take to start.")
    leave_s: float = Field(4.0, gt=0, description="Seconds that a driver may take to let go of a job that should end or rest.")
    stall_s: float = Field(300.0, gt=0, description="Seconds without any progress that are never a stall once there was some.")
    stall_factor: float = Field(5.0, ge=1, description="A stall is longer than so many times the usual time between two signs.")
    first_progress_s: float = Field(3600.0, gt=0, description="Seconds without any progress that are a stall before the first.")
    max_stalls: int = Field(3, ge=1, description="Attempts in a row without progress after which a job fails.")
    poll_s: float = Field(0.5, gt=0, description="Seconds between two looks of the controller.")
    litter_s: float = Field(
        60.0, ge=0, description="Seconds that files which nobody needs stay: a process that is being ended may still write them."
    )
    checkpoint_s: float = Field(20.0, gt=0, description="Seconds between two checkpoints of a candidate's training.")
    log_format: LogFormat = Field("auto", description="Lines of the log: json, text, or auto: text on a terminal, else json.")
    max_body_bytes: int = Field(1_000_000, ge=1000, description="Largest request body.")
    header_timeout_s: float = Field(10.0, gt=0, le=600, description="Seconds that a client has to send a request's headers.")
    body_timeout_s: float = Field(30.0, gt=0, le=3600, description="Seconds that a client has to send a request's body.")
    request_lock_s: float = Field(
        2.0, gt=0, le=60, description="Seconds that a request waits for another writer of the database."
    )
    request_statement_s: float = Field(
        5.0, gt=0, le=600, description="Seconds that a request waits for one statement; PostgreSQL only."
    )
    min_free_bytes: int = Field(
        200_000_000, ge=0, description="Free space of the home, and of a local artifact store, under which readiness is degraded."
    )
    step_limit_s: float = Field(30.0, gt=0, description="Seconds without a good step of the controller that end readiness.")
    max_streams: int = Field(256, ge=1, le=100_000, description="Streams of events that a process of the API serves at once.")
    page_limit: int = Field(200, ge=1, le=10_000, description="Most entries in one page of a list.")
    dataset_cache_bytes: int = Field(
        20_000_000_000, ge=0, description="Decoded images kept under <home>/cache; the least recently used go first."
    )
    dataset_by_value_bytes: int = Field(
        2**29,
        ge=0,
        description="Images of a search or training up to this size reach its processes through Ray; "
        "more are copied once into the cache of each node that needs them.",
    )
    bundled_test_bytes: int = Field(
        4_000_000,
        ge=0,
        description="Test images up to this size, and up to 256 MiB, go into a bundle, eight into the self-test of its C.",
    )

    @field_validator("home", "data_root", "scratch")
    @classmethod
    def _is_text(cls, path: Path | None) -> Path | None:
        """Refuse what SQLite and fsspec could not be told of: names of files that are no UTF-8."""
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise ValueError("a path in UTF-8") from error
        return path

    @cached_property
    def database(self) -> str:
        """URL of the database.

        Raises:
            NotReadyError: If its password should be in a file, and is not.
        """
        url = self.database_url or f"sqlite:///{quote(str(self.home.resolve() / 'nas.db'))}"
        if self.database_password_file is None:
            return url
        return with_password(url, read_secret(self.database_password_file, "NAS_DATABASE_PASSWORD_FILE"))

    @property
    def ray_token(self) -> str:
        """Token of Ray's job server; empty: it asks for none.

        Raises:
            NotReadyError: If it should be in a file, and is not.
        """
        given = self.ray_auth_token.get_secret_value()
        if given or self.ray_auth_token_path is None:
            return given
        return read_secret(self.ray_auth_token_path, "RAY_AUTH_TOKEN_PATH").strip()  # as Ray reads it

    @cached_property
    def artifacts(self) -> str:
        """URL of the artifact store."""
        # As it is: fsspec reads no escapes, and would keep files under another name.
        return self.artifact_url or f"file://{self.home.resolve() / 'artifacts'}"

    @cached_property
    def data(self) -> Path:
        """Folder that datasets are read from."""
        return self.data_root if self.data_root is not None else self.home / "data"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names that the service goes by, besides localhost."""
        return tuple(name for name in (self.host, *self.allowed_hosts.split(",")) if name)

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Origins of pages that may ask, besides the service's own."""
        return tuple(site for site in self.allowed_origins.split(",") if site)

    @cached_property
    def dataset_cache(self) -> Path:
        """Folder for the cache of decoded images."""
        return self.home / "cache"

    def environment(self) -> dict[str, str]:
        """Return the settings as the environment variables that give them back."""
        # Child processes inherit Ray's own variables; a secret has no place in a copy.
        values = self.model_dump(mode="json", exclude_none=True, exclude={"ray_auth_token", "ray_auth_token_path", "key"})
        return {f"NAS_{name.upper()}": str(value) for name, value in values.items()}

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of this machine."""
        return not self.database_url or self.database_url.startswith("sqlite")
