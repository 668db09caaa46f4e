# One page of it all: what rings, how old each copy is, when each was last proven, and how the last drills went.

locals {
  _kinds  = ["database", "instance-volume", "vault", "dumps", "state", "image"]
  _scopes = ["database", "instance", "full", "state"]

  # Not those of single databases: a recovery makes another one, and need not write the dashboard for it.
  _shown = [for key in sort(keys(local.alarms)) : key if !startswith(key, "database-storage-low")]

  # A metric of lifeboat per kind, shown in another unit than it is measured in: seconds are hard to read.
  _graphs = {
    age    = { title = "Age of the newest copy (hours)", metric = "BackupAgeSeconds", kinds = local._kinds, by = 3600, lines = { "RPO" = var.objectives.rpo_hours } }
    proof  = { title = "Since a restore proved it (days)", metric = "RestoreProofAgeSeconds", kinds = ["database", "dumps", "image", "state"], by = 86400, lines = { "database, dumps" = var.limits.proof_days, "image" = var.limits.image_proof_days } }
    drills = { title = "Since a drill went well (days)", metric = "DrillAgeSeconds", kinds = local._scopes, by = 86400, lines = { "limit" = var.limits.drill_days } }
    bytes  = { title = "Size of the newest copy (GiB)", metric = "BackupBytes", kinds = local._kinds, by = local._gb, lines = {} }
    rto    = { title = "Recovery time of the last drill (minutes)", metric = "MeasuredRtoSeconds", kinds = local._scopes, by = 60, lines = { "RTO" = var.objectives.rto_hours * 60 } }
    rpo    = { title = "Data that the last drill would have lost (minutes)", metric = "MeasuredRpoSeconds", kinds = ["database", "full"], by = 60, lines = { "RPO" = var.objectives.rpo_hours * 60 } }
  }

  # Two in a row of 24 columns.
  _places = { for number, name in ["age", "proof", "rto", "drills", "rpo", "bytes"] : name => { x = number % 2 * 12, y = 15 + floor(number / 2) * 7 } }

  _graph_widgets = [
    for name, place in local._places : {
      type   = "metric"
      x      = place.x
      y      = place.y
      width  = 12
      height = 7
      properties = {
        region = var.region
        title  = local._graphs[name].title
        view   = "timeSeries"
        period = 3600
        stat   = "Maximum"
        yAxis  = { left = { min = 0, showUnits = false } }
        metrics = concat(
          [for number, kind in local._graphs[name].kinds : [{ expression = "m${number}/${local._graphs[name].by}", id = "e${number}", label = kind }]],
          [for number, kind in local._graphs[name].kinds : [local.metric_namespace, local._graphs[name].metric, "Kind", kind, "Name", var.name, { id = "m${number}", visible = false }]],
        )
        annotations = { horizontal = [for label, value in local._graphs[name].lines : { label = label, value = value }] }
      }
    }
  ]

  dashboard = {
    periodOverride = "inherit"
    start          = "-P14D"
    widgets = concat(
      [
        {
          type   = "text"
          x      = 0
          y      = 0
          width  = 24
          height = 3
          properties = {
            markdown = join("\n", [
              "# Recovery of ${var.name} (${var.environment})",
              "Lose at most ${var.objectives.rpo_hours} h of data, be back within ${var.objectives.rto_hours} h. `lifeboat status` tells more, `lifeboat report` what drills proved; the page of an alarm is docs/runbooks/alarm-*.md, named in its description.",
              "**A line that ends is worse than one that rises:** then nobody measures (`lifeboat status --publish` on its schedule).",
            ])
          }
        },
        {
          type   = "metric"
          x      = 0
          y      = 3
          width  = 24
          height = 4
          properties = {
            region = var.region
            title  = "Checks of lifeboat status: all must be 0"
            view   = "singleValue"
            period = 3600
            stat   = "Maximum"
            metrics = [
              [local.metric_namespace, "StatusChecksRed", "Name", var.name, { label = "red", color = "#d13212" }],
              [local.metric_namespace, "StatusChecksUnknown", "Name", var.name, { label = "not seen", color = "#ff7f0e" }],
              [local.metric_namespace, "LeakedResources", "Name", var.name, { label = "left by drills" }],
            ]
          }
        },
        {
          type   = "alarm"
          x      = 0
          y      = 7
          width  = 24
          height = 8
          properties = {
            title  = "Alarms"
            alarms = [for key in local._shown : "arn:aws:cloudwatch:${var.region}:${var.account_id}:alarm:${var.name}-${key}"]
          }
        },
      ],
      local._graph_widgets,
    )
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.name}-recovery"
  dashboard_body = jsonencode(local.dashboard)
}
