"""Elastic addresses that answer: a listener on each, passing on to the host that it is associated with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from moto.core.base_backend import BackendDict
from moto.ec2.models import elastic_ip_addresses
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend

from localcloud import hosts
from localcloud.cloud import Cloud
from localcloud.forwarders import Place
from localcloud.operations import Answer, Call, around

LOG = logging.getLogger("localcloud.hosts")
_SWITCHBOARDS: list[Switchboard] = []


@around("ec2", "AssociateAddress", "DisassociateAddress", "ReleaseAddress")
def follow(call: Call, proceed: Callable[[], Answer]) -> Answer:
    """Move the listeners after an association changed."""
    answer = proceed()
    for switchboard in _SWITCHBOARDS:
        switchboard.connect()
    return answer


class Switchboard:
    """The listeners of all elastic addresses of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._hosts = hosts.of(cloud)
        self._lock = threading.Lock()
        self._open: dict[Place, str] = {}

    def connect(self) -> None:
        """Listen on every associated address on the ports that its host publishes, and nowhere else."""
        with self._lock:
            wanted = self._wanted()
            listening = self._hosts.forwarders.listening()
            for place, instance_id in list(self._open.items()):
                if wanted.get(place) != instance_id or place not in listening:
                    self._hosts.forwarders.close(place)
                    del self._open[place]
            for place, instance_id in wanted.items():
                if place not in self._open:
                    self._listen(place, instance_id)

    def _listen(self, place: Place, instance_id: str) -> None:
        try:
            self._hosts.forwarders.open(place, lambda: self._target(instance_id, place[1]))
        except OSError:
            LOG.exception("cannot listen on elastic address %s:%s", *place)
            return
        self._open[place] = instance_id

    def _wanted(self) -> dict[Place, str]:
        wanted: dict[Place, str] = {}
        for backend in _backends(self._cloud):
            for address in list(backend.addresses):
                instance = address.instance or (address.eni.instance if address.eni else None)
                host = self._hosts.running(instance.id) if instance else None
                if host is not None and not host.ended.is_set():
                    places = [(str(address.public_ip), port) for port in host.engine.published()]
                    wanted.update(dict.fromkeys(places, host.instance_id))
        return wanted

    def _target(self, instance_id: str, port: int) -> Place | None:
        """Return where a connection goes; nowhere unless a security group of the instance lets somebody in."""
        host = self._hosts.running(instance_id)
        if host is None:
            return None
        rules = [rule for group in host.instance.nics[0].group_set for rule in group.ingress_rules]
        allowed = any(
            rule.ip_protocol == "-1" or (rule.ip_protocol == "tcp" and rule.from_port <= port <= rule.to_port)
            for rule in rules
        )
        return (host.address, port) if allowed else None


def _backends(cloud: Cloud) -> list[Any]:
    return [
        backend
        for group in list(BackendDict._instances)
        if group.service_name == "ec2"
        for account, _region, backend in group.iter_backends()
        if account == cloud.account_id
    ]


def install(cloud: Cloud) -> None:
    """Give out loopback addresses, and listen on them."""
    switchboard = Switchboard(cloud)
    _SWITCHBOARDS.append(switchboard)
    elastic_ip_addresses.random_ip = lambda: cloud.new_address("elastic")
    associate = ElasticAddressBackend.associate_address

    def associate_address(self: Any, *arguments: Any, **named: Any) -> Any:
        before = {address.public_ip: address.eni for address in self.addresses}
        address = associate(self, *arguments, **named)
        left = before.get(address.public_ip)
        if left is not None and left is not address.eni:
            left.public_ip = None
        return address

    ElasticAddressBackend.associate_address = associate_address
    hosts.of(cloud).on_change(switchboard.connect)
