#!/usr/bin/env bash
# Run shell files on the application's instance over SSM and show what they print.
#   on_host.sh NAME=value ... -- FILE ...
# The files run as one bash script, with the variables set. The instance is EC2_INSTANCE_ID, else the one running
# instance whose tag `application` is APPLICATION. Ends with the script's own status. Needs no key and no open port.
# However it ends before the command has, by a signal, at its deadline or by an error, it cancels the command.
set -euo pipefail

variables=()
while [ "$1" != "--" ]; do
  variables+=("$1")
  shift
done
shift

seconds="${ON_HOST_SECONDS:-600}"
instance="${EC2_INSTANCE_ID:-}"
if [ -z "$instance" ]; then
  : "${APPLICATION:?set EC2_INSTANCE_ID, or APPLICATION to the value of the tag application}"
  instance="$(aws ec2 describe-instances --output text --query 'Reservations[].Instances[].InstanceId' \
    --filters "Name=tag:application,Values=$APPLICATION" "Name=instance-state-name,Values=running")"
  if [ "$(wc -w <<<"$instance")" -ne 1 ]; then
    echo "error: $(wc -w <<<"$instance") running instances have the tag application=$APPLICATION, not one: ${instance:-none}" >&2
    exit 1
  fi
fi
address="${EC2_INSTANCE_IP:-}"
if [ -z "$address" ]; then
  address="$(aws ec2 describe-instances --instance-ids "$instance" --output text \
    --query 'Reservations[0].Instances[0].[PublicIpAddress, PrivateIpAddress][?@ != null] | [0]')"
fi
echo "instance $instance at $address"

request="$(mktemp)"
answer="$(mktemp)"
errors="$(mktemp)"
comment="job ${CI_JOB_ID:-by hand} $(date +%s).$$: $(basename "${*: -1}")"
command=""
open="" # from before it is sent until it has ended

# Print the id of what was sent with our comment; nothing where SSM knows of none.
sent() {
  aws ssm list-commands --instance-id "$instance" --output json --query "Commands[?Comment=='$comment'].CommandId" |
    python3 -c 'import json, sys; print(*json.load(sys.stdin)[:1])'
}

finish() {
  code=$?
  trap '' TERM INT # nor do the calls below end by them
  for pause in 1 2 4 0; do # a command that was just sent is not listed at once
    if [ -z "$open" ] || [ -n "$command" ]; then break; fi
    command="$(sent)" || true
    if [ -z "$command" ]; then sleep "$pause"; fi
  done
  if [ -n "$open" ] && [ -z "$command" ]; then
    echo "error: whether the command was sent is not known; look for its comment: $comment" >&2
  fi
  if [ -n "$open" ] && [ -n "$command" ]; then
    if aws ssm cancel-command --command-id "$command" --instance-ids "$instance"; then
      echo "error: command $command is cancelled" >&2
    else
      echo "error: command $command may run on; to end it: aws ssm cancel-command --command-id $command" >&2
    fi
  fi
  rm -f "$request" "$answer" "$errors"
  exit "$code"
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

{
  printf '#!/bin/bash\nset -euo pipefail\n'
  for variable in "${variables[@]}"; do
    printf '%s=%q\n' "${variable%%=*}" "${variable#*=}"
  done
  cat "$@"
} | python3 -c '
import json, sys
instance, seconds, comment = sys.argv[1:]
parameters = {"commands": sys.stdin.read().splitlines(), "executionTimeout": [seconds]}
print(json.dumps({
    "DocumentName": "AWS-RunShellScript", "InstanceIds": [instance], "Comment": comment,
    "TimeoutSeconds": 60, "Parameters": parameters,
}))' "$instance" "$seconds" "$comment" >"$request"

# SendCommand has no token: sent again by the AWS command line after a lost answer, the files would run twice. So each
# call is tried once, and before the next one the command is looked for.
passing='Internal|Unavailable|Throttl|RequestLimitExceeded|TooManyRequests|\(5[0-9][0-9]\)'
open=yes
for pause in 1 2 3 4; do
  if command="$(AWS_MAX_ATTEMPTS=1 aws ssm send-command --cli-input-json "file://$request" \
    --query Command.CommandId --output text 2>"$errors")"; then
    break
  fi
  command=""
  cat "$errors" >&2
  if grep -q 'An error occurred (' "$errors" && ! grep -Eq "An error occurred .*($passing)" "$errors"; then
    open="" # refused in so many words
    exit 1
  fi
  sleep "$pause"
  command="$(sent)"
  if [ -n "$command" ]; then
    break
  fi
done
if [ -z "$command" ]; then
  echo "error: SSM did not take the command" >&2
  exit 1
fi
echo "command $command"

# Starting the AWS command line takes longer than the call: one answer is asked for, and all is read from it.
said() {
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$answer" "$1"
}

limit=$((seconds + ${ON_HOST_GRACE_SECONDS:-90}))
began="$SECONDS"
unseen=0
while true; do
  if aws ssm get-command-invocation --command-id "$command" --instance-id "$instance" --output json \
    >"$answer" 2>"$errors"; then
    status="$(said Status)"
    unseen=0
  else
    status=Pending
    # The command is not known everywhere at once (SSM API reference, GetCommandInvocation).
    if ! grep -q InvocationDoesNotExist "$errors" || [ "$((SECONDS - began))" -gt 30 ]; then
      unseen=$((unseen + 1))
    fi
    if [ "$unseen" -ge 5 ]; then
      cat "$errors" >&2
      echo "error: how the command goes cannot be seen" >&2
      exit 1
    fi
  fi
  case "$status" in
    Pending | InProgress | Delayed | Cancelling) ;;
    *) break ;;
  esac
  if [ "$((SECONDS - began))" -ge "$limit" ]; then
    echo "error: the command has not ended within $limit s" >&2
    exit 1
  fi
  sleep "${ON_HOST_POLL_SECONDS:-2}"
done
open=""

# The API returns the first 24,000 characters of the output and 8,000 of the errors.
said StandardOutputContent
said StandardErrorContent >&2
if [ "$status" = Success ]; then
  exit 0
fi
code="$(said ResponseCode)"
echo "error: the command ended as $status with status $code" >&2
if [ "$code" -gt 0 ] && [ "$code" -lt 126 ]; then
  exit "$code"
fi
exit 1
