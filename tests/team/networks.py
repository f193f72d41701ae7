"""Networks of containers: a bridge for each, and a network stack of its own for every container on them."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


def ip(*words: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Networks:
    """Bridges on this machine, without a way out; who is on none of a container's networks cannot be reached by it."""

    def __init__(self, services: Mapping[str, Any], instances: Mapping[str, Sequence[str]]) -> None:
        """Give every instance of a service an address in each of its networks."""
        self._members: dict[str, dict[str, str]] = {}  # network -> instance -> address
        self._service_of = {instance: name for name, every in instances.items() for instance in every}
        for name, service in services.items():
            for network in service.get("networks") or ():
                members = self._members.setdefault(network, {})
                for instance in instances[name]:
                    members[instance] = f"10.88.{sorted(_names(services)).index(network)}.{len(members) + 2}"

    def make(self) -> None:
        """Make the bridges; call it once, in a network namespace of one's own."""
        for number, (_, members) in enumerate(sorted(self._members.items())):
            bridge = f"br{number}"
            ip("link", "add", bridge, "type", "bridge")
            ip("address", "add", f"{next(iter(members.values())).rpartition('.')[0]}.1/24", "dev", bridge)
            ip("link", "set", bridge, "up")
        for place, instance in enumerate(self._service_of):
            ip("netns", "add", instance)
            ip("-n", instance, "link", "set", "lo", "up")
            for number, (_, members) in enumerate(sorted(self._members.items())):
                if instance in members:
                    outer, inner = f"v{place}x{number}", f"eth{number}"
                    ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", instance)
                    ip("link", "set", outer, "master", f"br{number}", "up")
                    ip("-n", instance, "address", "add", f"{members[instance]}/24", "dev", inner)
                    ip("-n", instance, "link", "set", inner, "up")

    def hosts(self, instance: str) -> str:
        """Return what a container's /etc/hosts says: itself, and the services on its networks by name."""
        lines = ["127.0.0.1 localhost"]
        mine = [members for _, members in sorted(self._members.items()) if instance in members]
        lines += [f"{members[instance]} {instance}" for members in mine]
        lines += [f"{address} {self._service_of[other]}" for members in mine for other, address in members.items()]
        return "\n".join(lines) + "\n"

    def address(self, instance: str, network: str) -> str:
        """Return the address of a container in a network."""
        return self._members[network][instance]


def _names(services: Mapping[str, Any]) -> set[str]:
    return {network for service in services.values() for network in service.get("networks") or ()}
