"""A client made from docs/openapi.json, with nothing of this project: `python examples/generated_client.py`.

It needs httpx, datamodel-code-generator (which `make setup` installs) and a service at NAS_URL (`make serve`). Other languages
have generators of their own (openapi-typescript, openapi-generator ...); what they read is the same file.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import httpx

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"
URL = os.environ.get("NAS_URL", "http://127.0.0.1:8000")


def generated(folder: str) -> ModuleType:
    """Make pydantic models of every body and reply, and import them."""
    options = ["--input-file-type=openapi", "--output-model-type=pydantic_v2.BaseModel", "--formatters=builtin"]
    command = [sys.executable, "-m", "datamodel_code_generator", f"--input={DOCUMENT}", f"--output={folder}/models.py", *options]
    subprocess.run(command, check=True)
    sys.path.insert(0, folder)
    return importlib.import_module("models")


def main() -> None:
    """Submit a search, be refused another, and print what the service told of both."""
    with tempfile.TemporaryDirectory() as folder:
        models = generated(folder)
    with httpx.Client(base_url=URL, timeout=60) as http:
        spec = models.SearchSpec(space={"name": "tiny"}, dataset={"name": "digits"}, name="from a generated client")
        body = spec.model_dump(mode="json", exclude_unset=True)
        job = models.JobView.model_validate_json(http.post("/v1/searches", json=body).raise_for_status().content)
        print(f"{job.kind} {job.id} is {job.state.value}: {job.spec['space']['name']} on {job.spec['dataset']['name']}")
        refused = http.post("/v1/searches", json={**body, "space": {"name": "tyni"}})
        problem = models.Problem.model_validate_json(refused.content)
        print(f"{refused.status_code}: {problem.errors[0].field}: {problem.errors[0].allowed}")


if __name__ == "__main__":
    main()
