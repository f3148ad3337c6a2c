/** The programs that `coderun doctor` has run: each tries what a sandbox must not let it do. */

/** Tells as JSON what a program sees; TARGETS holds addresses by name. */
export const FACTS = `
import ctypes, json, os, socket

def attempt(action):
    try:
        return [True, str(action())]
    except Exception as error:
        return [False, type(error).__name__ + ": " + str(error)]

def connect(address):
    with socket.create_connection(tuple(address), timeout=2):
        return "connected"

def write(path):
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return "written"

def kernel_log():
    buffer = ctypes.create_string_buffer(65536)
    count = ctypes.CDLL(None).klogctl(3, buffer, len(buffer))
    return "Starting gVisor" in buffer.raw[:max(count, 0)].decode(errors="replace")

status = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "kernel": os.uname().release,
    "gvisor": attempt(kernel_log) == [True, "True"],
    "user": os.getuid(),
    "root": attempt(lambda: os.setuid(0))[0],
    "capabilities": int(status.get("CapEff", "0"), 16) | int(status.get("CapPrm", "0"), 16),
    "privileges": status.get("NoNewPrivs") != "1",
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "writable": [path for path in ("/", "/etc", "/usr/bin", "/var") if attempt(lambda: write(os.path.join(path, "coderun-doctor")))[0]],
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "resolves": attempt(lambda: socket.getaddrinfo("kubernetes.default.svc.cluster.local", 443))[0],
    "connects": {name: attempt(lambda: connect(address)) for name, address in json.loads(os.environ["TARGETS"]).items()},
}))
`;

export const SPIN = 'while True: pass\n';

/** Asks for memory piece by piece and writes to all of it. */
export const HOARD = `
held = []
for _ in range(4096):
    held.append(bytearray(b"x" * (1 << 20)))
print("4 GiB are held")
`;

export const FORK = `
import os, signal, time
children, refused = [], ""
try:
    while len(children) < 3000:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError as error:
    refused = str(error)
for child in children:
    os.kill(child, signal.SIGKILL)
print(len(children), refused or "nothing was refused")
`;

export const FILL = `
written, refused = 0, ""
try:
    with open("filler", "wb") as file:
        for _ in range(4096):
            file.write(b"x" * (1 << 20))
            file.flush()
            written += 1
except OSError as error:
    refused = str(error)
print(written, "MiB,", refused or "nothing was refused")
`;

export const FLOOD = 'for _ in range(4096): print("x" * 1023)\n';

/** Leaves a trace, and tells of traces that were there before. */
export const TRACE = `
import os
places = (os.getcwd(), "/tmp", "/dev/shm")
print([path for path in places if os.path.exists(os.path.join(path, "coderun-doctor-trace"))])
for path in places:
    try:
        open(os.path.join(path, "coderun-doctor-trace"), "w").close()
    except OSError:
        pass
`;
