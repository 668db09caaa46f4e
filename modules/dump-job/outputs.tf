output "security_group_id" {
  description = "Security group of the job; the database must let its members in."
  value       = aws_security_group.this.id
}

output "cluster_arn" {
  description = "Cluster that the job runs in."
  value       = aws_ecs_cluster.this.arn
}

output "family" {
  description = "Family of the task definitions; `aws ecs run-task` with it dumps now."
  value       = aws_ecs_task_definition.this.family
}

output "families" {
  description = "Families of all task definitions, by what they do: dump, and the names of schedule.jobs."
  value       = merge({ dump = aws_ecs_task_definition.this.family }, { for name, job in aws_ecs_task_definition.jobs : name => job.family })
}

output "not_run_queue" {
  description = "Name of the queue of runs that could not be started; empty when all is well."
  value       = aws_sqs_queue.not_run.name
}

output "log_group" {
  description = "Where the job's output is."
  value       = aws_cloudwatch_log_group.this.name
}

output "role_arn" {
  description = "Role that the job works with."
  value       = aws_iam_role.task.arn
}

output "schedules" {
  description = "When the other jobs run, UTC, by name."
  value       = { for name, job in aws_scheduler_schedule.jobs : name => job.schedule_expression }
}

output "schedule" {
  description = "When dumps are made, UTC."
  value       = aws_scheduler_schedule.this.schedule_expression

  depends_on = [aws_iam_role_policy.given, aws_iam_role_policy.start, aws_iam_role_policy.task]
}
