mock_provider "aws" {
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/app-test-drills" }
  }
}

variables {
  name               = "app-test"
  account_id         = "123456789012"
  region             = "eu-west-1"
  availability_zones = ["eu-west-1a", "eu-west-1c"]
}

run "every_zone_has_one_subnet_of_the_range" {
  command = plan

  assert {
    condition     = { for zone, subnet in aws_subnet.this : zone => subnet.cidr_block } == { eu-west-1a = "10.255.0.0/24", eu-west-1c = "10.255.1.0/24" }
    error_message = "The subnets are ${jsonencode({ for zone, subnet in aws_subnet.this : zone => subnet.cidr_block })}."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.this : subnet.map_public_ip_on_launch != true])
    error_message = "A launch would get a public address."
  }
}

run "no_route_leaves_it" {
  command = apply

  assert {
    condition     = length(coalesce(aws_route_table.this.route, [])) == 0
    error_message = "The route table has routes: ${jsonencode(aws_route_table.this.route)}."
  }

  assert {
    condition     = alltrue([for association in aws_route_table_association.this : association.route_table_id == aws_route_table.this.id])
    error_message = "A subnet uses another route table."
  }

  assert {
    condition     = output.subnet_ids == [aws_subnet.this["eu-west-1a"].id, aws_subnet.this["eu-west-1c"].id]
    error_message = "The subnets are not in the order of the zones."
  }
}

run "a_drill_talks_to_itself_and_to_aws_alone" {
  command = apply

  assert {
    condition     = aws_vpc_security_group_egress_rule.instance_to_database.referenced_security_group_id == aws_security_group.database.id
    error_message = "The instance reaches something else than its database."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.instance_to_database.cidr_ipv4 == null && aws_vpc_security_group_egress_rule.instance_to_endpoints[0].cidr_ipv4 == null
    error_message = "A rule leads out to a range of addresses."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.database_from_client) == 0
    error_message = "Somebody besides the instance may ask the database, and nobody was named."
  }

  assert {
    condition     = keys(aws_vpc_endpoint.this) == ["ec2messages", "secretsmanager", "ssm", "ssmmessages"]
    error_message = "The endpoints are ${jsonencode(keys(aws_vpc_endpoint.this))}."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.this : endpoint.private_dns_enabled])
    error_message = "An endpoint is not found by the name that the agent asks for."
  }
}

run "no_key_but_the_drills_own_goes_through_an_endpoint" {
  command = apply

  assert {
    condition = alltrue([for endpoint in aws_vpc_endpoint.this : [
      for statement in jsondecode(endpoint.policy).Statement : [statement.Effect, statement.Condition]
    ] == [["Allow", { ArnEquals = { "aws:PrincipalArn" = aws_iam_role.instance.arn } }]]])
    error_message = "Keys that lie in an image work from inside: ${jsonencode({ for name, endpoint in aws_vpc_endpoint.this : name => endpoint.policy })}."
  }
}

run "the_instance_reads_no_parameter" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.secrets.policy).Statement : statement.Resource if statement.Effect == "Deny" && contains(statement.Action, "ssm:GetParameter*")] == [["*"]]
    error_message = "The policy of AWS's agent lets it read the parameters of production."
  }
}

run "the_instance_reads_no_secret_of_production" {
  command = plan

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.secrets.policy).Statement : statement.Resource if statement.Effect == "Allow"] == [
      ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-test-drill-*"],
      ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-*"],
    ]
    error_message = "The role of a drill's instance reads ${aws_iam_role_policy.secrets.policy}."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.secrets.policy).Statement : statement.Condition if statement.Sid == "ReadItsPassword"][0] == { ArnLike = { "aws:ResourceTag/aws:rds:primaryDBInstanceArn" = "arn:aws:rds:eu-west-1:123456789012:db:app-test-drill-*" } }
    error_message = "The role of a drill's instance reads the password of a database that is no drill's."
  }
}

run "who_carries_drills_out_touches_what_is_a_drills" {
  command = apply

  variables {
    operator_role_name = "app-test-restore-operator"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.operator[0].role == "app-test-restore-operator"
    error_message = "The policy is attached to ${aws_iam_role_policy_attachment.operator[0].role}."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.operator[0].policy).Statement :
      contains(["AskInstancesOfDrills", "LaunchAsADrill"], statement.Sid) || alltrue([for resource in statement.Resource : strcontains(resource, "drill")])
    ])
    error_message = "A statement reaches what is no drill's: ${aws_iam_policy.operator[0].policy}."
  }

  assert {
    condition     = jsondecode(aws_iam_policy.operator[0].policy).Statement[0].Condition == { Null = { "ssm:resourceTag/lifeboat:drill" = "false" } }
    error_message = "Commands may be sent to an instance that is no drill's."
  }
}

run "without_endpoints_there_is_no_instance_to_launch" {
  command = plan

  variables {
    endpoints = []
  }

  assert {
    condition     = output.instance_profile == null && length(aws_security_group.endpoints) == 0
    error_message = "An instance could be launched that nobody can ask anything."
  }
}

run "half_of_the_endpoints_is_refused" {
  command = plan

  variables {
    endpoints = ["ssm"]
  }

  expect_failures = [var.endpoints]
}

run "a_client_on_the_internet_is_refused" {
  command = plan

  variables {
    client_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.client_cidrs]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "a_range_without_room_for_subnets_is_refused" {
  command = plan

  variables {
    cidr = "10.255.0.0/28"
  }

  expect_failures = [var.cidr]
}
