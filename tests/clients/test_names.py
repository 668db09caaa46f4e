"""What DNS says of a name, and what is not known is never called absent; against the local cloud and odd servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.clients.names import Names
from lifeboat.errors import LifeboatError, NameServerFailed, NamesUnreachable, NoAddress, NoSuchName
from lifeboat.model import Resolved

from tests.conftest import RunningCloud
from tests.localcloud import zones
from tests.localcloud.zones import alias, record
from tests.loopback_servers import name_server

MANY = [f"10.9.{number // 250}.{number % 250}" for number in range(100)]
SERVERS = ["ns-2048.awsdns-64.com", "ns-2049.awsdns-65.net", "ns-2050.awsdns-66.org", "ns-2051.awsdns-67.co.uk"]


@pytest.fixture(scope="module")
def there(cloud: RunningCloud) -> zones.Names:
    """Return a cloud with a zone in it, and with the zones that its name servers' own names lie in."""
    there = zones.Names(cloud)
    for server in SERVERS:
        parent = server.partition(".")[2]
        address = there.place[0] if server == SERVERS[0] else "127.0.0.1"  # where nobody listens on that port
        there.change(there.zone(parent), ("CREATE", record(server, "A", address)))
    zone = there.zone("app.test")
    there.create(
        zone,
        record("one.app.test", "A", "10.0.0.1", ttl=30),
        record("two.app.test", "A", "10.0.0.2", "10.0.0.1", ttl=90),
        record("six.app.test", "AAAA", "2001:db8::1", ttl=45),
        record("text.app.test", "TXT", '"only"'),
        record("alias.app.test", "CNAME", "one.app.test", ttl=20),
        record("out.app.test", "CNAME", "elsewhere.example.net", ttl=20),
        record("lost.app.test", "CNAME", "nothing.app.test"),
        record("many.app.test", "A", *MANY),
        alias("balanced.app.test", "A", "Z32O12XQLNTSW2", "app-1.eu-west-1.elb.amazonaws.com"),
    )
    return there


@pytest.fixture(scope="module")
def names(there: zones.Names) -> Names:
    return Names(resolver=there.place)


def stub(place: tuple[str, int]) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [place[0]], place[1]
    return resolver


# -- what is there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "addresses", "ttl"),
    [
        ("one.app.test", ("10.0.0.1",), 30),
        ("ONE.App.Test.", ("10.0.0.1",), 30),
        ("two.app.test", ("10.0.0.1", "10.0.0.2"), 90),
        ("six.app.test", ("2001:db8::1",), 45),
        ("alias.app.test", ("10.0.0.1",), 20),
        ("many.app.test", tuple(sorted(MANY)), 60),
    ],
)
def test_a_name_has_addresses_for_a_time(
    names: Names, there: zones.Names, name: str, addresses: tuple[str, ...], ttl: int
) -> None:
    found = names.addresses(name)

    assert found == Resolved(
        name=name.rstrip("."),
        addresses=addresses,
        ttl=timedelta(seconds=ttl),
        server=f"{there.place[0]}:{there.place[1]}",
    )


@pytest.mark.parametrize("name", ["nothing.app.test", "lost.app.test", "x.y.app.test"])
def test_a_name_that_does_not_exist_is_said_to_be_so(names: Names, name: str) -> None:
    with pytest.raises(NoSuchName, match=f"^{name} does not exist: 127.* knows no ") as absent:
        names.addresses(name)

    assert absent.value.exit_status == 11


@pytest.mark.parametrize("name", ["text.app.test", "app.test"])
def test_a_name_without_address_is_not_one_that_does_not_exist(names: Names, name: str) -> None:
    with pytest.raises(NoAddress, match=f"^{name} has no address: "):
        names.addresses(name)


@pytest.mark.parametrize(("name", "said"), [("balanced.app.test", "SERVFAIL"), ("one.example.org", "REFUSED")])
def test_a_server_that_cannot_say_says_nothing_of_existence(names: Names, name: str, said: str) -> None:
    with pytest.raises(NameServerFailed, match=said) as failed:
        names.addresses(name)

    assert failed.value.exit_status == 8


def test_a_cname_that_leaves_the_server_is_followed_there(names: Names) -> None:
    with pytest.raises(NameServerFailed, match="cannot find out where elsewhere.example.net leads: .*REFUSED"):
        names.addresses("out.app.test")


@pytest.mark.parametrize("name", ["two..dots", f"{'a' * 64}.app.test"])
def test_what_cannot_be_a_name_does_not_exist(names: Names, name: str) -> None:
    with pytest.raises(NoSuchName, match="cannot be a name"):
        names.addresses(name)


# -- odd servers -------------------------------------------------------------------------------------------------------


def test_silence_is_no_answer_and_ends_in_time() -> None:
    started = time.monotonic()

    with name_server(lambda _: None) as place, pytest.raises(NamesUnreachable, match="no answer"):
        Names(resolver=place).addresses("one.app.test", seconds=1.0)

    assert time.monotonic() - started < 2


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        place = reserved.getsockname()

    with pytest.raises(NamesUnreachable):
        Names(resolver=place).addresses("one.app.test", seconds=1.0)


@pytest.mark.parametrize("wire", [b"", b"\x00" * 12, b"garbage that is no message"])
def test_garbage_is_not_an_answer(wire: bytes) -> None:
    with name_server(lambda _: wire) as place, pytest.raises(NamesUnreachable):
        Names(resolver=place).addresses("one.app.test", seconds=0.5)


def test_an_answer_to_another_question_is_not_taken() -> None:
    def other(query: dns.message.Message) -> dns.message.Message:
        query.id ^= 1
        return positive("10.6.6.6")(query)

    with name_server(other) as place, pytest.raises(NamesUnreachable):
        Names(resolver=place).addresses("one.app.test", seconds=0.5)


