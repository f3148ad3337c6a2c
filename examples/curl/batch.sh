#!/usr/bin/env bash
# Runs many programs, so many at a time, and shows how each ended as soon as it has:  bash examples/curl/batch.sh
set -euo pipefail
url=${CODERUN_URL:-http://127.0.0.1:8080}
call() { curl -sS --fail-with-body ${CODERUN_API_KEY:+-H "authorization: Bearer $CODERUN_API_KEY"} "$@"; }
name=example-$RANDOM$RANDOM

call "$url/v1/batches" -o /dev/null -H 'content-type: application/json' -d '{
  "name": "'"$name"'",
  "parallelism": 2,
  "template": {"timeoutSeconds": 10},
  "items": [
    {"name": "right", "code": "print(6 * 7)"},
    {"name": "wrong", "code": "print(6 / 0)"},
    {"name": "bounded", "code": "while True: pass", "timeoutSeconds": 1}
  ]
}'
# A line of JSON an item, in the order in which they end.
call -N "$url/v1/batches/$name/results"
