"""Runs a program and waits for its end: pip install requests; python3 examples/python/run.py"""

import os

import requests

URL = os.environ.get("CODERUN_URL", "http://127.0.0.1:8080")
http = requests.Session()
if "CODERUN_API_KEY" in os.environ:
    http.headers["authorization"] = f"Bearer {os.environ['CODERUN_API_KEY']}"

run = {
    "code": "import sys\nprint(sum(int(line) for line in open(sys.argv[1])))",
    "args": ["numbers.txt"],
    "files": [{"path": "numbers.txt", "content": "20\n22\n"}],
    "timeoutSeconds": 10,
    "resources": {"memory": "256Mi"},
}
response = http.post(f"{URL}/v1/runs", params={"wait": 60}, json=run, timeout=90)
response.raise_for_status()
ended = response.json()
print(f"{ended['reason']}, exit code {ended.get('exitCode')}: {ended.get('stdout', '')}")
