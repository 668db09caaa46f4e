"""How many instances the account may run."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import BASE_IMAGE

STANDARD = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}


def test_a_launch_beyond_the_limit_is_refused_as_aws_refuses_it(cloud: RunningCloud) -> None:
    ec2, quotas = cloud.client("ec2"), cloud.client("service-quotas")
    before = quotas.get_service_quota(**STANDARD)["Quota"]["Value"]
    cloud.control("quota", region="eu-west-1", vcpus=3)

    ec2.run_instances(ImageId=BASE_IMAGE, InstanceType="t3.small", MinCount=1, MaxCount=1)
    with pytest.raises(ClientError) as refused:
        ec2.run_instances(ImageId=BASE_IMAGE, InstanceType="t3.small", MinCount=1, MaxCount=1)

    assert before == 64
    assert quotas.get_service_quota(**STANDARD)["Quota"]["Value"] == 3
    assert refused.value.response["Error"]["Code"] == "VcpuLimitExceeded"
    assert "current vCPU limit of 3" in refused.value.response["Error"]["Message"]


def test_a_quota_that_is_not_there_is_not_made_up(cloud: RunningCloud) -> None:
    with pytest.raises(ClientError) as refused:
        cloud.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")

    assert refused.value.response["Error"]["Code"] == "NoSuchResourceException"
