#!/usr/bin/env bash
# Drill what DRILL says, and keep the evidence of that very run beside the pipeline. It ends as the drill did, whatever comes of
# the copies: 12 must not become the 1 of a report that failed.
set -euo pipefail
: "${DRILL:?}" "${ENVIRONMENT:?}"

mkdir -p drill
limit=()
if [ "$DRILL" != state ]; then # it costs nothing, and takes no limit
  limit=(--max-cost "${DRILL_MAX_COST:-10}")
fi

status=0
# What it says goes on to the log, and into a file: the run is named in a line of its own once something was begun.
{ lifeboat drill "$DRILL" ${limit[@]+"${limit[@]}"} -e "$ENVIRONMENT" --yes 2>&1 1>&3 | tee drill/progress.txt >&2; } 3>&1 || status=$?

run="$(sed -n 's/^run: //p' drill/progress.txt | tail -n 1)"
if [ -n "$run" ]; then # else nothing was begun, and the newest evidence is another drill's
  lifeboat report "$run" -e "$ENVIRONMENT" -o junit --out drill/junit.xml || true
  lifeboat report "$run" -e "$ENVIRONMENT" -o html --out drill/report.html || true
fi
exit "$status"
