# The stack on the local cloud: small, but with every protection that production has.
ami_id = "ami-0f000000000000001" # the base image that the local cloud brings

instance = {
  app_image = "app:1"
  app_port  = 8080
}

database = {
  backup = {
    retention_days     = 14
    backup_window      = "03:00-04:00"
    maintenance_window = "sun:00:30-sun:01:30"
  }
}

dns = {
  zone_name   = "lifeboat.test"
  create_zone = true
}

dumps = {
  job = { image = "lifeboat:1" } # made of this working copy when the local cloud starts
}

alarms = {
  subscribers = ["on-call@lifeboat.test"]
}

ci = {
  gitlab = {
    url          = "https://gitlab.lifeboat.test"
    project_path = "demo/app"
  }
}

drill = { enabled = true } # a network that drills restore into
