#!/usr/bin/env bash
# Run shell files on the application's instance over SSM and show what they print.
#   on_host.sh NAME=value ... -- FILE ...
# The files run as one bash script, with the variables set. The instance is EC2_INSTANCE_ID, else the one running
# instance whose tag `application` is APPLICATION. Ends with the script's own status. Needs no key and no open port.
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
trap 'rm -f "$request" "$answer" "$errors"' EXIT
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
    "DocumentName": "AWS-RunShellScript", "InstanceIds": [instance], "Comment": comment[:100],
    "TimeoutSeconds": 60, "Parameters": parameters,
}))' "$instance" "$seconds" "job ${CI_JOB_ID:-by hand}: $(basename "${*: -1}")" >"$request"
command="$(aws ssm send-command --cli-input-json "file://$request" --query Command.CommandId --output text)"
echo "command $command"

# Starting the AWS command line takes longer than the call: one answer is asked for, and all is read from it.
said() {
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$answer" "$1"
}

deadline=$((SECONDS + seconds + 90))
status=Pending
while [ "$SECONDS" -lt "$deadline" ]; do
  if aws ssm get-command-invocation --command-id "$command" --instance-id "$instance" --output json \
    >"$answer" 2>"$errors"; then
    status="$(said Status)"
  else
    # The command is not known everywhere at once (SSM API reference, GetCommandInvocation).
    if ! grep -q InvocationDoesNotExist "$errors" || [ "$SECONDS" -gt "$((deadline - seconds - 60))" ]; then
      cat "$errors" >&2
      exit 1
    fi
    status=Pending
  fi
  case "$status" in
    Pending | InProgress | Delayed | Cancelling) sleep "${ON_HOST_POLL_SECONDS:-2}" ;;
    *) break ;;
  esac
done

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
