"""Named results: architectures and a teacher that a training names; what of them only database and store know. No resource."""

from typing import Any

from api.deps import Service
from nas_service.catalogue import build_space
from nas_service.checking.drafts import Draft
from nas_service.checking.specs import Place
from nas_service.data.facts import DatasetFacts
from nas_service.errors import NotFoundError
from nas_service.lifecycle import CandidateState
from nas_service.specs import TrainingSpec
from nas_service.storage import candidates, jobs
from nas_service.storage.architectures import find_architectures, searched_spaces
from nas_service.storage.artifacts import get_artifact
from nas_service.storage.session import Session
from search_spaces.errors import InvalidFieldError


class NamedResults:
    """Looks up what a training names, and complains about what is not there or does not fit.

    Attributes:
        genotypes: Of the architectures that are there, as `Genotype.to_dict`.
    """

    def __init__(self, service: Service, place: Place) -> None:
        """Keep where to look."""
        self._service = service
        self._place = place
        self.genotypes: list[dict[str, object]] = []

    def check(self, draft: Draft[TrainingSpec], facts: DatasetFacts | None) -> None:
        """Look at the architectures and the teacher of a training; `facts` are those of its dataset, if it has any."""
        with self._service.database.read() as session:
            self._check_architectures(session, draft)
            if draft.spec.teacher is not None and draft.sound("teacher"):
                self._check_teacher(session, draft, draft.spec.teacher, facts)

    def _check_architectures(self, session: Session, draft: Draft[TrainingSpec]) -> None:
        """Refuse architectures that no search found, or that are not of the space as it is named."""
        keys = draft.spec.architectures
        found = find_architectures(session, keys)
        space = build_space(draft.spec.space) if draft.sound("space") else None
        for index, key in enumerate(keys):
            field = f"architectures.{index}"
            if not draft.sound(field):
                continue
            if key not in found:
                draft.complain(field, key, "an id that GET /v1/architectures lists")
                continue
            self.genotypes.append(found[key])
            try:
                if space is not None:
                    space.parse(found[key])
            except InvalidFieldError as error:
                draft.complain(field, key, f"an architecture of the space that is named ({error})")
        if space is not None and draft.spec.space.settings.get("template") is None:
            self._check_template(draft, space.template, searched_spaces(session, keys))

    def _check_template(self, draft: Draft[TrainingSpec], default: str, searched: list[dict[str, Any]]) -> None:
        """Refuse to leave the template to a default that is not the one of the search: that would be another network."""
        for space in searched:
            template = space.get("settings", {}).get("template")
            if template not in {None, default}:
                allowed = f"{template}, as it was searched, or another template by name; left out it would be {default}"
                draft.complain("space.settings.template", None, allowed)
                return

    def _check_teacher(self, session: Session, draft: Draft[TrainingSpec], teacher: str, facts: DatasetFacts | None) -> None:
        """Refuse a teacher that cannot teach: not trained, without its file, of another space, of other images or classes."""
        try:
            row = candidates.get_candidate(session, teacher)
        except NotFoundError:
            row = None
        if row is None or row.state != CandidateState.SUCCEEDED.value:
            draft.complain("teacher", teacher, "the id of a trained candidate")
            return
        try:
            key = get_artifact(session, teacher, "safetensors").key
        except NotFoundError:
            key = ""
        if not key or not self._service.store.exists(key):
            draft.complain("teacher", teacher, "a candidate whose weights are still in the artifact store")
            return
        own = TrainingSpec.model_validate(jobs.get_job(session, row.job_id).spec)
        if draft.sound("space") and build_space(own.space) != build_space(draft.spec.space):
            draft.complain("teacher", teacher, f"a candidate of the same space: {draft.spec.space.model_dump_json()}")
        elif facts is not None:
            self._check_images(draft, teacher, own, facts)

    def _check_images(self, draft: Draft[TrainingSpec], teacher: str, own: TrainingSpec, facts: DatasetFacts) -> None:
        try:
            seen = self._place.datasets.facts(own.dataset)
        except ValueError as error:  # of a file, or of a setting that an earlier version took
            draft.complain("teacher", teacher, f"a candidate whose dataset can still be read ({error})")
            return
        if (seen.channels, len(seen.class_names)) != (facts.channels, len(facts.class_names)):
            wanted = f"images of {facts.channels} channel(s) and {len(facts.class_names)} classes"
            draft.complain("teacher", teacher, f"a candidate that was trained on {wanted}")
