# shellcheck shell=bash
# Source it: the job becomes the role that AWS_ROLE_ARN names, by GitLab's signed token in AWS_ID_TOKEN, and says who it
# is then. A job without a role is stopped: the project setting is missing, or scoped to another environment, and the
# runner's own identity may be anybody's. A runner whose own identity is meant sets AWS_RUNNER_IDENTITY=meant.
if [ -n "${AWS_ROLE_ARN:-}" ]; then
  : "${AWS_ID_TOKEN:?the job asks for no id_tokens}"
  AWS_WEB_IDENTITY_TOKEN_FILE="$(mktemp)" # 0600
  printf '%s' "$AWS_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE"
  export AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN
  export AWS_ROLE_SESSION_NAME="gitlab-${CI_PROJECT_ID:-0}-${CI_JOB_ID:-0}"
  # Keys of the runner's environment would come before the token.
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
elif [ "${AWS_RUNNER_IDENTITY:-}" != meant ]; then
  echo "error: AWS_ROLE_ARN is empty, so ${CI_JOB_NAME:-this job} would run as its runner; set CI_PLAN_ROLE_ARN," \
    "CI_APPLY_ROLE_ARN and CI_DRILL_ROLE_ARN in the project's variables, scoped to ${ENVIRONMENT:-the environment}" >&2
  exit 1
fi
AWS_IDENTITY="$(aws sts get-caller-identity --query Arn --output text)" || exit 1
echo "AWS knows this job as $AWS_IDENTITY"
