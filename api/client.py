"""The client: the API as Python calls. Needs httpx, pydantic and rich, neither torch nor Ray; `async_client` is for event loops.

Example:
    with NasClient() as client:
        search = client.search(space="tiny", dataset="digits").wait()
        for arm in search.arms():
            print(arm.cell, arm.edge, arm.operation, arm.mean)
"""

from api.following import StreamMessage
from api.markup import Drawing
from api.refusals import ApiError, BrokenReplyError, NotSucceededError, StillAtWorkError, UnansweredError
from api.rows import Rows
from api.synchronous.client import NasClient
from api.synchronous.jobs import Job, Registration, Search, Training
from api.synchronous.results import Architecture, Candidate
from nas_service.connections import AddressError
from nas_service.errors import NasError, NotReadyError
from search_spaces.errors import InvalidFieldError

__all__ = [
    "AddressError",
    "ApiError",
    "Architecture",
    "BrokenReplyError",
    "Candidate",
    "Drawing",
    "InvalidFieldError",
    "Job",
    "NasClient",
    "NasError",
    "NotReadyError",
    "NotSucceededError",
    "Registration",
    "Rows",
    "Search",
    "StillAtWorkError",
    "StreamMessage",
    "Training",
    "UnansweredError",
]
