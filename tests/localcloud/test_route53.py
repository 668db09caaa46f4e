"""Route 53 in the local cloud: what AWS refuses is refused, in its words, and a refused batch changes nothing."""

from __future__ import annotations

import random
from typing import Any

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from localcloud.operations import Refused
from localcloud.services.route53_rules import Wrong, changed_by, require_whole, written
from localcloud.zone_answers import HostedZone, Zones, name_of

from tests.conftest import RunningCloud
from tests.localcloud.zones import Names, alias, record


@pytest.fixture(scope="module")
def names(cloud: RunningCloud) -> Names:
    return Names(cloud)


@pytest.fixture(scope="module")
def zone(names: Names) -> str:
    zone = names.zone("rules.test")
    names.create(
        zone,
        record("app.rules.test", "A", "10.0.0.1"),
        record("www.rules.test", "CNAME", "app.rules.test"),
        record("one.rules.test", "A", "10.0.0.1", SetIdentifier="1", Weight=1),
    )
    return zone


def refused(names: Names, zone: str, *changes: tuple[str, dict[str, Any]]) -> tuple[str, str, int]:
    """Return code, message and HTTP status of a refusal."""
    with pytest.raises(ClientError) as refusal:
        names.change(zone, *changes)
    error, metadata = refusal.value.response["Error"], refusal.value.response["ResponseMetadata"]
    return error["Code"], error["Message"], metadata["HTTPStatusCode"]


