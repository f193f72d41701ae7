"""The client for event loops: the calls of `api.client`, each with `await`; lists are gone through with `async for`, or awaited.

Example:
    async with AsyncNasClient() as client:
        search = await client.search(space="tiny", dataset="digits")
        await search.wait()
        print((await search.arms()).to_pandas())
"""

from api.asynchronous.client import AsyncNasClient
from api.asynchronous.jobs import AsyncJob, AsyncRegistration, AsyncSearch, AsyncTraining
from api.asynchronous.results import AsyncArchitecture, AsyncCandidate
from api.rows import AsyncRows

__all__ = [
    "AsyncArchitecture",
    "AsyncCandidate",
    "AsyncJob",
    "AsyncNasClient",
    "AsyncRegistration",
    "AsyncRows",
    "AsyncSearch",
    "AsyncTraining",
]
