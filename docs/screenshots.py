"""Pictures of every page with the recorded search and training: `python -m docs.screenshots [FOLDER]` (`make screenshots`).

Needs Chromium and the package playwright. Three looks: light and dark at 1,440 pixels, and a phone of 390.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, sync_playwright

from api.client import NasClient
from api.commands.embedded import embedded_service
from nas_service.settings import Settings

PICTURES = Path(__file__).resolve().parent / "pictures"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTLED = """() => !document.querySelector('.skeleton') && [...document.images].every((image) => image.complete)"""
DRAWN_MS = 1500  # for pictures that ask for more once they are there
TALLEST = {"search": 1070}  # pixels: what is further down is a table
LOOKS = {"light": (1440, 900, "light"), "dark": (1440, 900, "dark"), "phone": (390, 844, "light")}


def pages(client: NasClient) -> dict[str, str]:
    """Return the path of a page of every kind, by name."""
    search = client.searches()[0]
    training = client.trainings()[0]
    middle = client.search(search.id).progress
    half = getattr(middle, "samples", 0) // 2
    best, second = [row.id for row in client.architectures(search=search.id)][:2]
    return {
        "jobs": "/",
        "new": "/new",
        "search": f"/searches/{search.id}",
        "replay": f"/searches/{search.id}?at={half}",
        "architecture": f"/architectures/{best}",
        "difference": f"/architectures/{best}?compare={second}",
        "training": f"/trainings/{training.id}",
        "system": "/system",
    }


@contextmanager
def demo_service(home: Path) -> Iterator[str]:
    """Serve a home that holds the recording and nothing else."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAS_")} | {"NAS_HOME": str(home)}
    command = [sys.executable, "-m", "api.cli", "demo"]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - the project's own program
    with embedded_service(Settings(home=home)) as address:
        yield address


def take(browser: Browser, address: str, paths: dict[str, str], folder: Path) -> None:
    """Write one picture a page and look."""
    for look, (width, height, scheme) in LOOKS.items():
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
        )
        for name, path in paths.items():
            page = context.new_page()
            page.goto(address + path)
            page.wait_for_selector("main h1")
            page.wait_for_timeout(DRAWN_MS)
            whole = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": width, "height": max(height, whole)})  # what is out of sight is not drawn
            page.wait_for_function(SETTLED)
            page.wait_for_timeout(DRAWN_MS)
            tall = min(max(height, whole), TALLEST.get(name, whole) if look != "phone" else whole)
            cut: FloatRect = {"x": 0, "y": 0, "width": width, "height": tall}
            page.screenshot(path=folder / f"{name}-{look}.png", full_page=True, clip=cut)
            page.close()
            print(f"{name}-{look}.png")  # noqa: T201 - a program for people
        context.close()


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium here: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, demo_service(Path(home)) as address, NasClient(address) as client:
        paths = pages(client)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            take(browser, address, paths, folder)
            browser.close()


if __name__ == "__main__":
    main()
