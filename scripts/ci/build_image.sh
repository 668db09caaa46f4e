#!/usr/bin/env bash
# Builds the image that the dump job runs and pushes it to LIFEBOAT_REPOSITORY under LIFEBOAT_TAG and under its commit.
set -euo pipefail
: "${LIFEBOAT_REPOSITORY:?an ECR repository, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/lifeboat}"
: "${LIFEBOAT_TAG:?the tag that dumps.job.image names}"
commit="${CI_COMMIT_SHA:-$(git rev-parse HEAD)}"

aws ecr get-login-password | docker login --username AWS --password-stdin "${LIFEBOAT_REPOSITORY%%/*}"
docker build --pull --build-arg "GIT_SHA=$commit" --tag "$LIFEBOAT_REPOSITORY:$commit" --tag "$LIFEBOAT_REPOSITORY:$LIFEBOAT_TAG" .
docker push "$LIFEBOAT_REPOSITORY:$commit"
# Last: the schedule starts what this tag names.
docker push "$LIFEBOAT_REPOSITORY:$LIFEBOAT_TAG"
