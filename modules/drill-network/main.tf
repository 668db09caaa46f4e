locals {
  # Keys are zone names, so that adding or removing one zone touches no other zone's subnets.
  _zones = { for position, zone in var.availability_zones : zone => position }

  # Of what drills make, by their names.
  _made = {
    databases = "arn:aws:rds:${var.region}:${var.account_id}:db:${var.name}-drill-*"
    secrets   = "arn:aws:secretsmanager:${var.region}:${var.account_id}:secret:${var.name}-drill-*"
  }

  # Whoever may go through an endpoint by its policy. Keys that lie in an image of production work from inside as well, and an
  # endpoint without a policy lets all of them through, to any account.
  _through_endpoints = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheInstanceOfADrillAlone"
      Effect    = "Allow"
      Principal = { AWS = "*" }
      Action    = ["*"] # what it may do, its role says
      Resource  = ["*"]
      Condition = { ArnEquals = { "aws:PrincipalArn" = aws_iam_role.instance.arn } }
    }]
  })
}

# Host names are what the endpoints of AWS are found by: an instance asks for ssm.REGION.amazonaws.com and nothing else.
resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:Nothing leads into it or out of it, and what is in it lives for the length of a drill.
  cidr_block           = var.cidr
  enable_dns_hostnames = true

  tags = { Name = "${var.name}-drill" }
}

# Adopting the default group without a rule means that nothing forgotten in it can talk to anything.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-drill-default-closed" }
}

resource "aws_subnet" "this" {
  for_each = local._zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value)

  tags = { Name = "${var.name}-drill-${each.key}" }
}

# No route leaves: no gateway of any kind is attached, and what is restored can reach neither production nor anybody else.
resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-drill" }
}

resource "aws_route_table_association" "this" {
  for_each = local._zones

  subnet_id      = aws_subnet.this[each.key].id
  route_table_id = aws_route_table.this.id
}

resource "aws_db_subnet_group" "this" {
  name        = "${var.name}-drill"
  description = "Drills of ${var.name}: no way out"
  subnet_ids  = [for zone in var.availability_zones : aws_subnet.this[zone].id]
}

# -- who may talk to whom ----------------------------------------------------------------------------------------------

resource "aws_security_group" "database" {
  name        = "${var.name}-drill-database"
  description = "Restored database of a drill: asked, and asks nobody"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-drill-database" }
}

resource "aws_security_group" "instance" {
  # checkov:skip=CKV2_AWS_5:Each drill launches an instance into it and takes it away again.
  name        = "${var.name}-drill-instance"
  description = "Instance of a drill: reached by nobody, reaches its database and AWS through endpoints"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-drill-instance" }
}

resource "aws_vpc_security_group_ingress_rule" "database_from_instance" {
  security_group_id            = aws_security_group.database.id
  description                  = "PostgreSQL from the instance of a drill"
  referenced_security_group_id = aws_security_group.instance.id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port

  tags = { Name = "${var.name}-drill-database-from-instance" }
}

resource "aws_vpc_security_group_ingress_rule" "database_from_client" {
  for_each = var.client_cidrs

  security_group_id = aws_security_group.database.id
  description       = "PostgreSQL from who carries drills out"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = var.database.port
  to_port           = var.database.port

  tags = { Name = "${var.name}-drill-database-from-client" }
}

resource "aws_vpc_security_group_egress_rule" "instance_to_database" {
  security_group_id            = aws_security_group.instance.id
  description                  = "PostgreSQL of the drill"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port

  tags = { Name = "${var.name}-drill-instance-to-database" }
}

# -- AWS itself, for the agent on the instance ---------------------------------------------------------------------------

resource "aws_security_group" "endpoints" {
  count = length(var.endpoints) == 0 ? 0 : 1

  name        = "${var.name}-drill-endpoints"
  description = "Endpoints of AWS for the instance of a drill"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-drill-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_instance" {
  count = length(var.endpoints) == 0 ? 0 : 1

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "AWS from the instance of a drill"
  referenced_security_group_id = aws_security_group.instance.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443

  tags = { Name = "${var.name}-drill-endpoints-from-instance" }
}

resource "aws_vpc_security_group_egress_rule" "instance_to_endpoints" {
  count = length(var.endpoints) == 0 ? 0 : 1

  security_group_id            = aws_security_group.instance.id
  description                  = "AWS through the endpoints"
  referenced_security_group_id = aws_security_group.endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443

  tags = { Name = "${var.name}-drill-instance-to-endpoints" }
}

# In one zone, where the instance is launched too: a second one doubles the price of what runs an hour a month.
resource "aws_vpc_endpoint" "this" {
  for_each = var.endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [aws_subnet.this[var.availability_zones[0]].id]
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  policy              = local._through_endpoints

  tags = { Name = "${var.name}-drill-${each.key}" }
}
