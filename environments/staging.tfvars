# Production's rehearsal: the same shape, in one zone, kept for less long. Replace the example.com names, the image and
# the zone with your own.
ami_id = "ami-0a1b2c3d4e5f60718" # Amazon Linux 2023

network = {
  cidr = "10.30.0.0/16"
}

database = {
  instance = {
    class        = "db.t4g.small"
    allocated_gb = 20
  }
  backup = {
    retention_days    = 7
    dr_retention_days = 7
  }
}

instance = {
  type      = "t3.small"
  app_image = "registry.example.com/app/app:1"
}

dns = {
  zone_name = "staging.example.com"
  zone_id   = "Z0123456789STAGING01"
}

dumps = {
  job = { image = "registry.example.com/app/lifeboat:1" }
}

alarms = {
  subscribers = ["platform@example.com"]
}

ci = {
  gitlab = {
    url          = "https://gitlab.example.com"
    project_path = "app/app"
    branch       = "staging"
  }
}

# The network that drills restore into. Its endpoints cost about 35 USD a month; endpoints = [] has none, and drills of the
# database and the state alone. client_cidrs: from where drills ask the restored database, joined to this
# network by yourself (modules/drill-network). Without it drills of the database are refused, before anything is made.
drill = { enabled = true }
