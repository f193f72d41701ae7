"""Architectures: what a search discovered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.arm_costs import quantity
from nas_service.errors import NotFoundError
from nas_service.search.aims import undominated
from nas_service.search.control import Control
from nas_service.storage.models import Architecture, Job
from nas_service.storage.session import database_now, new_id
from search_spaces.genotype import Genotype

_AT_ONCE = 500  # ids in a query


@dataclass(frozen=True)
class Discovery:
    """A genotype to be kept: its rank is its place in the list; a control has a kind, and nothing to be scored by.

    Attributes:
        genotype: What was found.
        score: What the search thought of it.
        cost: Counted.
        control: Of which kind it is, if it is one.
        attacked: What the search thought of its accuracy under attack; None where that is no objective.
    """

    genotype: Genotype
    score: float
    cost: dict[str, Any]
    control: Control | None = None
    attacked: float | None = None


def add_architectures(session: Session, job_id: str, discoveries: Sequence[Discovery]) -> list[Architecture]:
    """Insert the discoveries of a search, best first, and after them its controls."""
    now = database_now(session)
    rows = [
        Architecture(
            id=new_id(),
            job_id=job_id,
            rank=rank,
            genotype=discovery.genotype.to_dict(),
            digest=discovery.genotype.digest,
            score=discovery.score,
            attacked_score=discovery.attacked,
            cost=discovery.cost,
            control=discovery.control,
            created_at=now,
        )
        for rank, discovery in enumerate(discoveries, start=1)
    ]
    session.add_all(rows)
    session.flush()
    return rows


def origin_of(row: Architecture) -> dict[str, Any]:
    """Return what a bundle says of an architecture's place in its search: rank and score, or its kind if it is a control."""
    return {"rank": row.rank, "score": row.score} if row.control is None else {"control": row.control}


def get_architecture(session: Session, architecture_id: str) -> Architecture:
    """Return an architecture.

    Raises:
        NotFoundError: If there is none of that id.
    """
    row = session.get(Architecture, architecture_id)
    if row is None:
        kind = "architecture"
        raise NotFoundError(kind, architecture_id)
    return row


def find_architectures(session: Session, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the genotypes of those architectures that are there, by id."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(keys), _AT_ONCE):
        query = select(Architecture.id, Architecture.genotype).where(Architecture.id.in_(keys[start : start + _AT_ONCE]))
        found |= {row.id: row.genotype for row in session.execute(query)}
    return found


def controls_among(session: Session, keys: Collection[str]) -> dict[str, Control]:
    """Return of which kind those of the architectures are that are controls, by id."""
    query = select(Architecture.id, Architecture.control).where(Architecture.id.in_(keys), Architecture.control.is_not(None))
    return {row.id: Control(row.control) for row in session.execute(query)}


def searched_spaces(session: Session, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return the spaces, name and settings, that these architectures were found in, each once."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(keys), _AT_ONCE):
        searches = select(Architecture.job_id).where(Architecture.id.in_(keys[start : start + _AT_ONCE]))
        specs = session.scalars(select(Job.spec).where(Job.id.in_(searches)).order_by(Job.id))
        found += [space for spec in specs if (space := spec["space"]) not in found]
    return found


def pareto_set(session: Session, job_id: str) -> list[Architecture]:
    """Return those architectures of a search, by rank, that no other of them beats in score and in what it trades.

    Of a search that trades none: in OPs and packed bytes. What one that trades kept is the set already: scores are coarser than
    what it was found by. Empty if there is no such search.
    """
    spec = session.scalar(select(Job.spec).where(Job.id == job_id))
    found = select(Architecture).where(Architecture.job_id == job_id, Architecture.control.is_(None))
    rows = list(session.scalars(found.order_by(Architecture.rank)))
    if spec is None or spec.get("objectives"):
        return rows
    points = [(row.score, *(-quantity(row.cost, name) for name in ("ops", "packed_bytes"))) for row in rows]
    return [rows[place] for place in undominated(points)]


def list_architectures(
    session: Session, *, limit: int, before: str | None = None, job_id: str | None = None, controls: bool = False
) -> list[Architecture]:
    """Return architectures, newest first, older than the id `before`; those of one search in order of rank.

    They are what searches discovered, or with `controls` what they drew for comparison.
    """
    query = select(Architecture).where(Architecture.control.is_not(None) if controls else Architecture.control.is_(None))
    query = query.limit(limit)
    if job_id is not None:
        # Ids grow with the rank, so this is the order of rank.
        query = query.where(Architecture.job_id == job_id).order_by(Architecture.id)
        return list(session.scalars(query.where(Architecture.id > before) if before else query))
    query = query.order_by(Architecture.id.desc())
    return list(session.scalars(query.where(Architecture.id < before) if before else query))
