"""What an operator is told where AWS could not be asked."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from lifeboat.clients import sdk
from lifeboat.clients.sdk import translated
from lifeboat.errors import Unreachable


def client_without_credentials() -> Any:
    session = botocore.session.Session()
    session.get_component("credential_provider").providers.clear()
    return session.create_client("s3", region_name="eu-west-1", endpoint_url="http://127.0.0.1:9")


@pytest.mark.parametrize(("hint", "more"), [("", ""), ("take a role that may", "; take a role that may")])
def test_who_is_not_signed_in_is_told_to_sign_in_first(hint: str, more: str) -> None:
    s3 = client_without_credentials()

    with (
        pytest.raises(Unreachable, match="cannot list: Unable to locate credentials") as refused,
        translated("list", hint=hint),
    ):
        s3.list_buckets()

    assert refused.value.hint == (
        f"sign in to AWS (set AWS_PROFILE, or aws sso login), then run the same command again{more}"
    )


@pytest.mark.parametrize("operation", ["list_object_versions", "list_objects_v2", "list_multipart_uploads"])
@pytest.mark.parametrize(
    ("page", "why"),
    [({}, "the answer is cut off"), ({"IsTruncated": True}, "there are more, and S3 does not say where")],
)
def test_what_s3_lists_in_part_is_never_taken_for_all(operation: str, page: dict[str, Any], why: str) -> None:
    s3 = client_without_credentials()
    stub = Stubber(s3)
    stub.add_response(operation, page, {"Bucket": "b", "Prefix": "p/"})

    with stub, pytest.raises(Unreachable, match=f"cannot list .*s3://b/p/: {why}"):
        list(sdk.s3_items(s3, operation, "Contents", bucket="b", prefix="p/"))


def test_every_page_of_what_s3_lists_is_read_to_the_last() -> None:
    s3 = client_without_credentials()
    stub = Stubber(s3)
    first = {"IsTruncated": True, "NextContinuationToken": "t", "Contents": [{"Key": "p/1"}]}
    stub.add_response("list_objects_v2", first, {"Bucket": "b", "Prefix": "p/"})
    last = {"IsTruncated": False, "Contents": [{"Key": "p/2"}]}
    stub.add_response("list_objects_v2", last, {"Bucket": "b", "Prefix": "p/", "ContinuationToken": "t"})

    with stub:
        found = list(sdk.s3_items(s3, "list_objects_v2", "Contents", bucket="b", prefix="p/"))

    assert [one["Key"] for one in found] == ["p/1", "p/2"]
