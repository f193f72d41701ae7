"""The doctor on this installation: settings, variables, proxies, versions, a compiler, GPUs."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx
from packaging.requirements import Requirement
from pydantic import ValidationError

from api.commands.environment import misspelt, unknown
from api.commands.failures import told
from api.doctor.findings import Finding, broken, note, ok, warning
from nas_service.connections import connect_http, is_loopback
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from nas_service.storage.artifacts import S3

OURS = "nas-service"
COMPILERS = ("cc", "gcc", "clang")
_SHOWN = ("torch", "ray", "sqlalchemy", "fastapi")
_TORCH_S = 8.0  # it takes seconds to load
_GPUS = "import torch; print(torch.cuda.device_count())"
_NVIDIA = Path("/dev/nvidia0")


def read_settings() -> tuple[Settings, list[Finding]]:
    """Return the settings of the environment, with defaults in the place of what is not allowed, and what that is."""
    try:
        return Settings(), [ok("settings", "every one is allowed")]
    except ValidationError as error:
        wrong = {str(entry["loc"][0]).lower() for entry in error.errors()}
        found = [broken("settings", said, "mend the variable, or unset it") for said in told(error) or ()]
        defaults = {name: Settings.model_fields[name].get_default() for name in wrong if name in Settings.model_fields}
        return Settings(**defaults), found


def see_variables(settings: Settings) -> Iterator[Finding]:
    """Look for variables that mean to be settings."""
    del settings
    names, near = unknown(os.environ), misspelt(os.environ)
    for name in names:
        said = f"{name} is no setting and changes nothing"
        if name in near:
            yield warning("variables", said, f"write {near[name]}, if that is meant")
        else:
            yield note("variables", said, "unset it, unless another program reads it")
    if not names:
        yield ok("variables", "every NAS_ variable is a setting")


def see_proxies(settings: Settings) -> Iterator[Finding]:
    """Look whether what is asked over HTTP is asked through a proxy."""
    urls = [settings.url, *([settings.ray_jobs_url] if settings.launcher == "ray-job" else [])]
    found = False
    for url in urls:
        try:
            host, scheme = httpx.URL(url).host, httpx.URL(url).scheme
        except httpx.InvalidURL:
            continue  # another check's matter
        try:
            connect_http(url, 1.0).close()
        except NotReadyError as error:
            said, _, advice = str(error).rpartition("; ")
            found = True
            yield broken("proxies", said, advice)
            continue
        named = {*getproxies()} & {scheme, "all"}
        if host and named and not is_loopback(host) and not proxy_bypass(host):
            found = True
            said = f"{host} is asked through a proxy that the environment names ({min(named).upper()}_PROXY)"
            yield warning("proxies", said, f"put {host} into NO_PROXY, unless that is meant")
    if not found:
        yield ok("proxies", "none stands between")


def see_versions(settings: Settings) -> Iterator[Finding]:
    """Look whether the packages are there, in versions that this one was made for."""
    try:
        lines = requires(OURS) or []
    except PackageNotFoundError:
        yield note("versions", f"{OURS} is not installed as a package, so nobody says what it needs", "`pip install` it")
        return
    extras = [""]
    extras += ["postgres"] if settings.database_url.startswith("postgresql") else []
    extras += ["s3"] if settings.artifacts.partition("://")[0] in S3 else []
    wrong = False
    for requirement in map(Requirement, lines):
        if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong = True
            yield broken("versions", f"{requirement.name} is not installed", f"`pip install '{requirement}'`")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong = True
            said = f"{requirement.name} is {found}; this version of {OURS} was made for {requirement.specifier}"
            yield warning("versions", said, f"`pip install '{requirement.name}{requirement.specifier}'`")
    if not wrong:
        shown = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
        yield ok("versions", f"{OURS} {version(OURS)} on Python {platform.python_version()}, {shown}")


def see_compiler(settings: Settings) -> Iterator[Finding]:
    """Look for a C compiler."""
    del settings
    here = next((name for name in COMPILERS if shutil.which(name)), None)
    if here is None:
        yield note("compiler", "there is no C compiler here", "install gcc or clang, if C of bundles should be tried here")
    else:
        yield ok("compiler", f"{here} compiles C")


def see_gpus(settings: Settings) -> Iterator[Finding]:
    """Ask torch, in a process of its own, whether it sees GPUs of this machine."""
    del settings
    try:
        words = [sys.executable, "-c", _GPUS]
        asked = subprocess.run(words, check=False, capture_output=True, text=True, timeout=_TORCH_S)  # noqa: S603 - our own words
    except subprocess.TimeoutExpired:
        yield note("gpu", f"torch did not load within {_TORCH_S:g} s", "look again when the machine is less busy")
        return
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"])[-1]
        yield broken("gpu", f"torch does not load: {last[:300]}", "install torch anew")
    elif int(asked.stdout) > 0:
        yield ok("gpu", f"torch sees {int(asked.stdout)} GPU(s)")
    elif _NVIDIA.exists():
        advice = "install a torch that is built for CUDA, and a driver that is new enough for it"
        yield warning("gpu", "this machine has an NVIDIA device, and torch sees no GPU", advice)
    else:
        yield note("gpu", "torch sees no GPU here: jobs of this machine run on its processors")
