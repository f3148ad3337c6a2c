#!/usr/bin/env bash
# A session keeps its variables and files from call to call:  bash examples/curl/session.sh
set -euo pipefail
url=${CODERUN_URL:-http://127.0.0.1:8080}
call() { curl -sS --fail-with-body ${CODERUN_API_KEY:+-H "authorization: Bearer $CODERUN_API_KEY"} "$@"; }
session=$url/v1/sessions/example-$RANDOM$RANDOM

call "$url/v1/sessions?wait=60" -o /dev/null -H 'content-type: application/json' -d '{"name": "'"${session##*/}"'"}'
trap 'call -X DELETE "$session" -o /dev/null' EXIT
execute() { call "$session/execute" -H 'content-type: application/json' -d "{\"code\": \"$1\"}"; echo; }

execute 'import numpy as np; x = np.linspace(0, 2 * np.pi, 200)'
execute 'import matplotlib.pyplot as plt; plt.plot(x, np.sin(x)); plt.savefig(\"plot.png\"); print(len(x))'
call "$session/variables"
echo
call "$session/files/content?path=plot.png" -o plot.png
echo 'The figure is in plot.png.'
