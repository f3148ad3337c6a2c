#!/usr/bin/env bash
# Runs a program and waits for its end:  CODERUN_URL=http://127.0.0.1:8080 bash examples/curl/run.sh
set -euo pipefail
url=${CODERUN_URL:-http://127.0.0.1:8080}
call() { curl -sS --fail-with-body ${CODERUN_API_KEY:+-H "authorization: Bearer $CODERUN_API_KEY"} "$@"; }

# The answer has state, reason, exitCode, stdout, stderr, error, usage and more.
call "$url/v1/runs?wait=60" -H 'content-type: application/json' -d '{
  "code": "import sys\nprint(sum(int(line) for line in open(sys.argv[1])))",
  "args": ["numbers.txt"],
  "files": [{"path": "numbers.txt", "content": "20\n22\n"}],
  "timeoutSeconds": 10,
  "resources": {"memory": "256Mi"}
}'
echo
