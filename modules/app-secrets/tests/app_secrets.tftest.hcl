mock_provider "aws" {
  override_during = plan
}

variables {
  name      = "app-test"
  region    = "eu-west-1"
  dr_region = "eu-central-1"

  database = {
    host                = "127.77.0.10"
    port                = 5432
    dbname              = "app"
    username            = "app"
    password_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1"
  }
}

run "the_secret_says_where_the_database_is_and_holds_no_password" {
  command = plan

  assert {
    condition = jsondecode(nonsensitive(aws_secretsmanager_secret_version.database.secret_string)) == {
      host                = "127.77.0.10"
      port                = 5432
      dbname              = "app"
      username            = "app"
      password_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1"
    }
    error_message = "The secret holds something else than the five facts."
  }
}

run "the_secret_is_copied_to_the_dr_region" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.database.name == "app-test/database" && one(aws_secretsmanager_secret.database.replica).region == "eu-central-1"
    error_message = "The secret has no copy in the DR region."
  }

  assert {
    condition     = join(" ", output.protection[0].regions) == "eu-west-1 eu-central-1" && output.protection[0].asset == "secrets"
    error_message = "The protection table does not show both regions."
  }
}

run "each_region_has_its_own_key" {
  command = plan

  variables {
    kms_key_arns = {
      primary = "arn:aws:kms:eu-west-1:123456789012:key/a"
      dr      = "arn:aws:kms:eu-central-1:123456789012:key/b"
    }
  }

  assert {
    condition = (
      aws_secretsmanager_secret.database.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/a" &&
      one(aws_secretsmanager_secret.database.replica).kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/b"
    )
    error_message = "A key is used outside its region."
  }
}

run "a_deleted_secret_can_be_had_back_for_thirty_days" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.database.recovery_window_in_days == 30 && !aws_secretsmanager_secret.database.force_overwrite_replica_secret
    error_message = "A deleted secret is gone at once, or a promoted copy is overwritten."
  }
}

run "refuses_a_password_in_place_of_its_secret" {
  command = plan

  variables {
    database = { host = "h", port = 5432, dbname = "app", username = "app", password_secret_arn = "hunter2" }
  }

  expect_failures = [var.database]
}

run "refuses_a_copy_in_the_same_region" {
  command = plan

  variables {
    dr_region = "eu-west-1"
  }

  expect_failures = [var.dr_region]
}

run "refuses_a_key_of_another_region" {
  command = plan

  variables {
    kms_key_arns = {
      primary = "arn:aws:kms:eu-west-1:123456789012:key/a"
      dr      = "arn:aws:kms:eu-west-1:123456789012:key/a"
    }
  }

  expect_failures = [var.kms_key_arns]
}
