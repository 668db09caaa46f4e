mock_provider "aws" {}

variables {
  name               = "app-test"
  availability_zones = ["eu-west-1a", "eu-west-1c"]
}

run "every_zone_has_a_public_and_a_private_subnet" {
  command = plan

  assert {
    condition     = { for zone, subnet in aws_subnet.public : zone => subnet.cidr_block } == { eu-west-1a = "10.20.0.0/20", eu-west-1c = "10.20.16.0/20" }
    error_message = "The public subnets are ${jsonencode({ for zone, subnet in aws_subnet.public : zone => subnet.cidr_block })}."
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { eu-west-1a = "10.20.128.0/20", eu-west-1c = "10.20.144.0/20" }
    error_message = "The private subnets are ${jsonencode({ for zone, subnet in aws_subnet.private : zone => subnet.cidr_block })}."
  }

  assert {
    condition     = alltrue([for zone, subnet in merge(aws_subnet.public) : subnet.availability_zone == zone])
    error_message = "A subnet stands in another zone than its key says."
  }
}

run "only_the_public_route_table_leads_out" {
  command = apply

  assert {
    condition     = aws_route.internet.route_table_id == aws_route_table.public.id && aws_route.internet.destination_cidr_block == "0.0.0.0/0"
    error_message = "The public subnets have no way out."
  }

  assert {
    condition     = alltrue([for association in aws_route_table_association.private : association.route_table_id == aws_route_table.private.id])
    error_message = "A private subnet uses another route table."
  }

  assert {
    condition     = output.public_subnet_ids == [aws_subnet.public["eu-west-1a"].id, aws_subnet.public["eu-west-1c"].id]
    error_message = "The subnets are not in the order of the zones."
  }
}

run "nothing_is_public_by_launching" {
  command = plan

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch != true])
    error_message = "A launch in a public subnet would get an address of its own."
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "the_same_zone_twice_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "a_range_without_room_for_subnets_is_refused" {
  command = plan

  variables {
    cidr = "10.20.0.0/28"
  }

  expect_failures = [var.cidr]
}

run "a_range_that_is_none_is_refused" {
  command = plan

  variables {
    cidr = "10.20.0/16"
  }

  expect_failures = [var.cidr]
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "App_Test"
  }

  expect_failures = [var.name]
}
