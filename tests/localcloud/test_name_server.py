"""The name server of the local cloud, asked with a real DNS client: what it answers, over UDP and TCP, and when."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.update
import pytest

from tests.conftest import RunningCloud, free_port, open_folder, own_network, start_cloud, stop_cloud
from tests.localcloud.zones import SECONDS, Names, alias, record

MANY = [f"10.9.{number // 250}.{number % 250}" for number in range(100)]


@pytest.fixture(scope="module")
def names(cloud: RunningCloud) -> Names:
    return Names(cloud)


@pytest.fixture(scope="module")
def shop(names: Names) -> str:
    """Return a zone with a record of every kind, and a second zone that its records lead to."""
    other = names.zone("other.test")
    names.create(other, record("cdn.other.test", "A", "10.1.0.9", ttl=20))
    zone = names.zone("shop.test")
    names.create(
        zone,
        record("app.shop.test", "A", "10.1.0.1", "10.1.0.2"),
        record("app.shop.test", "AAAA", "2001:db8::1", ttl=90),
        record("app.shop.test", "TXT", '"one two" "three"', '"four"'),
        record("www.shop.test", "CNAME", "App.shop.test"),
        record("cdn.shop.test", "CNAME", "cdn.other.test."),
        record("away.shop.test", "CNAME", "elsewhere.example.net"),
        record("lost.shop.test", "CNAME", "nothing.shop.test"),
        record("ring.shop.test", "CNAME", "ring2.shop.test"),
        record("ring2.shop.test", "CNAME", "ring.shop.test"),
        record("*.pages.shop.test", "A", "10.1.0.3"),
        record("own.pages.shop.test", "A", "10.1.0.4"),
        record("a.b.deep.shop.test", "A", "10.1.0.5"),
        record("shop.test", "MX", "10 mail.shop.test", "20 mail2.shop.test"),
        record("_sip._tcp.shop.test", "SRV", "1 2 5060 app.shop.test"),
        record("team.shop.test", "NS", "ns1.team.example.net", "ns2.team.example.net", ttl=300),
        record("many.shop.test", "A", *MANY),
        record("heavy.shop.test", "A", "10.2.0.1", SetIdentifier="all", Weight=255),
        record("heavy.shop.test", "A", "10.2.0.2", SetIdentifier="none", Weight=0),
        record("both.shop.test", "A", "10.3.0.1", SetIdentifier="1", MultiValueAnswer=True),
        record("both.shop.test", "A", "10.3.0.2", SetIdentifier="2", MultiValueAnswer=True, ttl=30),
        alias("alias.shop.test", "A", zone, "app.shop.test"),
        alias("far.shop.test", "A", other, "cdn.other.test"),
        alias("balanced.shop.test", "A", "Z32O12XQLNTSW2", "app-1.eu-west-1.elb.amazonaws.com"),
    )
    return zone


# -- what is there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "lines"),
    [
        ("app.shop.test", "A", ["app.shop.test. 60 IN A 10.1.0.1", "app.shop.test. 60 IN A 10.1.0.2"]),
        ("app.shop.test", "AAAA", ["app.shop.test. 90 IN AAAA 2001:db8::1"]),
        ("app.shop.test", "TXT", ['app.shop.test. 60 IN TXT "four"', 'app.shop.test. 60 IN TXT "one two" "three"']),
        ("www.shop.test", "CNAME", ["www.shop.test. 60 IN CNAME App.shop.test."]),
        ("shop.test", "MX", ["shop.test. 60 IN MX 10 mail.shop.test.", "shop.test. 60 IN MX 20 mail2.shop.test."]),
        ("_sip._tcp.shop.test", "SRV", ["_sip._tcp.shop.test. 60 IN SRV 1 2 5060 app.shop.test."]),
        ("any.pages.shop.test", "A", ["any.pages.shop.test. 60 IN A 10.1.0.3"]),
        ("x.y.pages.shop.test", "A", ["x.y.pages.shop.test. 60 IN A 10.1.0.3"]),
        ("own.pages.shop.test", "A", ["own.pages.shop.test. 60 IN A 10.1.0.4"]),
        ("alias.shop.test", "A", ["alias.shop.test. 60 IN A 10.1.0.1", "alias.shop.test. 60 IN A 10.1.0.2"]),
        ("far.shop.test", "A", ["far.shop.test. 20 IN A 10.1.0.9"]),
        ("heavy.shop.test", "A", ["heavy.shop.test. 60 IN A 10.2.0.1"]),
        ("both.shop.test", "A", ["both.shop.test. 30 IN A 10.3.0.1", "both.shop.test. 30 IN A 10.3.0.2"]),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_record_is_answered_with_its_values_and_ttl(names: Names, name: str, kind: str, lines: list[str]) -> None:
    answer = names.ask(name, kind)

    assert names.values(name, kind) == lines
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert not answer.flags & dns.flags.RA


@pytest.mark.usefixtures("shop")
def test_a_zone_names_its_servers_and_its_authority(names: Names) -> None:
    servers = names.values("shop.test", "NS")
    authority = names.values("shop.test", "SOA")

    assert servers == [
        "shop.test. 172800 IN NS ns-2048.awsdns-64.com.",
        "shop.test. 172800 IN NS ns-2049.awsdns-65.net.",
        "shop.test. 172800 IN NS ns-2050.awsdns-66.org.",
        "shop.test. 172800 IN NS ns-2051.awsdns-67.co.uk.",
    ]
    assert authority == [
        "shop.test. 900 IN SOA ns-2048.awsdns-64.com. hostmaster.example.com. 1 7200 900 1209600 86400"
    ]


@pytest.mark.usefixtures("shop")
def test_names_are_the_same_in_any_case_and_are_echoed_as_asked(names: Names) -> None:
    answer = names.ask("ApP.ShOp.TeSt")

    assert [str(rrset.name) for rrset in answer.answer] == ["ApP.ShOp.TeSt."]


@pytest.mark.usefixtures("shop")
def test_a_cname_is_followed_through_the_zones_of_the_cloud(names: Names) -> None:
    assert names.values("www.shop.test") == [
        "App.shop.test. 60 IN A 10.1.0.1",
        "App.shop.test. 60 IN A 10.1.0.2",
        "www.shop.test. 60 IN CNAME App.shop.test.",
    ]
    assert names.values("cdn.shop.test") == [
        "cdn.other.test. 20 IN A 10.1.0.9",
        "cdn.shop.test. 60 IN CNAME cdn.other.test.",
    ]


@pytest.mark.usefixtures("shop")
def test_a_cname_that_leads_out_of_the_cloud_is_given_for_the_asker_to_follow(names: Names) -> None:
    answer = names.ask("away.shop.test")

    assert answer.rcode() == dns.rcode.NOERROR
    assert names.values("away.shop.test") == ["away.shop.test. 60 IN CNAME elsewhere.example.net."]
    assert answer.authority == []


@pytest.mark.usefixtures("shop")
def test_cnames_in_a_ring_come_to_an_end(names: Names) -> None:
    assert len(names.values("ring.shop.test")) == 2


@pytest.mark.usefixtures("shop")
def test_weights_share_the_answers(names: Names, shop: str) -> None:
    names.create(
        shop,
        record("light.shop.test", "A", "10.4.0.1", SetIdentifier="1", Weight=1),
        record("light.shop.test", "A", "10.4.0.2", SetIdentifier="2", Weight=1),
    )

    given = {names.values("light.shop.test")[0].split()[-1] for _ in range(64)}

    assert given == {"10.4.0.1", "10.4.0.2"}


# -- what is not there -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shop")
def test_a_name_that_does_not_exist_is_told_from_one_without_such_a_record(names: Names) -> None:
    absent = names.ask("nothing.shop.test")
    without = names.ask("app.shop.test", "CAA")

    assert (absent.rcode(), without.rcode()) == (dns.rcode.NXDOMAIN, dns.rcode.NOERROR)
    assert absent.answer == without.answer == []
    for answer in (absent, without):
        assert [str(rrset.name) for rrset in answer.authority] == ["shop.test."]
        assert answer.authority[0].rdtype == dns.rdatatype.SOA
        assert answer.authority[0].ttl == 900


@pytest.mark.parametrize("name", ["b.deep.shop.test", "deep.shop.test", "pages.shop.test", "_tcp.shop.test"])
@pytest.mark.usefixtures("shop")
def test_a_name_above_another_exists_without_records_of_its_own(names: Names, name: str) -> None:
    answer = names.ask(name)

    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.usefixtures("shop")
def test_a_wildcard_does_not_cover_a_name_that_exists(names: Names) -> None:
    answer = names.ask("own.pages.shop.test", "TXT")

    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.usefixtures("shop")
def test_a_cname_to_nothing_says_so(names: Names) -> None:
    answer = names.ask("lost.shop.test")

    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert [rrset.to_text() for rrset in answer.answer] == ["lost.shop.test. 60 IN CNAME nothing.shop.test."]


@pytest.mark.parametrize("name", ["shop.example.com", "test", ".", "badshop.test"])
@pytest.mark.usefixtures("shop")
def test_other_peoples_names_are_refused(names: Names, name: str) -> None:
    answer = names.ask(name)

    assert answer.rcode() == dns.rcode.REFUSED
    assert not answer.flags & dns.flags.AA


@pytest.mark.usefixtures("shop")
def test_names_below_a_delegation_are_referred_to_its_servers(names: Names) -> None:
    answer = names.ask("www.team.shop.test")

    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert not answer.flags & dns.flags.AA
    assert sorted(answer.authority[0].to_text().splitlines()) == [
        "team.shop.test. 300 IN NS ns1.team.example.net.",
        "team.shop.test. 300 IN NS ns2.team.example.net.",
    ]


@pytest.mark.usefixtures("shop")
def test_an_alias_of_something_outside_is_not_answered_with_nothing(names: Names) -> None:
    assert names.ask("balanced.shop.test").rcode() == dns.rcode.SERVFAIL


def test_a_private_zone_is_not_shown_to_the_public(names: Names) -> None:
    names.zone("inside.test", HostedZoneConfig={"PrivateZone": True}, VPC={"VPCRegion": "eu-west-1", "VPCId": "vpc-1"})

    assert names.ask("inside.test", "SOA").rcode() == dns.rcode.REFUSED


# -- the wire ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shop")
def test_an_answer_that_does_not_fit_is_cut_over_udp_and_whole_over_tcp(names: Names) -> None:
    plain = names.ask("many.shop.test", use_edns=False)
    larger = names.ask("many.shop.test", use_edns=0, payload=4096)
    whole = names.over_tcp("many.shop.test")

    assert plain.flags & dns.flags.TC
    assert larger.flags & dns.flags.TC
    assert not whole.flags & dns.flags.TC
    assert sorted(rdata.to_text() for rdata in whole.answer[0]) == sorted(MANY)


@pytest.mark.usefixtures("shop")
def test_a_client_that_falls_back_to_tcp_gets_all(names: Names) -> None:
    asked = dns.message.make_query("many.shop.test", "A", use_edns=False)

    answer, used_tcp = dns.query.udp_with_fallback(asked, names.place[0], port=names.place[1], timeout=SECONDS)

    assert used_tcp
    assert len(answer.answer[0]) == len(MANY)


@pytest.mark.usefixtures("shop")
def test_a_stub_resolver_resolves_through_it(names: Names) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [names.place[0]], names.place[1]

    answer = resolver.resolve("www.shop.test", "A", lifetime=SECONDS)

    assert sorted(rdata.to_text() for rdata in answer) == ["10.1.0.1", "10.1.0.2"]
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("nothing.shop.test", "A", lifetime=SECONDS)
    with pytest.raises(dns.resolver.NoAnswer):
        resolver.resolve("app.shop.test", "CAA", lifetime=SECONDS)


@pytest.mark.usefixtures("shop")
def test_several_questions_go_over_one_connection(names: Names) -> None:
    with socket.create_connection(names.place, SECONDS) as connection:
        for name in ("app.shop.test", "nothing.shop.test", "www.shop.test"):
            asked = dns.message.make_query(name, "A")
            dns.query.send_tcp(connection, asked)
            answer, _ = dns.query.receive_tcp(connection, time.time() + SECONDS)
            assert answer.id == asked.id


@pytest.mark.usefixtures("shop")
def test_edns_is_answered_and_an_unknown_version_of_it_refused(names: Names) -> None:
    known = names.ask("app.shop.test", use_edns=0, payload=4096)
    unknown = names.ask("app.shop.test", use_edns=1)

    assert (known.edns, known.payload, known.rcode()) == (0, 1232, dns.rcode.NOERROR)
    assert unknown.rcode() == dns.rcode.BADVERS
    assert unknown.answer == []


@pytest.mark.usefixtures("shop")
def test_what_it_does_not_do_is_refused(names: Names) -> None:
    update = dns.update.UpdateMessage("shop.test")
    update.replace("app", 60, "A", "10.6.6.6")

    changed = dns.query.udp(update, names.place[0], port=names.place[1], timeout=SECONDS)
    transfer = names.ask("shop.test", "AXFR")
    chaos = names.ask("version.bind", "TXT", rdclass="CH")

    assert changed.rcode() == dns.rcode.NOTIMP
    assert transfer.rcode() == chaos.rcode() == dns.rcode.REFUSED
    assert "10.6.6.6" not in str(names.values("app.shop.test"))


def test_garbage_is_a_format_error_and_never_the_end(names: Names) -> None:
    answer = names.raw(b"\x12\x34\x01\x00" + b"\xff" * 30)

    assert answer[:2] == b"\x12\x34"
    assert answer[3] & 0x0F == dns.rcode.FORMERR
    assert names.ask("nothing.example").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("wire", [b"", b"\x12\x34", b"\x12\x34\x80\x00" + bytes(8)])
def test_what_is_no_question_gets_no_answer(names: Names, wire: bytes) -> None:
    with pytest.raises(TimeoutError):
        names.raw(wire)

    assert names.ask("nothing.example").rcode() == dns.rcode.REFUSED


# -- changes and the life of the cloud ---------------------------------------------------------------------------------


def test_a_change_is_seen_only_once_it_is_in_sync(names: Names, shop: str) -> None:
    names.create(shop, record("moving.shop.test", "A", "10.5.0.1"))
    before = names.values("moving.shop.test")

    change = names.change(shop, ("UPSERT", record("moving.shop.test", "A", "10.5.0.2")))
    second = names.change(shop, ("UPSERT", record("moving.shop.test", "A", "10.5.0.3")))
    listed = names.route53.list_resource_record_sets(
        HostedZoneId=shop, StartRecordName="moving.shop.test", MaxItems="1"
    )["ResourceRecordSets"][0]["ResourceRecords"]
    meanwhile = names.values("moving.shop.test")
    pending = names.route53.get_change(Id=change)["ChangeInfo"]["Status"]
    names.in_sync(second)

    assert before == meanwhile == ["moving.shop.test. 60 IN A 10.5.0.1"]
    assert pending == "PENDING"
    assert listed == [{"Value": "10.5.0.3"}]
    assert names.values("moving.shop.test") == ["moving.shop.test. 60 IN A 10.5.0.3"]


def test_names_follow_a_load(cloud: RunningCloud, names: Names, shop: str) -> None:
    names.create(shop, record("kept.shop.test", "A", "10.7.0.1"))
    cloud.control("save", name="with-name")
    names.in_sync(names.change(shop, ("DELETE", record("kept.shop.test", "A", "10.7.0.1"))))
    gone = names.ask("kept.shop.test").rcode()

    cloud.control("load", name="with-name")

    assert gone == dns.rcode.NXDOMAIN
    assert names.values("kept.shop.test") == ["kept.shop.test. 60 IN A 10.7.0.1"]


@contextmanager
def loading_over_and_over(cloud: RunningCloud, save: str) -> Iterator[None]:
    """Load a save again and again, meanwhile."""
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            cloud.control("load", name=save)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join(60)


def test_a_name_is_never_denied_while_a_save_is_loaded(cloud: RunningCloud, names: Names, shop: str) -> None:
    names.create(shop, record("steady.shop.test", "A", "10.8.0.1"))
    cloud.control("save", name="steady")
    said: list[dns.rcode.Rcode] = []

    with loading_over_and_over(cloud, "steady"):
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            with suppress(dns.exception.Timeout):
                said.append(names.ask("steady.shop.test").rcode())

    assert len(said) > 10
    assert set(said) == {dns.rcode.NOERROR}


def test_names_survive_a_restart_and_their_place_is_free_in_between() -> None:
    with open_folder() as folder:
        first = start_cloud(folder / "cloud")
        try:
            names = Names(first)
            names.create(names.zone("stays.test"), record("app.stays.test", "A", "10.1.1.1"))
        finally:
            stop_cloud(first)
        places = [socket.socket(type=kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        for free in places:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(names.place)
            free.close()

        second = start_cloud(folder / "cloud", first.port)
        try:
            assert Names(second).values("app.stays.test") == ["app.stays.test. 60 IN A 10.1.1.1"]
        finally:
            stop_cloud(second)


def test_a_cloud_whose_name_servers_place_is_taken_does_not_start() -> None:
    port = free_port()
    with open_folder() as folder, socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind((f"{own_network(port)}.192.53", port))

        with pytest.raises(AssertionError) as refusal:
            start_cloud(folder / "cloud", port)

    assert f"port {port} on {own_network(port)}.192.53 is taken by another program" in str(refusal.value)
