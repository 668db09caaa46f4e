"""What was deleted behind Terraform's back is not quietly made anew, and what lifeboat says to type then works."""

from __future__ import annotations

import json
import shutil

from tests.rehearsal import Rehearsal, passed


def copy_environment(stack: Rehearsal) -> None:
    """Leave a copy of the environment's files under another name."""
    environments = stack.root / "environments"
    for suffix in ("toml", "tfvars"):
        shutil.copy(environments / f"local.{suffix}", environments / f"mine.{suffix}")


def test_a_terminated_instance_is_not_launched_anew_unasked(stack: Rehearsal) -> None:
    ec2 = stack.client("ec2")
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = ec2.describe_instances(Filters=running)["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.terminate_instances(InstanceIds=[found])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[found], WaiterConfig={"Delay": 1})
    copy_environment(stack)  # which is refused, and stops nobody

    applied = stack.lifeboat("apply")

    assert "would put a new, empty one in its place; lifeboat recover launches it" in passed(applied, 7).stderr
    assert ec2.describe_instances(Filters=running)["Reservations"] == []


def test_a_state_that_is_unreadable_leaves_the_variables_to_look_for_it(stack: Rehearsal) -> None:
    env = stack.exported()
    stack.client("s3").put_object(Bucket=env["STATE_BUCKET"], Key=env["STATE_KEY"], Body=b"not a state")

    done = passed(stack.lifeboat("local", "env", "-o", "json"))
    planned = stack.lifeboat("plan")

    variables = json.loads(done.stdout)
    assert (variables["STATE_BUCKET"], "DATABASE_URL" in variables) == (env["STATE_BUCKET"], False)
    assert "APP_URL, DATABASE_URL, DUMP_BUCKET are not set" in done.stderr
    assert "is no Terraform state, and the other region remembers serial" in " ".join(passed(planned, 3).stderr.split())


def test_terraform_by_hand_knows_the_variables_of_the_stack_and_keeps_off_root_1(saved: Rehearsal) -> None:
    """What is typed works on the stack; of root 1 Terraform would advise to migrate the stack's state into it."""
    env = 'eval "$(lifeboat local env)" && '
    data = saved.root / ".lifeboat" / "local" / "terraform" / "state"

    asked = saved.run("bash", "-c", f"{env} echo var.ami_id | terraform -chdir=terraform/stack console")
    root_1 = saved.run("bash", "-c", f"{env} terraform -chdir=terraform/state plan")
    inside = saved.run("bash", "-c", f"{env} cd terraform/state && terraform init -migrate-state")
    beside = saved.run("bash", "-c", f"{env} cd terraform/stack && terraform -chdir=../state plan")
    stack = saved.run("bash", "-c", f"{env} cd terraform/state && terraform -chdir=../stack state list")
    on_purpose = saved.run("bash", "-c", f"{env} TF_DATA_DIR={data} terraform -chdir=terraform/state version")

    assert passed(asked).stdout.startswith('"ami-')
    assert "module.app_instance.aws_instance" in passed(stack).stdout
    for done in (root_1, inside, beside):
        assert "terraform/state is applied by lifeboat alone" in passed(done, 2).stderr
        assert "next: lifeboat plan -e local" in done.stderr
    passed(on_purpose)
    takes_files = {name for name, value in saved.exported().items() if "-var-file=" in value}
    assert takes_files == {
        f"TF_CLI_ARGS_{name}" for name in ("plan", "apply", "destroy", "refresh", "import", "console")
    }


def test_a_save_is_not_overwritten_unless_it_is_to_be(stack: Rehearsal) -> None:
    passed(stack.ask("local", "save", "twice"))

    refused = stack.ask("local", "save", "twice")
    replaced = stack.ask("local", "save", "twice", "--replace")
    listed = stack.ask("local", "saves")

    assert "there is a save named twice already" in passed(refused, 3).stderr
    passed(replaced)
    names = passed(listed).stdout.split()  # what other files on this stack saved stays
    assert names.count("twice") == 1
    assert "applied" in names
