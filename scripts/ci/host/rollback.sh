# shellcheck shell=bash
# On the host, before deploy.sh: choose the image to go back to. Wants `image`, which may be empty.
: "${image?}"
previous="${HOST_ROOT:-}/var/lib/app/previous"
serving="$(docker inspect app --format '{{.Config.Image}}' 2>/dev/null || true)"
if [ -z "$image" ] && [ -s "$previous" ]; then
  image="$(cat "$previous")"
fi
if [ -z "$image" ]; then
  echo "error: there is nothing to go back to: no image was given and $previous holds none" >&2
  exit 3
fi
if [ "$image" = "$serving" ]; then
  echo "error: there is nothing to go back to: $image is what runs now" >&2
  exit 3
fi
echo "going back from ${serving:-nothing} to $image"
