"""Runs many programs, so many at a time, and shows how each ended as soon as it has: python3 examples/python/batch.py"""

import json
import os

import requests

URL = os.environ.get("CODERUN_URL", "http://127.0.0.1:8080")
http = requests.Session()
if "CODERUN_API_KEY" in os.environ:
    http.headers["authorization"] = f"Bearer {os.environ['CODERUN_API_KEY']}"

batch = {
    "parallelism": 2,
    "template": {"timeoutSeconds": 10},
    "items": [
        {"name": "right", "code": "print(6 * 7)"},
        {"name": "wrong", "code": "print(6 / 0)"},
        {"name": "bounded", "code": "while True: pass", "timeoutSeconds": 1},
    ],
}
response = http.post(f"{URL}/v1/batches", json=batch, timeout=30)
response.raise_for_status()
name = response.json()["name"]
with http.get(f"{URL}/v1/batches/{name}/results", stream=True, timeout=(10, 300)) as results:
    results.raise_for_status()
    for line in results.iter_lines():
        result = json.loads(line)
        print(result["item"], result["reason"], result.get("stdout", "").strip())
