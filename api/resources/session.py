"""/session: a browser shows a key once and gets a cookie; /keys: who may use the service."""

from fastapi import APIRouter, HTTPException, Request, Response, status
from fastapi.concurrency import run_in_threadpool

from api.deps import ServiceDep
from api.errors import documented
from api.gate import COOKIE, cookie_of
from api.key_views import KeySpec, KeyView, NewKeyView, SessionView, Shown
from api.request_facts import address_of
from nas_service.access import Caller
from nas_service.storage import access_keys, audit
from nas_service.storage.access_keys import SESSION_LASTS
from nas_service.storage.session import Database

router = APIRouter(tags=["access"])


@router.get("/session", summary="Who calls", responses=documented(429))
async def get_session(service: ServiceDep, request: Request) -> SessionView:
    """Tell whose key or cookie came with the request, if any, and whether one is needed."""
    gate = service.gate
    address = address_of(request.scope)
    caller = None if gate is None else await gate.caller(request.headers, address)
    if gate is not None and caller is not None:
        gate.let_ask(caller, address)
    return SessionView.of(caller, keys=gate is not None)


@router.post("/session", summary="Log a browser in", responses=documented(401, 429))
async def begin_session(service: ServiceDep, request: Request, response: Response, shown: Shown) -> SessionView:
    """Take a key and give a cookie that is good for twelve hours, or until the key is void; scripts cannot read it."""
    gate = service.gate
    if gate is None:
        return SessionView.of(None, keys=False)
    address = address_of(request.scope)
    caller = await gate.caller_of(shown.key.get_secret_value().strip(), address)
    if caller is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "no valid key")
    gate.let_ask(caller, address)
    cookie = await run_in_threadpool(_begin, service.database, caller)
    is_secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    response.set_cookie(COOKIE, cookie, int(SESSION_LASTS.total_seconds()), secure=is_secure, httponly=True, samesite="strict")
    return SessionView.of(caller, keys=True)


@router.delete("/session", summary="Log a browser out", status_code=status.HTTP_204_NO_CONTENT)
async def end_session(service: ServiceDep, request: Request, response: Response) -> None:
    """Forget the browser."""
    gate, cookie, address = service.gate, cookie_of(request.headers), address_of(request.scope)
    caller = await gate.caller_of(cookie, address, is_browser=True) if gate is not None and cookie else None
    if gate is not None and caller is not None:
        gate.let_ask(caller, address)
        await run_in_threadpool(_end, service.database, cookie, caller)
        gate.forget(cookie)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get("/keys", summary="List keys")
def list_keys(service: ServiceDep) -> list[KeyView]:
    """Return all keys without their secrets, also void ones, oldest first."""
    with service.database.read() as session:
        return [KeyView.model_validate(row) for row in access_keys.list_keys(session)]


@router.post("/keys", summary="Make a key", status_code=status.HTTP_201_CREATED)
def create_key(service: ServiceDep, spec: KeySpec) -> NewKeyView:
    """Make a key; its text is shown this once."""
    with service.database.write() as session:
        row, text = access_keys.create_key(session, spec.owner, spec.scope, spec.lasts, spec.project)
        audit.name_resource(row.prefix)
        return NewKeyView.model_validate(KeyView.model_validate(row).model_dump() | {"text": text})


@router.delete("/keys/{prefix}", summary="Make a key void", responses=documented(404))
def revoke_key(service: ServiceDep, prefix: str) -> KeyView:
    """Make a key void for good, within five seconds, with every browser that showed it."""
    with service.database.write() as session:
        return KeyView.model_validate(access_keys.revoke(session, prefix))


def _begin(database: Database, caller: Caller) -> str:
    audit.name_doer(caller)
    with database.write() as session:
        return access_keys.begin_session(session, caller)


def _end(database: Database, cookie: str, caller: Caller) -> None:
    audit.name_doer(caller)
    with database.write() as session:
        access_keys.end_session(session, cookie)
