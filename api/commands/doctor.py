"""`nas doctor`: what is wrong with a set-up, and what to do about it."""

from collections import Counter

import typer

from api.commands.options import Json
from api.console import print_json, say
from api.doctor.cluster import see_cluster
from api.doctor.database import see_database
from api.doctor.findings import Check, Finding, Level, examine
from api.doctor.installation import read_settings, see_compiler, see_gpus, see_proxies, see_variables, see_versions
from api.doctor.places import see_data, see_home, see_memory, see_store
from api.doctor.service import see_port, see_service
from nas_service.logs import silence_logs
from nas_service.storage.schema import head_revision

CHECKS = (
    Check("variables", see_variables),
    Check("proxies", see_proxies),
    Check("versions", see_versions),
    Check("compiler", see_compiler),
    Check("gpu", see_gpus),
    Check("home", see_home),
    Check("store", see_store),
    Check("data", see_data),
    Check("memory", see_memory),
    Check("database", see_database),
    Check("ray", see_cluster),
    Check("port", see_port),
    Check("service", see_service),
)


def doctor(as_json: Json = False) -> None:  # noqa: FBT002 - typer's way
    """Look at everything that a service stands on, and say what is wrong and what to do; status 1 if something is broken.

    Run it where the service runs, in the same environment. It changes nothing, and takes less than 15 seconds.
    """
    silence_logs()
    head_revision()  # reads every migration: once, before anything is timed
    settings, found = read_settings()
    found += examine(CHECKS, settings)
    if as_json:
        print_json([_plain(finding) for finding in found])
    else:
        for finding in found:
            _tell(finding)
        _sum_up(found)
    if any(finding.level is Level.BROKEN for finding in found):
        raise typer.Exit(1)


def _plain(finding: Finding) -> dict[str, object]:
    return {"check": finding.check, "level": finding.level.value, "said": finding.said, "advice": finding.advice}


def _tell(finding: Finding) -> None:
    say(f"{finding.level.value:<8} {finding.check:<11} {finding.said}")
    if finding.advice:
        say(f"{'':<8} {'':<11} -> {finding.advice}")


def _sum_up(found: list[Finding]) -> None:
    counts = Counter(finding.level for finding in found)
    bad = [
        f"{counts[level]} {word}"
        for level, word in ((Level.BROKEN, "broken"), (Level.WARNING, "to be warned of"))
        if counts[level]
    ]
    say(", ".join(bad) if bad else "nothing is wrong")
