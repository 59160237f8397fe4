#!/usr/bin/env bash
# curl in a loop: after every end it asks again, from behind the last message that arrived whole.
#
#   curl.sh URL-OF-THE-STREAM
export LC_ALL=C
url=$1 last_id="" retry_ms=1000
while true; do
  id="" data=""
  while IFS= read -r line; do
    case $line in
      "id: "*) id=${line#id: } ;;
      "data: "*) data=${line#data: } ;;
      "retry: "*) retry_ms=${line#retry: } ;;
      "") # the end of a message
        if [ -n "$data" ]; then
          printf '{"id":"%s","envelope":%s}\n' "$id" "$data"
          last_id=$id data=""
        fi ;;
    esac
  done < <(curl --no-buffer --silent ${last_id:+--header "Last-Event-ID: $last_id"} "$url")
  sleep "$((retry_ms / 1000)).$(printf %03d $((retry_ms % 1000)))"
done
