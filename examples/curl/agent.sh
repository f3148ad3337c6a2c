#!/usr/bin/env bash
# A language model writes a program for a task, a sandbox runs it, and errors go back to be mended:  bash examples/curl/agent.sh
# The gateway needs a model: CODERUN_LLM_BASE_URL and CODERUN_LLM_MODEL in docs/configuration.md.
set -euo pipefail
url=${CODERUN_URL:-http://127.0.0.1:8080}
call() { curl -sS --fail-with-body ${CODERUN_API_KEY:+-H "authorization: Bearer $CODERUN_API_KEY"} "$@"; }

# Each step is told as it is taken: round, code, result, and finished with the whole answer.
call -N "$url/v1/agent" -H 'content-type: application/json' -H 'accept: text/event-stream' -d '{
  "task": "Print the 100th prime number.",
  "maxRounds": 3
}'
