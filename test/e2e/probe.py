"""What a program sees and can do in its sandbox, as one JSON object. Run inside of sandboxes by isolation.test.ts."""

import ctypes
import json
import os
import resource
import socket

def attempt(action):
    """The name of the error that keeps `action` from succeeding, or what it gave."""
    try:
        return action()
    except OSError as error:
        return type(error).__name__ + " " + (os.strerror(error.errno) if error.errno and error.errno > 0 else str(error))
    except Exception as error:
        return type(error).__name__

def connect(host, port):
    with socket.create_connection((host, port), timeout=3):
        return "connected"

def write(path):
    with open(path, "w") as file:
        file.write("x")
    return "written"

def unix_status():
    return dict(line.rstrip().split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)

def interfaces():
    return sorted(name for _, name in socket.if_nameindex())

def kernel_log():
    buffer = ctypes.create_string_buffer(65536)
    count = ctypes.CDLL(None).klogctl(3, buffer, len(buffer))
    return "gVisor" in buffer.raw[: max(count, 0)].decode(errors="replace")

targets = json.loads(os.environ.get("TARGETS", "{}"))
status = unix_status()
facts = {
    "kernel": os.uname().release,
    "gvisor": attempt(kernel_log),
    "hostname": os.uname().nodename,
    "user": [os.getuid(), os.getgid()],
    "become_root": attempt(lambda: os.setuid(0) or "root"),
    "capabilities": [status.get("CapEff"), status.get("CapPrm"), status.get("CapBnd")],
    "no_new_privileges": status.get("NoNewPrivs"),
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "service_environment": sorted(name for name in os.environ if "SERVICE" in name or "KUBERNETES" in name),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    "own_process": os.getpid(),
    "resolvers": attempt(lambda: open("/etc/resolv.conf").read()),
    "resolve": attempt(lambda: bool(socket.getaddrinfo("kubernetes.default.svc.cluster.local", 443))),
    "interfaces": attempt(interfaces),
    "raw_socket": attempt(lambda: bool(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))),
    "write_root": attempt(lambda: write("/probe")),
    "write_etc": attempt(lambda: write("/etc/probe")),
    "write_code": attempt(lambda: write(os.path.join(os.path.dirname(os.__file__), "probe.py"))),
    "mount": ctypes.CDLL(None, use_errno=True).mount(b"none", b"/mnt", b"tmpfs", 0, None),
    "device": attempt(lambda: os.mknod("/workspace/device", 0o600 | 0o020000, os.makedev(1, 3)) or "made"),
    "core_limit": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "process_limit": resource.getrlimit(resource.RLIMIT_NPROC)[0],
    "file_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "sockets": [path for path in ("/run/containerd/containerd.sock", "/var/run/docker.sock") if os.path.exists(path)],
    "connect": {name: attempt(lambda: connect(host, port)) for name, (host, port) in targets.items()},
}
print(json.dumps(facts))
