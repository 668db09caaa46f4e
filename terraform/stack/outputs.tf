# The only thing that lifeboat reads of this stack (scripts/lifeboat/model.py).
output "recovery" {
  description = "What a recovery needs to know about this stack."
  value = {
    application = var.name
    environment = var.environment
    account_id  = var.account_id
    region      = var.region
    dr_region   = var.dr_region
    objectives  = var.objectives

    app = {
      url               = module.app_instance.url
      address           = module.app_instance.address
      instance_id       = module.app_instance.instance_id
      instance_type     = module.app_instance.instance_type
      ami_id            = module.app_instance.ami_id
      security_group_id = module.app_instance.security_group_id
      dns_name          = module.app_instance.dns_name
    }

    database = merge(module.database.active, {
      generations        = keys(module.database.generations)
      active_generation  = var.active_generation
      retention_days     = module.database.retention_days
      backup_window      = module.database.backup_window
      maintenance_window = module.database.maintenance_window
    })

    secrets = {
      name = module.app_secrets.name
      arn  = module.app_secrets.arn
    }

    dumps = {
      bucket         = module.dump_bucket.bucket
      prefix         = module.dump_bucket.prefix
      replica_bucket = module.dump_bucket.replica_bucket
    }

    vaults          = module.backup_plan.vaults
    dlm_policy_ids  = values(module.ebs_lifecycle.policy_ids)
    backup_plan_ids = module.backup_plan.plan_ids
    topic_arn       = module.backup_alarms.topic_arn

    # Of the DR region: what copies of images are encrypted with there.
    image_copies_key_arn = module.ebs_lifecycle.dr_kms_key_arn

    roles = merge(
      module.recovery_roles.role_arns,
      [for ci in module.ci_identity : { for role, arn in ci.role_arns : "ci_${role}" => arn }]...
    )

    # Where drills restore into; null: there is no such network, and drills are refused.
    drill = one([
      for network in module.drill_network : {
        subnet_group     = network.subnet_group
        subnet_ids       = network.subnet_ids
        security_groups  = network.security_groups
        instance_profile = network.instance_profile
        client_cidrs     = var.drill.client_cidrs == null ? [] : sort(var.drill.client_cidrs)
      }
    ])

    protection = concat(
      module.database.protection,
      module.backup_plan.protection,
      module.ebs_lifecycle.protection,
      module.dump_bucket.protection,
      module.app_secrets.protection,
      # Every push and every clone is a copy; how old the newest one is, nobody here can know.
      var.ci == null ? [] : [{
        asset       = "code"
        mechanism   = "git history of ${var.ci.gitlab.project_path} and its clones"
        every_hours = null
        kept_days   = null
        regions     = [trimprefix(var.ci.gitlab.url, "https://")]
      }],
    )
  }
}
