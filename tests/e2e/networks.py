"""Networks for guests under test: through libslirp to the host, a wire whose other end the test
holds, a bridge in a network namespace of its own.
"""
import ctypes
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

from harness import (DEBUG_EXIT, Ended, Failed, Skip, check_sanitizers, environment, expect, guest_command, run,
                     text)

DONE = 1  # the status of isa-debug-exit for "poweroff"
CARD = ("-device", "virtio-net-device,netdev=n")
CLONE_NEWNET = 0x40000000


class Guest:
    """A guest that runs while the test talks to it. Ends with the with block."""

    def __init__(self, binary, commands, options):
        self.command = guest_command(binary, append=f"run={commands}", options=(*DEBUG_EXIT, *options))
        self.out = b""

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=environment(), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def __str__(self):
        return f"$ {' '.join(self.command)}\n--- stdout\n{text(self.out)[-4000:]}"

    def _read(self, until):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
            raise Failed(f"the guest says no more\n{self}")
        return os.read(self.process.stdout.fileno(), 65536)

    def wait_for(self, pattern, timeout=60):
        until = time.monotonic() + timeout
        while not re.search(pattern, text(self.out)):
            more = self._read(until)
            expect(more, f"the guest ended before it said: {pattern}", self)
            self.out += more

    def end(self, timeout=60):
        """Waits until the guest has powered off."""
        until = time.monotonic() + timeout
        while more := self._read(until):
            self.out += more
        status = self.process.wait(10)
        ended = check_sanitizers(Ended(self.command, status, text(self.out), text(self.process.stderr.read())))
        expect(status == DONE, f"expected exit status {DONE}, not {status}", ended)


def free_port():
    """A port that is free on 127.0.0.1, for UDP and TCP."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]
    raise Failed("no free port")


def user(port=None, guest_port=7, extra=""):
    forward = "".join(f",hostfwd={kind}:127.0.0.1:{port}-:{guest_port}" for kind in ("udp", "tcp")) if port else ""
    return ("-netdev", f"user,id=n{forward}{extra}", *CARD)


def frames(path):
    """The frames of a pcap file."""
    with open(path, "rb") as file:
        data = file.read()
    expect(struct.unpack_from("<I", data)[0] == 0xa1b2c3d4, f"{path}: not a pcap file")
    at, found = 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return found


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def ip_payload(frame):
    return frame[34:14 + struct.unpack_from(">H", frame, 16)[0]]


def check_sums(frame):
    """The checksums of an IPv4 frame are right."""
    expect(checksum(frame[14:34]) == 0, f"a wrong IP checksum: {frame.hex()}")
    part = ip_payload(frame)
    if frame[23] == 17 and part[6:8] == b"\0\0":
        return  # sent without one
    pseudo = frame[26:34] + struct.pack(">HH", frame[23], len(part)) if frame[23] in (6, 17) else b""
    expect(checksum(pseudo + part) == 0, f"a wrong checksum behind the IP header: {frame.hex()}")


class Wire:
    """The other end of the guest's network: the test sends frames and looks at those of the guest."""

    MAC, GUEST_MAC = bytes.fromhex("020000000001"), bytes.fromhex("525400123456")
    IP, GUEST_IP = socket.inet_aton("10.1.1.1"), socket.inet_aton("10.1.1.2")

    def send(self, frame):
        raise NotImplementedError

    def receive(self):
        """The next frame of the guest's."""
        raise NotImplementedError

    def arp(self, operation, target=GUEST_IP):
        return (b"\xff" * 6 + self.MAC + struct.pack(">HHHBBH", 0x0806, 1, 0x0800, 6, 4, operation) + self.MAC +
                self.IP + bytes(6) + target)

    def ip(self, protocol, part, total=None, fragment=0, ttl=64, source=IP):
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, total or 20 + len(part), 1, fragment, ttl, protocol, 0, source,
                           self.GUEST_IP)
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        return self.GUEST_MAC + self.MAC + b"\x08\x00" + head + part

    def ping(self, sequence, data=b"kvmlens"):
        part = struct.pack(">BBHHH", 8, 0, 0, 77, sequence) + data
        return part[:2] + struct.pack(">H", checksum(part)) + part[4:]


class SocketWire(Wire):
    """QEMU's -netdev socket: each datagram is a frame."""

    def __init__(self):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(30)
        self.guest_port = free_port()
        self.options = ("-netdev", f"socket,id=n,udp=127.0.0.1:{self.socket.getsockname()[1]},"
                        f"localaddr=127.0.0.1:{self.guest_port}", *CARD)

    def send(self, frame):
        self.socket.sendto(frame, ("127.0.0.1", self.guest_port))

    def receive(self):
        return self.socket.recv(2000)


class TapWire(Wire):
    """A tap device on the bridge, in a namespace that in_namespace() has made."""

    def __init__(self):
        self.options = tap_options(0)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)  # ETH_P_ALL, big-endian
        self.socket.bind((BRIDGE, 0))
        self.socket.settimeout(30)

    def send(self, frame):
        if 14 <= len(frame) <= 1514:  # the kernel takes no others
            self.socket.send(frame)

    def receive(self):
        while True:  # it sees also what it sends, and the kernel's own
            frame = self.socket.recv(2000)
            if frame[6:12] == self.GUEST_MAC:
                return frame


BRIDGE, TAPS = "br0", 2


def tap_options(number):
    return ("-netdev", f"tap,id=n,ifname=tap{number},script=no,downscript=no", "-device",
            f"virtio-net-device,netdev=n,mac=52:54:00:12:34:{0x56 + number:x}")


def _make_bridge():
    for words in (f"link add {BRIDGE} address {Wire.MAC.hex(':')} type bridge", f"link set {BRIDGE} addrgenmode none",
                  f"link set {BRIDGE} up",
                  *(f"{words}" for number in range(TAPS)
                    for words in (f"tuntap add tap{number} mode tap", f"link set tap{number} addrgenmode none",
                                  f"link set tap{number} master {BRIDGE}", f"link set tap{number} up"))):
        done = run(["ip", *words.split()])
        if done.status != 0:
            raise Skip(f"no bridge with taps can be made here: ip {words}: {done.err.strip()}")


def in_namespace(function):
    """Runs FUNCTION in a network namespace of its own, with a bridge and TAPS taps on it."""
    if not shutil.which("ip"):
        raise Skip("ip (iproute2) is not installed")
    if not os.path.exists("/dev/net/tun"):
        raise Skip("there is no /dev/net/tun")
    raised = []

    def inside():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:  # this thread's alone
                raise Skip(f"a network namespace: {os.strerror(ctypes.get_errno())}")
            _make_bridge()
            function()
        except BaseException as reason:  # pylint: disable=broad-except
            raised.append(reason)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def need_slirp():
    """kvmlens loads libslirp when it is asked for."""
    try:
        ctypes.CDLL("libslirp.so.0")
    except OSError:
        raise Skip("libslirp.so.0 is not installed") from None
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.sendto(b"", ("127.0.0.1", 9))
        except OSError as reason:
            raise Skip(f"127.0.0.1 is not there: {reason.strerror}") from None
