"""Which resource a request names, for the trace: by it a test tells what a role may do, and to what."""

from __future__ import annotations

from urllib.parse import parse_qs

from localcloud.operations import Call

# What the request's parameters name, the more telling first: one that puts a role into a profile changes the profile, one
# that attaches a policy to a role the role (Service Authorization Reference, "Actions, resources, and condition keys for IAM").
_IAM_NAMES = (
    ("InstanceProfileName", "instance-profile"),
    ("RoleName", "role"),
    ("UserName", "user"),
    ("GroupName", "group"),
    ("PolicyName", "policy"),
)
_IAM_ARNS = ("PolicyArn", "OpenIDConnectProviderArn")


def named(call: Call) -> str:
    """Return the ARN of the resource that a request names; empty where that is not known: of IAM's alone it is.

    Paths are left out, for nobody here gives any.
    """
    if call.service != "iam":
        return ""
    asked = parse_qs(call.body.decode(errors="replace"))
    for parameter, kind in _IAM_NAMES:
        if parameter in asked:
            return f"arn:aws:iam::{call.account_id}:{kind}/{asked[parameter][0]}"
    return next((asked[parameter][0] for parameter in _IAM_ARNS if parameter in asked), "")
