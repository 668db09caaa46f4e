"""What DNS says of a name: asked of one resolver, or of the zone's own name servers, so that no cache answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.message import QueryMessage
from dns.name import Name
from dns.rdatatype import RdataType

from lifeboat.errors import LifeboatError, NameServerFailed, NamesUnreachable, NoAddress, NoSuchName
from lifeboat.model import Resolved

Place = tuple[str, int]
ANSWER_SECONDS = 5.0
_ATTEMPT_SECONDS = 2.0  # until the next server is asked
_LONGEST_CHAIN = 8
_DNS_PORT = 53

_Ask = Callable[[Name, RdataType, float], tuple[QueryMessage, str]]


class Names:
    """The public names of one environment.

    `resolver` is the server that answers for all of them (a local cloud's); without one, the servers of a name's zone
    are found through `system`, this machine's resolver, and asked on `port`.
    """

    def __init__(
        self, *, resolver: Place | None, system: dns.resolver.Resolver | None = None, port: int = _DNS_PORT
    ) -> None:
        self._resolver = resolver
        self._own = system
        self._port = port

    def addresses(self, name: str, *, seconds: float = ANSWER_SECONDS) -> Resolved:
        """Return where a name leads now.

        Raises NoSuchName or NoAddress only when a server that must know says so; NameServerFailed and NamesUnreachable
        when nobody could say. Where the zone's servers cannot be found or reached from here, this machine's resolver
        answers and the result is marked `cached`.
        """
        if self._resolver is not None:
            return _followed(name, self._from_resolver, seconds)
        try:
            return _followed(name, self._from_authority, seconds)
        except NamesUnreachable:
            return self.cached(name, seconds=seconds)

    def cached(self, name: str, *, seconds: float = ANSWER_SECONDS) -> Resolved:
        """Return where this machine's resolver says that a name leads, which may be as old as its TTL."""
        if self._resolver is not None:
            return _followed(name, self._from_resolver, seconds)
        return replace(_followed(name, self._from_system, seconds), cached=True)

    # -- whom to ask ---------------------------------------------------------------------------------------------------

    def _from_resolver(self, name: Name, kind: RdataType, deadline: float) -> tuple[QueryMessage, str]:
        assert self._resolver is not None
        return _first_definite([self._resolver], name, kind, deadline, needed=dns.flags.Flag(0))

    def _from_authority(self, name: Name, kind: RdataType, deadline: float) -> tuple[QueryMessage, str]:
        try:
            servers = self._servers_of(name, deadline)
        except NameServerFailed as error:
            # Some resolvers pass on questions for addresses alone. Nobody who must know has been asked yet.
            raise NamesUnreachable(error.summary) from error
        return _first_definite(servers, name, kind, deadline, needed=dns.flags.AA)

    def _from_system(self, name: Name, kind: RdataType, deadline: float) -> tuple[QueryMessage, str]:
        servers = [(str(server), self._system.port) for server in self._system.nameservers]
        return _first_definite(servers, name, kind, deadline, needed=dns.flags.Flag(0))

    def _servers_of(self, name: Name, deadline: float) -> list[Place]:
        """Return the addresses of the name servers that the zone of a name is delegated to."""
        with _translated(f"find the name servers of {_plain(name)}"):
            zone = dns.resolver.zone_for_name(name, resolver=self._system, lifetime=_left(deadline))
            servers = self._system.resolve(zone, "NS", lifetime=_left(deadline))
        places, problems = list[Place](), list[LifeboatError]()
        for server in sorted(rdata.target.to_text() for rdata in servers):
            try:
                found = _followed(server, self._from_system, _left(deadline))
            except LifeboatError as problem:
                problems.append(problem)
            else:
                places += [(address, self._port) for address in found.addresses]
        if not places:
            said = "; ".join(problem.summary for problem in problems)
            raise NameServerFailed(f"no name server of {_plain(zone)} has an address: {said}")
        return sorted(places, key=lambda place: ":" in place[0])  # IPv4 first: this machine may have nothing else

    @property
    def _system(self) -> dns.resolver.Resolver:
        if self._own is None:
            with _translated("read this machine's resolver configuration"):
                self._own = dns.resolver.Resolver()
        return self._own


def _followed(name: str, ask: _Ask, seconds: float) -> Resolved:
    """Return the addresses at the end of a name's CNAMEs, asking anew wherever they leave what one server knows."""
    deadline = time.monotonic() + seconds
    try:
        current = dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise NoSuchName(f"{name} cannot be a name: {error}") from error
    ttl = float("inf")
    for _ in range(_LONGEST_CHAIN):
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            reply, server = ask(current, kind, deadline)
            with _translated(f"understand what {server} says of {name}"):
                chain = reply.resolve_chaining()
            if reply.rcode() == dns.rcode.NXDOMAIN:
                raise NoSuchName(f"{name} does not exist: {server} knows no {_plain(chain.canonical_name)}")
            if chain.answer is not None:
                return Resolved(
                    name=_plain(dns.name.from_text(name)),
                    addresses=tuple(sorted(rdata.address for rdata in chain.answer)),
                    ttl=timedelta(seconds=min(ttl, chain.minimum_ttl)),
                    server=server,
                )
            if chain.canonical_name != current:
                break
        else:
            raise NoAddress(f"{name} has no address: {server} has no A and no AAAA record of {_plain(current)}")
        ttl = min(ttl, *(rrset.ttl for rrset in chain.cnames))
        current = chain.canonical_name
    raise NameServerFailed(f"{name} leads through more than {_LONGEST_CHAIN} servers' CNAMEs")


def _first_definite(
    servers: Sequence[Place], name: Name, kind: RdataType, deadline: float, *, needed: dns.flags.Flag
) -> tuple[QueryMessage, str]:
    """Return the first answer that says what is there, or that nothing is, with who gave it.

    `needed` is the flag that such an answer must have: AA where only the zone's own word counts.
    """
    problems: dict[str, str] = {}
    heard = False
    for address, port in [*servers, *servers]:  # twice: UDP loses packets
        if _left(deadline) <= 0:
            break
        server = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        try:
            reply, _ = dns.query.udp_with_fallback(
                dns.message.make_query(name, kind, use_edns=0, payload=1232),
                address,
                timeout=min(_ATTEMPT_SECONDS, _left(deadline)),
                port=port,
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except dns.exception.Timeout:
            problems[server] = "no answer"
            continue
        except (OSError, EOFError, dns.exception.DNSException) as error:
            problems[server] = str(error) or type(error).__name__
            continue
        assert isinstance(reply, QueryMessage)  # as an answer to a question is
        heard = True
        if reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and reply.flags & needed == needed:
            return reply, server
        problems[server] = dns.rcode.to_text(reply.rcode())
        if reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            problems[server] = "is not responsible for it"
    said = "; ".join(f"{server}: {problem}" for server, problem in problems.items()) or "no time was left to ask"
    kind_of_failure = NameServerFailed if heard else NamesUnreachable
    raise kind_of_failure(f"cannot find out where {_plain(name)} leads: {said}")


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn dnspython's errors into ours; "I could not ask" never becomes "there is no such name"."""
    try:
        yield
    except (dns.resolver.LifetimeTimeout, dns.exception.Timeout, OSError) as error:
        raise NamesUnreachable(f"cannot {what}: {error}") from error
    except dns.exception.DNSException as error:
        raise NameServerFailed(f"cannot {what}: {str(error) or type(error).__name__}") from error


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _plain(name: Name) -> str:
    return name.to_text(omit_final_dot=True)
