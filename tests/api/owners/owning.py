"""A service that asks for keys, with everything that a project can have, all of it one project's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fastapi.testclient import TestClient
from sqlalchemy import select, update

from nas_service.access import Scope, Whose
from nas_service.settings import Settings
from nas_service.storage import access_keys
from nas_service.storage.artifacts import ArtifactStore, StoredFile, record_artifact
from nas_service.storage.models import Candidate, DatasetRow, Job
from nas_service.storage.session import Database
from tests.api.whole_training import write_training
from tests.nas_service.data.files import write_folder
from tests.workers.conftest import carried_out

MARK = "secret"  # in every name that the owner gave
ADA, BOB = Whose("ada", "vision"), Whose("bob", "audio")
DATASET = {"name": f"{MARK}-pets", "kind": "image-folder", "settings": {"path": "pictures"}}


@dataclass(frozen=True)
class Owned:
    """What there is, all of it Ada's.

    Attributes:
        keys: By who has them: ada, grace (of the same project), reader (who only reads there), bob (of another), boss (who may
            administer).
        search: Id of a search that is over, with samples, arms and architectures.
        architecture: Id of one of these.
        training: Id of a training of them that is over.
        candidate: Id of one of its candidates, with a bundle.
        registration: Id of the one that the dataset came by.
        dataset: Its name.
    """

    keys: Mapping[str, str]
    search: str
    architecture: str
    training: str
    candidate: str
    registration: str
    dataset: str

    def headers(self, who: str) -> dict[str, str]:
        """Return what shows somebody's key; the request's id is the same each time, so that replies can be compared."""
        return {"Authorization": f"Bearer {self.keys[who]}", "X-Request-ID": "compared"}

    @property
    def told(self) -> list[str]:
        """What nobody else may read."""
        return [MARK, self.search, self.architecture, self.training, self.candidate, self.registration, '"ada"']


def make_keys(database: Database) -> dict[str, str]:
    """Make keys of two projects and of an administrator."""
    wanted = {
        "ada": ("ada", Scope.SUBMIT, "vision"),
        "grace": ("grace", Scope.SUBMIT, "vision"),
        "reader": ("reader", Scope.READ, "vision"),
        "bob": ("bob", Scope.SUBMIT, "audio"),
        "boss": ("boss", Scope.ADMIN, "operations"),
    }
    with database.write() as session:
        return {
            name: access_keys.create_key(session, owner, scope, timedelta(days=1), project)[1]
            for name, (owner, scope, project) in wanted.items()
        }


def write_owned(settings: Settings, client: TestClient, search: str, architectures: list[str]) -> Owned:
    """Write the rest of it beside a search and its architectures."""
    settings.data.mkdir(exist_ok=True)
    write_folder(settings.data)
    database, store = Database(settings.database), ArtifactStore(settings.artifacts)
    keys = make_keys(database)
    registered = client.post("/v1/datasets", json=DATASET, headers={"Authorization": f"Bearer {keys['ada']}"})
    assert registered.status_code == 202, registered.text
    assert carried_out(settings) == 0
    with database.write() as session:
        training = write_training(session, architectures)
        candidate = session.scalars(select(Candidate.id).where(Candidate.job_id == training).limit(1)).one()
        store.put("bundle.zip", b"the bundle")
        record_artifact(session, candidate, "bundle", StoredFile.of("bundle.zip", b"the bundle"))
        session.execute(update(Job).values(owner=ADA.owner, project=ADA.project, name=f"{MARK} work", note=MARK))
        session.execute(update(Job).where(Job.id == training).values(parent_id=search))
        dataset = session.scalars(select(DatasetRow)).one()
        assert (dataset.owner, dataset.project) == (ADA.owner, ADA.project), "as its registration"
    database.close()
    return Owned(keys, search, architectures[0], training, candidate, registered.json()["id"], DATASET["name"])  # type: ignore[arg-type] # a text
