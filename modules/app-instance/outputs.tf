output "instance_id" {
  description = "Id of the running instance."
  value       = aws_instance.this.id
}

output "instance_type" {
  description = "Type of the instance; whether the account may run another one, a recovery asks first."
  value       = aws_instance.this.instance_type
}

output "instance_arn" {
  description = "ARN of the running instance; what an image policy or a backup plan selects."
  value       = aws_instance.this.arn
}

output "ami_id" {
  description = "Image that the instance was launched from."
  value       = aws_instance.this.ami
}

output "volume_id" {
  description = "Id of the instance's root volume."
  value       = one(aws_instance.this.root_block_device[*].volume_id)
}

output "address" {
  description = "Public address, which stays the same when the instance is replaced."
  value       = aws_eip.this.public_ip

  depends_on = [aws_eip_association.this]
}

output "url" {
  description = "Where the application answers, by address, so that it can be asked before any name resolves."
  value       = var.instance.app_port == 80 ? "http://${aws_eip.this.public_ip}" : "http://${aws_eip.this.public_ip}:${var.instance.app_port}"

  depends_on = [aws_eip_association.this, aws_vpc_security_group_ingress_rule.app]
}

output "dns_name" {
  description = "Public name of the application, null without dns."
  value       = local.dns_name

  depends_on = [aws_route53_record.app]
}

output "security_group_id" {
  description = "Security group of the instance; the database lets its members in."
  value       = aws_security_group.this.id
}

output "role_arn" {
  description = "Role of the instance."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the instance's role, to attach more policies to."
  value       = aws_iam_role.this.name
}
