# shellcheck shell=bash
# On the host: pull an image, restart the application with it, keep the name of the one before, wait for health.
# Wants `image` (empty: the one in the settings), `health_path` and `health_seconds`.
# HOST_ROOT and HOST_ADDRESS are unset on a real host; the local cloud's hosts share a machine.
: "${image?}" "${health_path:?}" "${health_seconds:?}"
settings="${HOST_ROOT:-}/etc/app/app.env"
kept="${HOST_ROOT:-}/var/lib/app/previous"

setting() { sed -n "s/^$1=//p" "$settings" | tail -n 1; }
port="$(setting PORT)"
health="http://${HOST_ADDRESS:-localhost}:$port$health_path"
healthy() { curl --silent --fail --max-time 5 --output /dev/null "$health"; }

image="${image:-$(setting APP_IMAGE)}"
serving="$(docker inspect app --format '{{.Config.Image}}' 2>/dev/null || true)"
# An image that never worked is nothing to go back to, unless it is all there is.
if [ -n "$serving" ] && [ "$serving" != "$image" ] && { healthy || [ ! -s "$kept" ]; }; then
  keep="$serving"
fi

case "$image" in
  *.dkr.ecr.*.amazonaws.com/*)
    AWS_DEFAULT_REGION="$(setting AWS_REGION)"
    export AWS_DEFAULT_REGION
    aws ecr get-login-password | docker login --username AWS --password-stdin "${image%%/*}"
    ;;
esac
docker pull "$image" # before anything is stopped: an image that is not there costs no outage

if [ -n "${keep:-}" ]; then
  mkdir -p "$(dirname "$kept")"
  printf '%s\n' "$keep" >"$kept.new"
  mv "$kept.new" "$kept"
fi
sed "s|^APP_IMAGE=.*|APP_IMAGE=$image|" "$settings" >"$settings.new"
mv "$settings.new" "$settings"
docker rm --force app >/dev/null 2>&1 || true
docker run --detach --name app --restart always --publish "$port:$port" --env-file "$settings" "$image" >/dev/null

begin="$SECONDS"
until healthy; do
  if [ "$((SECONDS - begin))" -ge "$health_seconds" ]; then
    echo "error: $image did not answer on $health within $health_seconds s; it runs on. Its last lines:" >&2
    docker logs --tail 20 app >&2 || true
    exit 1
  fi
  sleep 1
done
echo "$image answers on $health after $((SECONDS - begin)) s; before it ran ${serving:-nothing}"
