"""Earlier searches as priors of later ones: what their spec names, read from the database."""

from nas_service.catalogue import build_space
from nas_service.errors import InvalidInputError, NotFoundError
from nas_service.search.earlier import PriorSearch
from nas_service.specs import Component, FromSearch, SearchSpec
from nas_service.storage import jobs
from nas_service.storage.samples import history_of
from nas_service.storage.session import Session
from search_spaces.errors import InvalidFieldError


def prior_of(session: Session, spec: SearchSpec) -> PriorSearch | None:
    """Return the samples that a search begins from; None: it begins from none.

    Committed samples never change, and a search that others began from is not deleted before they are: the same spec always gives
    the same samples.

    Raises:
        NotFoundError: If the other search is gone.
    """
    return None if spec.from_search is None else earlier_search(session, spec.from_search)


def earlier_search(session: Session, given: FromSearch) -> PriorSearch:
    """Return the samples of a search, as many as are asked for, if there are so many.

    Raises:
        NotFoundError: If there is no such search.
    """
    space = Component.model_validate(jobs.get_job(session, given.search, jobs.SEARCH).spec["space"])
    return PriorSearch(build_space(space), history_of(session, given.search, until=given.samples))


def hold_earlier(session: Session, spec: SearchSpec) -> None:
    """Keep the other search from being deleted before the search that begins from it is queued.

    Raises:
        InvalidInputError: If it is gone.
    """
    given = spec.from_search
    if given is not None and not jobs.hold(session, given.search):
        raise InvalidInputError([InvalidFieldError("from_search.search", given.search, "the id of a search that is there")])


def find_earlier(session: Session, given: FromSearch) -> PriorSearch | None:
    """As `earlier_search`; None if there is no such search."""
    try:
        return earlier_search(session, given)
    except NotFoundError:
        return None
