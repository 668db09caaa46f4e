# Waits for the roles only: the guards of buckets and keys name break_glass, and the policies of the roles name those keys.
output "role_arns" {
  description = "ARNs by role: writer, verifier, retention, restore_operator, break_glass."
  value       = { for role, made in aws_iam_role.this : role => made.arn }
}

output "role_names" {
  description = "Names by role, known before the roles are there."
  value       = { for role, made in aws_iam_role.this : role => made.name }
}
