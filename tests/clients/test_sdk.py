"""What an operator is told where AWS could not be asked."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
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
