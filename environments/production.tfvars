# What must survive. Replace the example.com names, the image and the zone with your own.
ami_id = "ami-0a1b2c3d4e5f60718" # Amazon Linux 2023; after a recovery, production.recovery.tfvars.json names the recovery image

network = {
  cidr               = "10.40.0.0/16"
  availability_zones = ["a", "b", "c"]
}

database = {
  instance = {
    class            = "db.m7g.large"
    allocated_gb     = 100
    max_allocated_gb = 500
    multi_az         = true
  }
  backup = {
    retention_days    = 35
    dr_retention_days = 14
  }
}

instance = {
  type      = "t3.large"
  volume_gb = 50
  app_image = "registry.example.com/app/app:1"
}

dns = {
  zone_name = "example.com"
  zone_id   = "Z012345678PRODUCTION"
}

# Twice a day: a dump is the copy that no AWS account is needed to read.
dumps = {
  every_hours = 12
  retention   = { current_days = 90, superseded_days = 120 }
  object_lock = { days = 30 }
  job         = { image = "registry.example.com/app/lifeboat:1", cpu = 1024, memory = 2048 }
}

backup = {
  rules = {
    daily   = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35 }
    monthly = { schedule = "cron(0 7 1 * ? *)", delete_after_days = 365 }
  }

  # Governance: whoever may do so in IAM can lift it. Before "compliance", which nobody can ever lift, read
  # modules/backup-plan/README.md.
  lock = { mode = "governance", min_days = 30, max_days = 400 }
}

alarms = {
  subscribers      = ["on-call@example.com", "platform@example.com"]
  database_free_gb = 10
}

roles = {
  writer_services = ["ec2.amazonaws.com"]
}

ci = {
  gitlab = {
    url          = "https://gitlab.example.com"
    project_path = "app/app"
  }
}

# The network that drills restore into. Its endpoints cost about 35 USD a month; endpoints = [] has none, and drills of the
# database and the state alone. client_cidrs: from where drills ask the restored database, joined to this
# network by yourself (modules/drill-network). Without it drills of the database are refused, before anything is made.
drill = { enabled = true }
