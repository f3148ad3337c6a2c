#!/usr/bin/env bash
# Brings this project's npm packages, its own Node among them, then hands over to the TypeScript file that is named.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

if [ ! -x node_modules/.bin/node ] || [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  command -v npm >/dev/null || { say 'npm is missing. Install Node.js 20 or newer with npm (Debian: apt-get install npm), then run this again.'; exit 1; }
  say 'Installing the npm packages of package-lock.json (npm ci): a minute or two.'
  # npm must not run on the Node inside node_modules, which npm ci replaces.
  PATH=$(printf '%s' "$PATH" | tr : '\n' | grep -v 'node_modules/\.bin$' | paste -sd :)
  if ! npm ci --no-audit --no-fund --loglevel=error >&2; then
    say 'npm ci failed: its last lines above say why. Where it was the network, run this again.'
    exit 1
  fi
fi
exec node_modules/.bin/node "$@"
