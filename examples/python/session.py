"""A session keeps its variables and files from call to call: python3 examples/python/session.py"""

import os

import requests

URL = os.environ.get("CODERUN_URL", "http://127.0.0.1:8080")
http = requests.Session()
if "CODERUN_API_KEY" in os.environ:
    http.headers["authorization"] = f"Bearer {os.environ['CODERUN_API_KEY']}"


def call(method, path, **request):
    response = http.request(method, f"{URL}/v1/sessions{path}", timeout=90, **request)
    response.raise_for_status()
    return response


name = call("POST", "", params={"wait": 60}, json={}).json()["name"]
try:
    call("POST", f"/{name}/execute", json={"code": "import numpy as np; x = np.linspace(0, 2 * np.pi, 200)"})
    code = 'import matplotlib.pyplot as plt; plt.plot(x, np.sin(x)); plt.savefig("plot.png"); print(len(x))'
    print(call("POST", f"/{name}/execute", json={"code": code}).json()["stdout"].strip())
    for variable in call("GET", f"/{name}/variables").json()["variables"]:
        print(variable["name"], variable["type"], variable["size"])
    with open("plot.png", "wb") as file:
        file.write(call("GET", f"/{name}/files/content", params={"path": "plot.png"}).content)
    print("The figure is in plot.png.")
finally:
    call("DELETE", f"/{name}")
