#!/usr/bin/env bash
# Go back to ROLLBACK_IMAGE, else to the image that ran before the last deployment. Ends with 3 when there is none.
set -euo pipefail
cd "$(dirname "$0")"

echo "rolling ${ENVIRONMENT:-this environment} back to ${ROLLBACK_IMAGE:-the previous image} at EC2_INSTANCE_IP=${EC2_INSTANCE_IP:-not set}"
exec ./on_host.sh "image=${ROLLBACK_IMAGE:-}" "health_path=${HEALTH_PATH:-/healthz}" "health_seconds=${HEALTH_SECONDS:-300}" \
  -- host/rollback.sh host/deploy.sh
