"""Candidates as they are shown: rows, with what only their trainings know. Not a resource of its own."""

from collections.abc import Sequence

from api.views import CandidateView
from nas_service.likeness import planned_epochs
from nas_service.storage.architectures import controls_among
from nas_service.storage.models import Candidate
from nas_service.storage.session import Session
from nas_service.storage.trained import training_facts


def candidate_views(session: Session, rows: Sequence[Candidate], *, listed: bool = False) -> list[CandidateView]:
    """Return candidates with the epochs that they are trained; `listed` leaves out the figures of every class."""
    read = CandidateView.listed if listed else CandidateView.model_validate
    facts = {training.id: training for training in training_facts(session, {row.job_id for row in rows})}
    controls = controls_among(session, {row.architecture_id for row in rows})
    return [
        read(row).model_copy(
            update={
                "epochs_total": planned_epochs(facts[row.job_id], row.method),
                "control": controls.get(row.architecture_id),
            }
        )
        for row in rows
    ]