def test_a_lost_question_is_asked_again() -> None:
    asked: list[dns.message.Message] = []

    def second(query: dns.message.Message) -> dns.message.Message | None:
        asked.append(query)
        return positive("10.0.0.1")(query) if len(asked) > 1 else None

    with name_server(second) as place:
        found = Names(resolver=place).addresses("one.app.test", seconds=6.0)

    assert found.addresses == ("10.0.0.1",)
    assert len(asked) == 2


def test_cnames_without_end_come_to_one() -> None:
    def longer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        owner = query.question[0].name
        response.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", f"x{len(str(owner))}.{owner}"))
        return response

    with name_server(longer) as place, pytest.raises(NameServerFailed, match="more than 8 servers' CNAMEs"):
        Names(resolver=place).addresses("a.test")


def positive(*addresses: str, flags: int = 0, ttl: int = 60) -> Callable[[dns.message.Message], dns.message.Message]:
    """Return a server's behaviour: these addresses for every name."""

    def reply(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= flags
        if query.question[0].rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", *addresses))
        return response

    return reply


@settings(max_examples=40)
@given(rcode=st.integers(0, 22), authoritative=st.booleans())
def test_only_a_clear_no_means_that_a_name_does_not_exist(rcode: int, authoritative: bool) -> None:
    def reply(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode(rcode))
        response.flags |= dns.flags.AA if authoritative else 0
        return response

    with name_server(reply) as place, pytest.raises(LifeboatError) as error:
        Names(resolver=place).addresses("one.app.test", seconds=1.0)

    assert isinstance(error.value, NoSuchName) == (rcode == dns.rcode.NXDOMAIN)
    assert isinstance(error.value, NoAddress) == (rcode == dns.rcode.NOERROR)
    assert not isinstance(error.value, NamesUnreachable)


# -- without a resolver of its own: the zone's servers, not a cache --------------------------------------------------------


def test_the_zones_own_servers_are_asked(there: zones.Names) -> None:
    found = Names(resolver=None, system=stub(there.place), port=there.place[1]).addresses("one.app.test")

    assert found == Resolved(
        name="one.app.test",
        addresses=("10.0.0.1",),
        ttl=timedelta(seconds=30),
        server=f"{there.place[0]}:{there.place[1]}",
    )


def forwarding(there: zones.Names, kept: dict[str, str]) -> Callable[[dns.message.Message], dns.message.Message | None]:
    """Return the behaviour of a cache in front of the cloud that still has old addresses of some names."""

    def reply(query: dns.message.Message) -> dns.message.Message:
        name = query.question[0].name.to_text(omit_final_dot=True)
        if name in kept and query.question[0].rdtype == dns.rdatatype.A:
            return positive(kept[name], ttl=17)(query)
        answer = dns.query.udp(query, there.place[0], port=there.place[1], timeout=5)
        answer.flags &= ~dns.flags.AA
        return answer

    return reply


def test_a_cache_does_not_hide_what_the_zone_says(there: zones.Names) -> None:
    with name_server(forwarding(there, {"one.app.test": "10.9.9.9"})) as cache:
        asking = Names(resolver=None, system=stub(cache), port=there.place[1])

        now, kept = asking.addresses("one.app.test"), asking.cached("one.app.test")

    assert (now.addresses, now.cached) == (("10.0.0.1",), False)
    assert (kept.addresses, kept.ttl, kept.cached) == (("10.9.9.9",), timedelta(seconds=17), True)


def test_a_name_that_only_the_cache_still_knows_does_not_exist(there: zones.Names) -> None:
    with name_server(forwarding(there, {"gone.app.test": "10.9.9.9"})) as cache:
        asking = Names(resolver=None, system=stub(cache), port=there.place[1])

        with pytest.raises(NoSuchName):
            asking.addresses("gone.app.test")


def test_where_the_zones_servers_cannot_be_reached_the_cache_answers_and_is_marked(there: zones.Names) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind((there.place[0], 0))
        unreachable = silent.getsockname()[1]
        asking = Names(resolver=None, system=stub(there.place), port=unreachable)

        found = asking.addresses("one.app.test", seconds=3.0)

    assert (found.addresses, found.cached) == (("10.0.0.1",), True)


def test_where_the_zones_servers_cannot_be_found_the_cache_answers_and_is_marked() -> None:
    def addresses_only(query: dns.message.Message) -> dns.message.Message:
        if query.question[0].rdtype == dns.rdatatype.A:
            return positive("10.0.0.1")(query)
        refusal = dns.message.make_response(query)
        refusal.set_rcode(dns.rcode.REFUSED)
        return refusal

    with name_server(addresses_only) as forwarder:
        found = Names(resolver=None, system=stub(forwarder)).addresses("one.app.test")

    assert (found.addresses, found.cached) == (("10.0.0.1",), True)


def test_a_server_that_is_not_responsible_is_not_believed(there: zones.Names) -> None:
    with name_server(positive("10.6.6.6")) as lame:
        asking = Names(resolver=None, system=stub(there.place), port=lame[1])

        with pytest.raises(NameServerFailed, match=f"127.0.0.1:{lame[1]}: is not responsible for it"):
            asking.addresses("one.app.test")


def test_without_any_way_to_ask_nothing_is_known() -> None:
    with name_server(lambda _: None) as place:
        asking: Any = Names(resolver=None, system=stub(place))

        with pytest.raises(NamesUnreachable):
            asking.addresses("one.app.test", seconds=0.5)


def test_this_machines_resolver_is_read_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object, **__: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", unreadable)
    asking = Names(resolver=None)

    with pytest.raises(NameServerFailed, match="cannot read this machine's resolver configuration"):
        asking.addresses("one.app.test")
