"""Disaster recovery for an application on AWS: each copy proven by restoring it, each recovery timed."""
