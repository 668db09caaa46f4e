# shellcheck shell=bash
# Source it: the job becomes the role that AWS_ROLE_ARN names, by GitLab's signed token in AWS_ID_TOKEN.
# Without AWS_ROLE_ARN the job stays who its runner is.
if [ -n "${AWS_ROLE_ARN:-}" ]; then
  : "${AWS_ID_TOKEN:?the job asks for no id_tokens}"
  AWS_WEB_IDENTITY_TOKEN_FILE="$(mktemp)" # 0600
  printf '%s' "$AWS_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE"
  export AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN
  export AWS_ROLE_SESSION_NAME="gitlab-${CI_PROJECT_ID:-0}-${CI_JOB_ID:-0}"
  # Keys of the runner's environment would come before the token.
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
fi
