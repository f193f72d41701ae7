"""The project's containers: started in the order that docker-compose.yml asks for, each when what it waits for is there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.team.container import Container, Place
from tests.team.networks import Networks

RUN = "run"  # the one container that `docker compose run` makes, a second instance of its service
VOLUME_OWNERS = {"database": 999, "home": 10001, "store": 0}  # as their places are in the images


class Engine:
    """What `docker compose` does, as far as this project needs it."""

    def __init__(self, project: dict[str, Any], folder: Path, tell: Callable[[str], None]) -> None:
        """Plan instances and networks; nothing is started yet."""
        self.services: dict[str, Any] = project["services"]
        self._secrets, self._folder, self._tell = project.get("secrets") or {}, folder, tell
        self.instances: dict[str, list[str]] = {name: _instances(name, service) for name, service in self.services.items()}
        self.networks = Networks(self.services, self.instances | {"api": [*self.instances["api"], RUN]})
        self.containers: dict[str, Container] = {}

    def make(self) -> None:
        """Make networks and volumes; call it once, in namespaces of one's own."""
        self.networks.make()
        for volume, owner in VOLUME_OWNERS.items():
            place = self._folder / "volumes" / volume
            place.mkdir(parents=True)
            os.chown(place, owner, owner)

    def up(self, *wanted: str) -> None:
        """Start services and what they wait for; those that run are left alone."""
        for name in wanted or self.services:
            for other, needed in (self.services[name].get("depends_on") or {}).items():
                self.up(other)
                for instance in self.instances[other]:
                    container = self.containers[instance]
                    if needed["condition"] == "service_healthy":
                        container.wait_healthy()
                    elif needed["condition"] == "service_completed_successfully":
                        container.wait_completed()
            for instance in self.instances[name]:
                if instance not in self.containers:
                    self.start(instance)

    def start(self, instance: str) -> None:
        """Start one container, anew if it was stopped."""
        self.containers[instance] = self._container(instance)
        self.containers[instance].start()

    def run(self, service: str, command: Sequence[str]) -> str:
        """Run a command in a new container of a service, and return what it printed."""
        assert service == "api"
        container = self._container(RUN, service, command)
        container.start()
        container.wait_completed()
        return container.log.read_text()

    def wait_healthy(self) -> None:
        """Wait until every container that has a health check is content."""
        for instance, container in self.containers.items():
            if "healthcheck" in self.services[self._service_of(instance)]:
                container.wait_healthy()

    def stop(self, instance: str) -> float:
        """Stop one container; return how many seconds it took."""
        took_s = self.containers[instance].stop()
        self._tell(f"{instance} stopped after {took_s:.1f} s")
        return took_s

    def down(self) -> None:
        """Stop everything, what was started last first."""
        for instance in reversed(list(self.containers)):
            if self.containers[instance].is_running:
                self.stop(instance)

    def _container(self, instance: str, service: str | None = None, command: Sequence[str] = ()) -> Container:
        place = Place(instance, self._folder / "containers", self._folder / "volumes", self.networks.hosts(instance))
        return Container(self.services[service or self._service_of(instance)], self._secrets, place, command)

    def _service_of(self, instance: str) -> str:
        return next(name for name, every in self.instances.items() if instance in every)


def _instances(name: str, service: dict[str, Any]) -> list[str]:
    count = int((service.get("deploy") or {}).get("replicas", 1))
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
