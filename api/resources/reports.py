"""/searches/{id}/report.html: a search on one page."""

from fastapi import APIRouter, Request, Response

from api.deps import Service, ServiceDep
from api.errors import file_reply
from api.resources.control_lines import control_lines_by_training
from api.resources.etags import tagged
from api.resources.jobs import NOT_FOUND
from nas_service.catalogue import build_space
from nas_service.export.report import ReportedArchitecture, SearchRecord, write_report
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import Component
from nas_service.storage import architectures, jobs, samples
from nas_service.storage.trained import trained_of
from search_spaces.genotype import Genotype

router = APIRouter(prefix="/searches", tags=["searches"])

_SHOWN = 20  # architectures on the page
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def _record(service: Service, search_id: str) -> SearchRecord:
    with service.database.read() as session:
        job = jobs.get_job(session, search_id, jobs.SEARCH)
        times = {"submitted": job.created_at, "started": job.started_at, "ended": job.finished_at}
        trained = trained_of(session, search_id=search_id)
        found = architectures.list_architectures(session, limit=_SHOWN, job_id=search_id)
        return SearchRecord(
            id=job.id,
            name=job.name,
            state=job.state,
            error=job.error,
            times={name: f"{time:%Y-%m-%d %H:%M:%S} UTC" for name, time in times.items() if time is not None},
            spec=job.spec,
            space=build_space(Component.model_validate(job.spec["space"])),
            arm_facts=STRATEGIES.get(Component.model_validate(job.spec["strategy"]).name).arm_facts,
            standings=samples.standings_of(session, search_id),
            arms=samples.list_arms(session, search_id),
            found=[
                ReportedArchitecture(row.id, row.rank, row.score, Genotype.from_dict(row.genotype), row.cost, row.attacked_score)
                for row in found
            ],
            trained=trained,
            controls=control_lines_by_training(session, trained),
        )


@router.get(
    "/{job_id}/report.html",
    summary="The search on one page",
    response_class=Response,
    responses=NOT_FOUND | file_reply("text/html"),
)
def get_report(service: ServiceDep, request: Request, job_id: str) -> Response:
    """Return HTML that needs neither script nor network: samples, arms, architectures, trained candidates, how to repeat it."""
    reply = tagged(request, write_report(_record(service, job_id)).encode(), "text/html")
    reply.headers["Content-Security-Policy"] = _POLICY
    return reply
