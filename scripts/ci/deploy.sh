#!/usr/bin/env bash
# Deploy the application: DEPLOY_IMAGE, or what the host's settings name, onto the instance.
set -euo pipefail
cd "$(dirname "$0")"

echo "deploying ${DEPLOY_IMAGE:-the image of its settings} to ${ENVIRONMENT:-this environment} at EC2_INSTANCE_IP=${EC2_INSTANCE_IP:-not set}"
exec ./on_host.sh "image=${DEPLOY_IMAGE:-}" "health_path=${HEALTH_PATH:-/healthz}" "health_seconds=${HEALTH_SECONDS:-300}" \
  -- host/deploy.sh
