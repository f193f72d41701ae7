"""/usage: what jobs held, by owner."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import ServiceDep
from api.system_views import OwnersUsageView, UsageView
from nas_service.storage.usage import usage_by_owner

router = APIRouter(prefix="/usage", tags=["system"])


@router.get("", summary="What the jobs of every owner held: processors and GPUs, times seconds")
def get_usage(
    service: ServiceDep,
    since: Annotated[date | None, Query(description="Only from this day on, in UTC.")] = None,
    until: Annotated[date | None, Query(description="Only up to this day, that included.")] = None,
) -> UsageView:
    """Count what actors and trials asked of Ray, for as long as they had it, of jobs that were deleted since, too."""
    with service.database.read() as session:
        owners = [OwnersUsageView.model_validate(row) for row in usage_by_owner(session, since, until)]
    return UsageView(since=since, until=until, owners=owners)
