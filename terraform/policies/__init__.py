"""The rules of disaster recovery as a pack of checkov: checkov -d ROOT --external-checks-dir terraform/policies -c 'LB_*'."""