def listed(names: Names, zone: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = names.route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return found


@pytest.mark.parametrize(
    ("action", "asked", "message"),
    [
        (
            "CREATE",
            record("APP.rules.test", "A", "10.0.0.9"),
            "Tried to create resource record set [name='app.rules.test.', type='A'] but it already exists",
        ),
        (
            "DELETE",
            record("app.rules.test", "A", "10.0.0.9"),
            "Tried to delete resource record set [name='app.rules.test.', type='A'] but the values provided do not match"
            " the current values",
        ),
        (
            "DELETE",
            record("app.rules.test", "A", "10.0.0.1", ttl=61),
            "Tried to delete resource record set [name='app.rules.test.', type='A'] but the values provided do not match"
            " the current values",
        ),
        (
            "DELETE",
            record("none.rules.test", "A", "10.0.0.1"),
            "Tried to delete resource record set [name='none.rules.test.', type='A'] but it was not found",
        ),
        (
            "DELETE",
            record("one.rules.test", "A", "10.0.0.1", SetIdentifier="2", Weight=1),
            "Tried to delete resource record set [name='one.rules.test.', type='A', set identifier='2'] but it was not"
            " found",
        ),
        (
            "UPSERT",
            record("app.badrules.test", "A", "10.0.0.1"),
            "RRSet with DNS name app.badrules.test. is not permitted in zone rules.test.",
        ),
        (
            "UPSERT",
            record("x.rules.test", "A", "10.0.0.256"),
            "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"
            " encountered with '10.0.0.256''",
        ),
        (
            "UPSERT",
            record("x.rules.test", "AAAA", "10.0.0.1"),
            "Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"
            " encountered with '10.0.0.1''",
        ),
        (
            "UPSERT",
            record("x.rules.test", "TXT", "no quotes"),
            "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation"
            " marks) encountered with 'no quotes''",
        ),
        (
            "UPSERT",
            record("x.rules.test", "MX", "mail.rules.test"),
            "Invalid Resource Record: 'FATAL problem: InvalidMXRDATA (Value is not valid for type MX) encountered with"
            " 'mail.rules.test''",
        ),
        ("UPSERT", record("x.rules.test", "A", "10.0.0.1", "10.0.0.1"), "Duplicate Resource Record: '10.0.0.1'"),
        (
            "UPSERT",
            record("rules.test", "CNAME", "app.rules.test"),
            "RRSet of type CNAME with DNS name rules.test. is not permitted at apex in zone rules.test.",
        ),
        (
            "UPSERT",
            record("app.rules.test", "CNAME", "www.rules.test"),
            "RRSet of type CNAME with DNS name app.rules.test. is not permitted as it conflicts with other records with"
            " the same DNS name in zone rules.test.",
        ),
        (
            "UPSERT",
            record("www.rules.test", "A", "10.0.0.1"),
            "RRSet of type A with DNS name www.rules.test. is not permitted because a conflicting RRSet of type  CNAME"
            " with the same DNS name already exists in zone rules.test.",
        ),
        (
            "UPSERT",
            record("app.rules.test", "A", "10.0.0.2", SetIdentifier="1", Weight=1),
            "RRSet with DNS name app.rules.test., type A, SetIdentifier 1 cannot be created because a non-weighted RRSet"
            " with the same name and type already exists",
        ),
        (
            "DELETE",
            record(
                "rules.test", "SOA", "ns-2048.awsdns-64.com. hostmaster.example.com. 1 7200 900 1209600 86400", ttl=900
            ),
            "A HostedZone must contain exactly one SOA record.",
        ),
        (
            "UPSERT",
            record(f"{'a' * 64}.rules.test", "A", "10.0.0.1"),
            f"FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{'a' * 64}.rules.test'",
        ),
    ],
)
def test_a_change_is_refused_in_the_words_of_aws(
    names: Names, zone: str, action: str, asked: dict[str, Any], message: str
) -> None:
    before = listed(names, zone)

    error = refused(names, zone, (action, asked))

    assert error == ("InvalidChangeBatch", f"[{message}]", 400)
    assert listed(names, zone) == before


def test_an_alias_of_nothing_is_refused(names: Names, zone: str) -> None:
    nothing = refused(names, zone, ("CREATE", alias("alias.rules.test", "A", zone, "none.rules.test")))
    outside = refused(names, zone, ("CREATE", alias("alias.rules.test", "A", zone, "app.other.test")))

    assert "but the alias target was not found" in nothing[1]
    assert "but the alias target name does not lie within the target zone" in outside[1]


def test_all_reasons_are_told_and_the_whole_batch_is_refused(names: Names, zone: str) -> None:
    before = listed(names, zone)

    error = refused(
        names,
        zone,
        ("CREATE", record("fine.rules.test", "A", "10.0.0.1")),
        ("CREATE", record("app.rules.test", "A", "10.0.0.1")),
        ("DELETE", record("none.rules.test", "A", "10.0.0.1")),
    )

    assert error[1] == (
        "[Tried to create resource record set [name='app.rules.test.', type='A'] but it already exists, "
        "Tried to delete resource record set [name='none.rules.test.', type='A'] but it was not found]"
    )
    assert listed(names, zone) == before


def test_a_delete_and_a_create_in_one_batch_replace_only_what_is_as_expected(names: Names, zone: str) -> None:
    names.create(zone, record("swap.rules.test", "A", "10.0.0.1"))
    first, second, third = (record("swap.rules.test", "A", f"10.0.0.{number}") for number in (1, 2, 3))

    names.change(zone, ("DELETE", first), ("CREATE", second))
    error = refused(names, zone, ("DELETE", first), ("CREATE", third))

    assert "do not match the current values" in error[1]
    assert [r["ResourceRecords"] for r in listed(names, zone) if r["Name"] == "swap.rules.test."] == [
        [{"Value": "10.0.0.2"}]
    ]


def test_values_to_delete_may_come_in_any_order(names: Names, zone: str) -> None:
    names.create(zone, record("order.rules.test", "A", "10.0.0.1", "10.0.0.2"))

    names.change(zone, ("DELETE", record("order.rules.test", "A", "10.0.0.2", "10.0.0.1")))

    assert [r for r in listed(names, zone) if r["Name"] == "order.rules.test."] == []


def test_deleting_one_of_a_weighted_set_leaves_the_others_and_other_names(names: Names, zone: str) -> None:
    members = [record("set.rules.test", "A", f"10.0.0.{n}", SetIdentifier=str(n), Weight=n) for n in (1, 2)]
    names.create(zone, *members, record("other.rules.test", "A", "10.0.0.9", SetIdentifier="1", Weight=1))

    names.change(zone, ("DELETE", members[0]))

    left = {(r["Name"], r.get("SetIdentifier")) for r in listed(names, zone)}
    assert {("set.rules.test.", "2"), ("other.rules.test.", "1")} <= left
    assert ("set.rules.test.", "1") not in left


def test_a_wildcard_is_listed_as_aws_writes_it(names: Names, zone: str) -> None:
    names.create(zone, record("*.Wild.rules.test", "A", "10.0.0.1"))

    assert "\\052.wild.rules.test." in [r["Name"] for r in listed(names, zone)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"Name": "x.rules.test", "Type": "A"},
            "but found none in Change with [Action=UPSERT, Name=x.rules.test, Type=A",
        ),
        ({"Name": "x.rules.test", "Type": "A", "TTL": 60}, "Expected exactly one of [AliasTarget, all of [TTL"),
        (record("x.rules.test", "HINFO", "a b"), "Value 'HINFO' is not facet-valid"),
        (record("x.rules.test", "A", "10.0.0.1", Weight=1), "Missing field 'SetIdentifier'"),
        (record("x.rules.test", "A", "10.0.0.1", SetIdentifier="1"), "but found none in Change"),
    ],
)
def test_what_is_no_change_is_invalid_input(names: Names, zone: str, asked: dict[str, Any], said: str) -> None:
    code, message, status = refused(names, zone, ("UPSERT", asked))

    assert (code, status) == ("InvalidInput", 400)
    assert said in message


