#!/usr/bin/env bash
# Take away what the drill of this job left, however the job ended. A drill that was killed holds its lease for a minute more.
set -euo pipefail
: "${ENVIRONMENT:?}"

lifeboat sweep -e "$ENVIRONMENT" --yes && exit
sleep "${SWEEP_AGAIN_SECONDS:-90}"
lifeboat sweep -e "$ENVIRONMENT" --yes
