#!/bin/bash
# lifeboat-heartbeat EVERY_SECONDS KEEP_DAYS: writes a row into the application's database every so often, so that a restore
# can tell what it lost: the newest row that came back is the last moment that did.
# HOST_ROOT is empty on a real host; the local cloud sets it to the host's root directory.
set -uo pipefail
every="$1" keep_days="$2"
root="${HOST_ROOT:-}"

# In memory, and readable by nobody else: where the database is, and the password.
kept="$root/run/lifeboat-heartbeat"
umask 077
mkdir -p "$kept"

setting() { sed -n "s/^$1=//p" "$root/etc/app/app.env" | tail -n 1; }

secret() {
  AWS_DEFAULT_REGION="$(setting AWS_REGION)" aws secretsmanager get-secret-value --secret-id "$1" \
    --query SecretString --output text
}

# As the application does: one secret says where the database is and which other one holds the password.
look_up() {
  local place password_arn password
  place="$(secret "$(setting APP_SECRET_NAME)")" &&
    password_arn="$(printf '%s' "$place" | python3 -c 'import json, sys; print(json.load(sys.stdin)["password_secret_arn"])')" &&
    password="$(secret "$password_arn")" &&
    printf '%s\n%s\n' "$place" "$password" | python3 -c '
import json, pathlib, sys
place, password = (json.loads(line) for line in sys.stdin)
names = [str(place[name]) for name in ("host", "port", "dbname", "username")]
escaped = [word.replace("\\", "\\\\").replace(":", "\\:") for word in [*names, password["password"]]]
folder = pathlib.Path(sys.argv[1])
(folder / "password").write_text(":".join(escaped) + "\n")
(folder / "service").write_text("[heartbeat]\nhost={}\nport={}\ndbname={}\nuser={}\n".format(*names))
' "$kept"
}

# A table that is there is not made again: each attempt would be a line in the log where dropped tables are looked for.
beat() {
  PGSERVICEFILE="$kept/service" PGPASSFILE="$kept/password" PGSSLMODE=require PGCONNECT_TIMEOUT=10 \
    PGAPPNAME=lifeboat-heartbeat PGOPTIONS="-c statement_timeout=20s -c lock_timeout=5s" \
    psql --no-psqlrc --quiet --no-password --tuples-only --set ON_ERROR_STOP=1 --set keep="$keep_days" service=heartbeat <<'SQL'
select to_regclass('lifeboat_heartbeat') is null as absent \gset
\if :absent
create table lifeboat_heartbeat (beat_at timestamptz primary key);
comment on table lifeboat_heartbeat is 'One row a minute: the newest that a restore brings back tells what it lost.';
\endif
insert into lifeboat_heartbeat (beat_at) values (now()) on conflict do nothing;
delete from lifeboat_heartbeat where beat_at < now() - make_interval(days => :keep);
SQL
}

# The secrets are read at the start, when signing in fails, and when the application's container is another one: whoever
# moves the database restarts the application, and then the heartbeat belongs where that writes.
known="nothing yet"
while :; do
  sleep "$((every - $(date +%s) % every))"
  container="$(docker inspect --format '{{.Id}} {{.State.StartedAt}}' app 2>/dev/null)"
  if [ "$container" != "$known" ]; then
    look_up || continue
    known="$container"
  fi
  beat || { look_up && beat; } || echo "no beat at $(date -u +%FT%TZ)" >&2
done