@pytest.mark.parametrize(
    "more",
    [
        {"Failover": "PRIMARY", "SetIdentifier": "1"},
        {"Region": "eu-west-1", "SetIdentifier": "1"},
        {"GeoLocation": {"CountryCode": "DE"}, "SetIdentifier": "1"},
        {"HealthCheckId": "9c7f7f38-0000-4000-8000-000000000000"},
    ],
)
def test_what_depends_on_health_or_on_who_asks_is_named_as_not_built(
    names: Names, zone: str, more: dict[str, Any]
) -> None:
    code, message, _ = refused(names, zone, ("UPSERT", record("x.rules.test", "A", "10.0.0.1", **more)))

    assert code == "LocalCloudNotImplemented"
    assert next(iter(more)) in message


def test_a_batch_with_too_many_values_is_refused(names: Names, zone: str) -> None:
    values = [f"10.{n // 250}.0.{n % 250}" for n in range(501)]

    error = refused(names, zone, ("UPSERT", record("x.rules.test", "A", *values)))

    assert error[:2] == ("InvalidChangeBatch", "[Number of records limit of 1000 exceeded.]")


@pytest.mark.parametrize(
    ("operation", "asked", "code", "status"),
    [
        ("get_hosted_zone", {"Id": "ZNONE"}, "NoSuchHostedZone", 404),
        ("list_resource_record_sets", {"HostedZoneId": "ZNONE"}, "NoSuchHostedZone", 404),
        ("delete_hosted_zone", {"Id": "ZNONE"}, "NoSuchHostedZone", 404),
        ("get_change", {"Id": "CNONE"}, "NoSuchChange", 404),
        ("create_hosted_zone", {"Name": "two..dots", "CallerReference": "1"}, "InvalidDomainName", 400),
    ],
)
def test_what_does_not_exist_is_said_so(
    names: Names, operation: str, asked: dict[str, str], code: str, status: int
) -> None:
    with pytest.raises(ClientError) as refusal:
        getattr(names.route53, operation)(**asked)

    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_change_in_an_unknown_zone_is_refused(names: Names) -> None:
    assert refused(names, "ZNONE", ("CREATE", record("a.rules.test", "A", "10.0.0.1"))) == (
        "NoSuchHostedZone",
        "No hosted zone found with ID: ZNONE",
        404,
    )


def test_a_zone_is_made_once_for_each_reference_and_followed_like_any_change(names: Names) -> None:
    made = names.route53.create_hosted_zone(Name="Once.test", CallerReference="once")

    with pytest.raises(ClientError) as refusal:
        names.route53.create_hosted_zone(Name="once.test", CallerReference="once")
    names.in_sync(made["ChangeInfo"]["Id"])
    deleted = names.route53.delete_hosted_zone(Id=made["HostedZone"]["Id"])

    assert made["HostedZone"]["Name"] == "once.test."
    assert refusal.value.response["Error"]["Code"] == "HostedZoneAlreadyExists"
    assert names.route53.get_change(Id=deleted["ChangeInfo"]["Id"])["ChangeInfo"]["Status"] == "PENDING"
    assert names.ask("once.test", "SOA").rcode() == dns.rcode.REFUSED


def test_a_zone_with_records_is_not_deleted(names: Names, zone: str) -> None:
    with pytest.raises(ClientError) as refusal:
        names.route53.delete_hosted_zone(Id=zone)

    assert refusal.value.response["Error"]["Code"] == "HostedZoneNotEmpty"


