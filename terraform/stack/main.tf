locals {
  _app_secret_name = "${var.name}/database"

  _dump_job  = var.dumps.job.image != null
  _dumped_by = local._dump_job ? { dump = module.dump_job[0].security_group_id } : {}

  # Who says that something makes dumps must say how often; the job does so every day when nobody says it.
  # What else the job's image does by the clock, and with which role: looking needs the password as a dump does.
  _job_commands = {
    status    = { command = ["status", "--publish"], role_arn = null }
    verify    = { command = ["verify", "--sample", "1/7"], role_arn = module.recovery_roles.role_arns["verifier"] }
    retention = { command = ["retention", "apply", "--yes"], role_arn = module.recovery_roles.role_arns["retention"] }
    drill     = { command = ["drill", "database", "--max-cost", tostring(var.drill.max_usd), "--yes"], role_arn = module.recovery_roles.role_arns["restore_operator"] }
    sweep     = { command = ["sweep", "--yes"], role_arn = module.recovery_roles.role_arns["restore_operator"] }
  }
  # A drill that was stopped leaves everything. Once a day, half a day from when a drill begins: a sweep beside one is refused.
  _drill_hour = var.schedules.drill == null ? "" : split(" ", var.schedules.drill)[1]
  _sweep_hour = can(tonumber(local._drill_hour)) ? (tonumber(local._drill_hour) + 12) % 24 : 3
  _schedules  = merge(var.schedules, { sweep = var.schedules.drill == null ? null : "cron(25 ${local._sweep_hour} * * ? *)" })
  _job_names  = local._dump_job ? sort([for name, cron in local._schedules : name if cron != null]) : []
  _jobs       = { for name in local._job_names : name => merge(local._job_commands[name], { cron = local._schedules[name] }) }

  _dumps_every_hours = local._dump_job ? coalesce(var.dumps.every_hours, 24) : var.dumps.every_hours
}

module "network" {
  source = "../../modules/network"

  name               = var.name
  cidr               = var.network.cidr
  availability_zones = [for letter in var.network.availability_zones : "${var.region}${letter}"]
}

# The instance is given names only, nothing that exists after the database: both are then built at the same time.
module "app_instance" {
  source = "../../modules/app-instance"

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  instance    = var.instance
  ami_id      = var.ami_id
  dns         = var.dns
  heartbeat   = var.heartbeat
  teardown    = var.teardown

  network = {
    vpc_id        = module.network.vpc_id
    subnet_id     = module.network.public_subnet_ids[0]
    ingress_cidrs = var.network.ingress_cidrs
  }

  app_secret_name = local._app_secret_name
  database_secrets = {
    secret_arns  = [for generation in module.database.generations : generation.password_secret_arn]
    kms_key_arns = [module.database.kms_key_arn]
  }
}

module "database" {
  source = "../../modules/database"

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name              = var.name
  environment       = var.environment
  account_id        = var.account_id
  region            = var.region
  dr_region         = var.dr_region
  objectives        = var.objectives
  generations       = var.database_generations
  active_generation = var.active_generation
  instance          = var.database.instance
  backup            = var.database.backup
  teardown          = var.teardown

  network = {
    vpc_id                    = module.network.vpc_id
    subnet_ids                = module.network.private_subnet_ids
    client_security_group_ids = merge({ app = module.app_instance.security_group_id }, local._dumped_by)
  }
}

# Written after the database: the instance waits for it at run time, Terraform does not.
module "app_secrets" {
  source = "../../modules/app-secrets"

  name      = var.name
  region    = var.region
  dr_region = var.dr_region
  teardown  = var.teardown

  database = {
    host                = module.database.active.address
    port                = module.database.active.port
    dbname              = module.database.active.name
    username            = module.database.active.username
    password_secret_arn = module.database.active.password_secret_arn
  }

  kms_key_arns = {
    primary = module.database.kms_key_arn
    dr      = module.database.dr_kms_key_arn
  }
}

module "dump_bucket" {
  source = "../../modules/dump-bucket"

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  dr_region   = var.dr_region
  objectives  = var.objectives
  every_hours = local._dumps_every_hours
  prefix      = var.dumps.prefix
  retention   = var.dumps.retention
  object_lock = var.dumps.object_lock
  teardown    = var.teardown

  break_glass_role_arns = var.break_glass_role_arns
}

# In the public subnets: the private ones have no way out, and endpoints for a task that runs for minutes cost more than the
# rest of it (docs/decisions/dump-job.md).
module "dump_job" {
  source = "../../modules/dump-job"
  count  = local._dump_job ? 1 : 0

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  objectives  = var.objectives
  every_hours = local._dumps_every_hours
  schedule    = merge(var.dumps.job.schedule, { jobs = local._jobs })
  task        = var.dumps.job

  network = {
    vpc_id           = module.network.vpc_id
    subnet_ids       = module.network.public_subnet_ids
    assign_public_ip = true
  }

  database = {
    security_group_id    = module.database.security_group_id
    port                 = var.database.instance.port
    password_secret_arns = [for generation in module.database.generations : generation.password_secret_arn]
    kms_key_arns         = [module.database.kms_key_arn]
  }

  log_kms_key_arn = module.dump_bucket.kms_key_arn

  policies = {
    writer = module.dump_bucket.writer_policy_json
    state  = local._read_state_policy_json
    look   = contains(local._job_names, "status") ? local._status_policy_json : null
    reader = contains(local._job_names, "status") ? module.dump_bucket.reader_policy_json : null
  }
}

module "ebs_lifecycle" {
  source = "../../modules/ebs-lifecycle"

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  dr_region   = var.dr_region
  objectives  = var.objectives
  snapshots   = var.backup.snapshots
  images      = var.backup.images
  teardown    = var.teardown

