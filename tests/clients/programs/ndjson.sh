#!/usr/bin/env bash
# curl and NDJSON: every line is an envelope, and the last one says where to go on.
#
#   ndjson.sh URL-OF-THE-STREAM
export LC_ALL=C
url=$1 last_id=""
while true; do
  while IFS= read -r line; do
    [ -n "$line" ] || continue # a keepalive
    printf '{"envelope":%s}\n' "$line"
    last_id=$(cut -d '"' -f 4 <<<"$line")
  done < <(curl --no-buffer --silent --header "Accept: application/x-ndjson" \
    ${last_id:+--header "Last-Event-ID: $last_id"} "$url")
  sleep 1
done