# -- laws --------------------------------------------------------------------------------------------------------------

APEX = [
    record("z.test.", "SOA", "ns.example. hostmaster.example. 1 7200 900 1209600 86400", ttl=900),
    record("z.test.", "NS", "ns.example", ttl=172800),
]
LABEL = st.sampled_from(["a", "b", "A", "c", "*", "_x"])
NAME = st.lists(LABEL, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "z", "test"]))
VALUES = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]), min_size=1, max_size=3, unique=True)
RECORD = st.builds(lambda name, values, ttl: record(name, "A", *values, ttl=ttl), NAME, VALUES, st.integers(0, 99))
CHANGE = st.tuples(st.sampled_from(["CREATE", "UPSERT", "DELETE"]), RECORD)


def hosted(records: list[dict[str, Any]]) -> HostedZone:
    return HostedZone(zone_id="Z1", origin=name_of("z.test"), records=records)


def applied(records: list[dict[str, Any]], *changes: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    batch = [{"Action": action, "ResourceRecordSet": one} for action, one in changes]
    require_whole(batch)
    return changed_by(batch, records, zone=hosted(records), others=[])


@given(st.lists(RECORD, max_size=8), RECORD)
def test_creating_and_then_deleting_a_record_changes_nothing(there: list[dict[str, Any]], one: dict[str, Any]) -> None:
    records = applied(APEX, *(("UPSERT", each) for each in there)) if there else APEX
    absent = all(name_of(each["Name"]) != name_of(one["Name"]) for each in records)

    if absent:
        assert applied(applied(records, ("CREATE", one)), ("DELETE", one)) == records
    else:
        with pytest.raises(Wrong, match="but it already exists"):
            applied(records, ("CREATE", one))


@given(st.lists(CHANGE, min_size=1, max_size=6))
def test_a_batch_does_what_its_changes_do_one_after_the_other(changes: list[tuple[str, dict[str, Any]]]) -> None:
    one_by_one: list[dict[str, Any]] | None = APEX
    for change in changes:
        try:
            one_by_one = applied(one_by_one or [], change)
        except Wrong:
            one_by_one = None
            break

    if one_by_one is None:
        with pytest.raises(Wrong):
            applied(APEX, *changes)
    else:
        assert applied(APEX, *changes) == one_by_one


@settings(max_examples=200)
@given(st.lists(RECORD, max_size=8), NAME)
def test_a_name_is_denied_only_when_nothing_is_at_it_below_it_or_around_it(
    there: list[dict[str, Any]], asked: str
) -> None:
    records = applied(APEX, *(("UPSERT", each) for each in there)) if there else APEX
    name, owners = name_of(asked), [name_of(each["Name"]) for each in records]

    reply = Zones([hosted(records)], dice=random.Random(1)).reply(name, dns.rdatatype.A)  # noqa: S311  (no secret)

    at_or_below = any(owner.is_subdomain(name) for owner in owners)
    wild = [
        owner for owner in owners if owner.is_wild() and name.is_subdomain(owner.parent()) and name != owner.parent()
    ]
    if at_or_below:
        assert reply.rcode == dns.rcode.NOERROR
    elif not wild:
        assert reply.rcode == dns.rcode.NXDOMAIN
    if name in owners:
        mine = next(each for each in records if name_of(each["Name"]) == name)
        assert sorted(rdata.to_text() for rdata in reply.answer[0]) == sorted(
            value["Value"] for value in mine["ResourceRecords"]
        )
        assert reply.answer[0].ttl == mine["TTL"]
    assert bool(reply.answer) != bool(reply.authority)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5))
def test_any_name_can_be_written_as_aws_does_and_read_again(labels: list[bytes]) -> None:
    name = dns.name.Name([*labels, b""])

    text = written(name)

    assert name_of(text) == name
    assert text.isascii()
    assert written(name_of(text)) == text


@pytest.mark.parametrize("changes", [[], [{"Action": "REMOVE", "ResourceRecordSet": APEX[0]}]])
def test_no_change_and_an_unknown_one_are_refused(changes: list[dict[str, Any]]) -> None:
    with pytest.raises(Refused, match="InvalidInput"):
        require_whole(changes)
