"""
A language model writes a program for a task, a sandbox runs it, and errors go back to be mended:
python3 examples/python/agent.py

The gateway needs a model: CODERUN_LLM_BASE_URL in docs/configuration.md.
"""

import os
import sys

import requests

URL = os.environ.get("CODERUN_URL", "http://127.0.0.1:8080")
http = requests.Session()
if "CODERUN_API_KEY" in os.environ:
    http.headers["authorization"] = f"Bearer {os.environ['CODERUN_API_KEY']}"

task = {"task": "Print the 100th prime number.", "maxRounds": 3}
response = http.post(f"{URL}/v1/agent", json=task, timeout=600)
answer = response.json()
if not response.ok:
    sys.exit(f"{answer['code']}: {answer['detail']}")
for tried in answer["rounds"]:
    print(tried["generated_code"])
    print(tried["execution_result"] and tried["execution_result"]["stdout"])
