"""Knocks at every target from the very first moment on, five times a second, and tells who let it in, and when."""

import json
import os
import socket
import threading
import time

START = time.monotonic()
SECONDS = 5
# A query for `kubernetes.default.svc.cluster.local`, type A.
QUERY = b"\0\1\1\0\0\1\0\0\0\0\0\0\x0akubernetes\7default\3svc\7cluster\5local\0\0\1\0\1"


def knock(kind, host, port):
    """True where a packet came back, be it a refusal: then those sent got through."""
    try:
        if kind == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                asked.settimeout(0.2)
                asked.sendto(QUERY, (host, port))
                return len(asked.recv(512)) > 0
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def watch(name, target):
    while time.monotonic() < START + SECONDS:
        if knock(*target):
            reached[name] = round((time.monotonic() - START) * 1000)
            return
        time.sleep(0.02)


reached = {}
watches = [threading.Thread(target=watch, args=item) for item in json.loads(os.environ["TARGETS"]).items()]
for each in watches:
    each.start()
for each in watches:
    each.join()
print(json.dumps(reached))