  break_glass_role_arns = var.break_glass_role_arns
}

module "backup_plan" {
  source = "../../modules/backup-plan"

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  dr_region   = var.dr_region
  objectives  = var.objectives
  rules       = var.backup.rules
  selection   = { arns = module.database.instance_arns }
  lock        = var.backup.lock
  teardown    = var.teardown

  # The database only: a restored application host would start and write to the database in service. A selection for each
  # generation: the provider (5.100) sends no change of a selection's ARNs, and plans it anew for ever.
  restore_testing = merge(var.backup.restore_testing, {
    selections = {
      for generation, arn in module.database.instance_arns : "database_${generation}" => {
        resource_type      = "RDS"
        arns               = { (generation) = arn }
        metadata_overrides = { dbSubnetGroupName = module.database.subnet_group_name }
      }
    }
  })

  break_glass_role_arns = var.break_glass_role_arns
}

module "backup_alarms" {
  source = "../../modules/backup-alarms"

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  dr_region   = var.dr_region
  objectives  = var.objectives
  limits      = var.alarms.limits
  subscribers = var.alarms.subscribers

  watch = {
    databases       = module.database.identifiers
    vaults          = module.backup_plan.vaults
    backup_plan_ids = { plan = one(module.backup_plan.plan_ids) }
    dlm_policy_ids  = module.ebs_lifecycle.policy_ids

    kms_key_arns = {
      database = module.database.kms_key_arn
      dumps    = module.dump_bucket.kms_key_arn
      vault    = module.backup_plan.kms_key_arns.primary
    }
    dr_kms_key_arns = {
      database = module.database.dr_kms_key_arn
      vault    = module.backup_plan.kms_key_arns.dr
      volumes  = module.ebs_lifecycle.dr_kms_key_arn
    }

    # The state's buckets belong to the other root; their names are fixed.
    buckets = {
      dumps = module.dump_bucket.bucket
      state = "${var.name}-tfstate-${var.account_id}-${var.region}"
    }
    dr_buckets = {
      dumps = module.dump_bucket.replica_bucket
      state = "${var.name}-tfstate-${var.account_id}-${var.dr_region}"
    }

    # Both modules name their one rule after the region that it copies to.
    replications = {
      dumps = {
        source_bucket      = module.dump_bucket.bucket
        destination_bucket = module.dump_bucket.replica_bucket
        rule_id            = "to-${var.dr_region}"
      }
      state = {
        source_bucket      = "${var.name}-tfstate-${var.account_id}-${var.region}"
        destination_bucket = "${var.name}-tfstate-${var.account_id}-${var.dr_region}"
        rule_id            = "to-${var.dr_region}"
      }
    }

    database_storage = { free_gb = var.alarms.database_free_gb }

    # By names that are fixed, so that the alarms need not wait for the job.
    dump_job = local._dump_job ? {
      cluster_arn   = "arn:aws:ecs:${var.region}:${var.account_id}:cluster/${var.name}-dump"
      family        = "${var.name}-dump"
      not_run_queue = "${var.name}-dump-not-run"

      other_families = [for name in local._job_names : "${var.name}-${name}"]
    } : null
  }
}

module "recovery_roles" {
  source = "../../modules/recovery-roles"

  name        = var.name
  environment = var.environment
  account_id  = var.account_id

  trusted = merge(var.roles, {
    verifier_services         = contains(local._job_names, "verify") ? ["ecs-tasks.amazonaws.com"] : []
    retention_services        = contains(local._job_names, "retention") ? ["ecs-tasks.amazonaws.com"] : []
    restore_operator_services = contains(local._job_names, "drill") ? ["ecs-tasks.amazonaws.com"] : []
    pipeline                  = one(module.ci_identity[*].deploy_branch)
  })

  policies = {
    writer       = module.dump_bucket.writer_policy_json
    reader       = module.dump_bucket.reader_policy_json
    prover       = module.dump_bucket.prover_policy_json
    state        = local._state_policy_json
    state_reader = local._read_state_policy_json
    alarms       = jsonencode(merge(jsondecode(module.backup_alarms.tester_policy_json), { Statement = concat(jsondecode(module.backup_alarms.tester_policy_json).Statement, local._alarm_tests) }))
  }

  passed_role_arns = [module.app_instance.role_arn, module.backup_plan.role_arn]
}

# What a drill restores, it restores into a network of its own.
module "drill_network" {
  source = "../../modules/drill-network"
  count  = var.drill.enabled ? 1 : 0

  name               = var.name
  account_id         = var.account_id
  region             = var.region
  cidr               = var.drill.cidr
  availability_zones = [for letter in slice(var.network.availability_zones, 0, 2) : "${var.region}${letter}"]
  client_cidrs       = var.drill.client_cidrs
  endpoints          = var.drill.endpoints
  operator_role_name = module.recovery_roles.role_names["restore_operator"]

  database = {
    port         = var.database.instance.port
    kms_key_arns = [module.database.kms_key_arn]
  }
}

module "ci_identity" {
  source = "../../modules/ci-identity"
  count  = var.ci == null ? 0 : 1

  name              = var.name
  environment       = var.environment
  account_id        = var.account_id
  gitlab            = var.ci.gitlab
  oidc_provider_arn = var.ci.oidc_provider_arn
  apply_policy_arns = var.ci.apply_policy_arns
  state_policy_json = local._state_policy_json
}

# A recovery restores a generation through the RDS API; from then on it is Terraform's like any other.
import {
  for_each = { for generation, options in var.database_generations : generation => options if options.restored }

  to = module.database.aws_db_instance.this[each.key]
  id = "${var.name}-${each.key}"
}
