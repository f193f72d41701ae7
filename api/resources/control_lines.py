"""What was gained over controls, read from the database. Not a resource of its own."""

from collections.abc import Sequence

from nas_service.beside_controls import ControlLine, beside_controls
from nas_service.storage.session import Session
from nas_service.storage.trained import spent_steps, training_facts
from nas_service.trained import TrainedCandidate, TrainingFacts


def control_lines(session: Session, candidates: Sequence[TrainedCandidate], facts: Sequence[TrainingFacts]) -> list[ControlLine]:
    """Return what candidates, on the same data and told apart by their labels, show of controls."""
    searches = {entry.found.search for entry in candidates if entry.found.control is not None}
    return beside_controls(candidates, facts, spent_steps(session, searches)) if searches else []


def control_lines_by_training(session: Session, candidates: Sequence[TrainedCandidate]) -> list[ControlLine]:
    """Return the same of any candidates, each training by itself."""
    lines = []
    for training in dict.fromkeys(entry.training for entry in candidates if entry.found.control is not None):
        own = [entry for entry in candidates if entry.training == training]
        lines += control_lines(session, own, training_facts(session, [training]))
    return lines
