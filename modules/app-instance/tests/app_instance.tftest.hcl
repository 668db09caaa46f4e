mock_provider "aws" {
  override_during = plan

  mock_resource "aws_eip" {
    defaults = { public_ip = "203.0.113.7" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  ami_id      = "ami-0123456789abcdef0"
  instance    = { app_image = "app:1", app_port = 8080 }

  network = {
    vpc_id    = "vpc-0123456789abcdef0"
    subnet_id = "subnet-0123456789abcdef0"
  }

  app_secret_name = "app-test/database"
  database_secrets = {
    secret_arns  = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-abcdef"]
    kms_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/database"]
  }
}

run "metadata_answers_only_with_a_token" {
  command = plan

  assert {
    condition     = aws_instance.this.metadata_options[0].http_tokens == "required" && aws_instance.this.metadata_options[0].http_endpoint == "enabled"
    error_message = "IMDSv1 is open."
  }
}

run "no_port_but_the_applications_is_open" {
  command = plan

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.app : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"] == ["0.0.0.0/0 8080-8080"]
    error_message = "The open ports are ${jsonencode([for rule in aws_vpc_security_group_ingress_rule.app : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"])}."
  }

  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.out) == ["443", "5432"]
    error_message = "It may call out on ${jsonencode(keys(aws_vpc_security_group_egress_rule.out))}."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.ssm.policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "Without port 22 and without SSM nobody can sign in."
  }
}

run "instance_and_volume_are_encrypted_and_chosen_by_the_snapshot_policies" {
  command = plan

  assert {
    condition     = aws_instance.this.root_block_device[0].encrypted && aws_instance.this.root_block_device[0].volume_size == 20
    error_message = "The volume is not encrypted, or its size is left to the image."
  }

  assert {
    condition     = aws_instance.this.tags["lifeboat:protect"] == "daily" && aws_instance.this.root_block_device[0].tags["lifeboat:protect"] == "daily"
    error_message = "The snapshot policies would not find the instance or its volume."
  }
}

run "the_role_reads_the_named_secrets_only" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.secrets.policy).Statement[0].Resource == [
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-test/database-??????",
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-abcdef",
    ]
    error_message = "The role reads ${jsonencode(jsondecode(aws_iam_role_policy.secrets.policy).Statement[0].Resource)}."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.secrets.policy).Statement[1].Condition.StringEquals["kms:ViaService"] == "secretsmanager.eu-west-1.amazonaws.com"
    error_message = "The role may use the key for more than the secrets."
  }
}

run "the_start_script_knows_names_but_no_secret" {
  command = plan

  assert {
    condition     = strcontains(aws_instance.this.user_data, "app-test/database") && strcontains(aws_instance.this.user_data, "app:1") && !strcontains(aws_instance.this.user_data, "rds!db")
    error_message = "The start script lacks the secret's name or the image, or knows more than it should."
  }
}

run "the_address_is_where_the_application_answers" {
  command = plan

  assert {
    condition     = output.url == "http://203.0.113.7:8080" && output.address == "203.0.113.7" && output.dns_name == null
    error_message = "The application is said to answer at ${output.url}."
  }
}

run "the_usual_port_is_left_out_of_the_url" {
  command = plan

  variables {
    instance = { app_image = "app:1" }
  }

  assert {
    condition     = output.url == "http://203.0.113.7"
    error_message = "The application is said to answer at ${output.url}."
  }
}

run "a_zone_of_its_own_is_created" {
  command = plan

  variables {
    dns = { zone_name = "lifeboat.test", create_zone = true }
  }

  assert {
    condition     = aws_route53_zone.this[0].name == "lifeboat.test" && aws_route53_record.app[0].name == "app.lifeboat.test" && aws_route53_record.app[0].records == toset(["203.0.113.7"])
    error_message = "The name does not lead to the address."
  }
}

run "a_zone_that_exists_is_used" {
  command = plan

  variables {
    dns = { zone_name = "example.com", record_name = "www", zone_id = "Z0123456789ABCDEFGHIJ" }
  }

  assert {
    condition     = length(aws_route53_zone.this) == 0 && aws_route53_record.app[0].zone_id == "Z0123456789ABCDEFGHIJ" && output.dns_name == "www.example.com"
    error_message = "The record is not in the zone that was named."
  }
}

run "a_name_without_a_zone_is_refused" {
  command = plan

  variables {
    dns = { zone_name = "example.com" }
  }

  expect_failures = [var.dns]
}

run "a_zone_both_new_and_existing_is_refused" {
  command = plan

  variables {
    dns = { zone_name = "example.com", create_zone = true, zone_id = "Z0123456789ABCDEFGHIJ" }
  }

  expect_failures = [var.dns]
}

run "a_name_remembered_for_a_day_is_refused" {
  command = plan

  variables {
    dns = { zone_name = "example.com", create_zone = true, ttl = 86400 }
  }

  expect_failures = [var.dns]
}

run "an_image_by_name_is_refused" {
  command = plan

  variables {
    ami_id = "al2023-ami-latest"
  }

  expect_failures = [var.ami_id]
}

run "port_22_is_refused" {
  command = plan

  variables {
    instance = { app_image = "app:1", app_port = 22 }
  }

  expect_failures = [var.instance]
}

run "shell_in_the_image_name_is_refused" {
  command = plan

  variables {
    instance = { app_image = "app:1\"; reboot; \"" }
  }

  expect_failures = [var.instance]
}

run "a_volume_smaller_than_the_image_is_refused" {
  command = plan

  variables {
    instance = { app_image = "app:1", volume_gb = 4 }
  }

  expect_failures = [var.instance]
}

run "the_host_writes_a_heartbeat_every_minute" {
  command = plan

  assert {
    condition     = strcontains(aws_instance.this.user_data, "ExecStart=/usr/local/bin/lifeboat-heartbeat 60 7\n") && strcontains(aws_instance.this.user_data, "create table lifeboat_heartbeat (beat_at timestamptz primary key);")
    error_message = "Nothing beats, or not every minute."
  }

  assert {
    condition     = length(aws_instance.this.user_data) < 16384
    error_message = "EC2 takes no start script of ${length(aws_instance.this.user_data)} bytes."
  }
}

run "without_a_heartbeat_none_is_left_of_an_image" {
  command = plan

  variables {
    heartbeat = null
  }

  assert {
    condition     = !strcontains(aws_instance.this.user_data, "install_heartbeat") && strcontains(aws_instance.this.user_data, "systemctl disable --now lifeboat-heartbeat.service")
    error_message = "It beats although nobody wants it."
  }
}

run "refuses_a_heartbeat_that_does_not_divide_the_minute" {
  command = plan

  variables {
    heartbeat = { every_seconds = 45 }
  }

  expect_failures = [var.heartbeat]
}
