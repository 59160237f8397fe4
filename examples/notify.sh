#!/bin/sh
# A follower: calls a command for each task that is done.
#
#     examples/notify.sh COMMAND [ARGUMENT...]        for example: examples/notify.sh notify-send TaskHub
#
# The title of the task is the command's last argument. The id of the last event is kept in a file, so that nothing is missed
# when this script, the hub or the network was away. A command that is killed is called again. Needs curl and jq.
set -eu
url=${TASKHUB_URL:-http://localhost:8000}
cursor_file=${CURSOR_FILE:-$HOME/.taskhub-notify}
[ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT...]" >&2; exit 2; }

# The stream as lines of JSON, from where this script was. Without a file: from now on.
follow() {
  set -- --no-buffer --silent --show-error --fail --max-time 86400 -H 'Accept: application/x-ndjson'
  [ -z "${TASKHUB_TOKEN:-}" ] || set -- "$@" -H "Authorization: Bearer $TASKHUB_TOKEN"
  curl "$@" "$url/api/events/stream?status=done&last_event_id=$(cat "$cursor_file" 2>/dev/null || true)"
}

while true; do
  follow | while read -r line; do
    title=$(printf '%s' "$line" | jq -r 'select(.event == "task_updated" and .data.status == "done")
      | select(.data.changed | index("status")) | .data.title')
    [ -z "$title" ] || "$@" "$title"
    printf '%s' "$line" | jq -r .id >"$cursor_file.new" && mv "$cursor_file.new" "$cursor_file"
  done || true
  sleep 1 # the hub was stopped, or cannot be reached
done
