"""The guest's network stack, on each VMM's virtio-net: through libslirp to the host, and by itself
against frames that the test makes.
"""
import os
import re
import select
import socket
import struct
import subprocess
import threading
import time

from harness import (DEBUG_EXIT, QEMU, Failed, boot, case, environment, expect, expect_status, expect_text,
                     guest_command, scratch, text)

DONE = 1  # the status of isa-debug-exit for "poweroff"
CARD = ("-device", "virtio-net-device,netdev=n")


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
        err = text(self.process.stderr.read())
        expect(status == DONE, f"expected exit status {DONE}, not {status}\n{err}", self)


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


def dhcp_and_ping(binary):
    with scratch() as folder:
        pcap = f"{folder}/net.pcap"
        ended = boot(binary, "run=net+info,net+ping+10.0.2.2,net+dhcp,net+info,net+ping+10.0.2.2+4,"
                     "net+ping+10.0.2.77+1,net+stats,poweroff",
                     options=(*DEBUG_EXIT, *user(), "-object", f"filter-dump,id=f,netdev=n,file={pcap}"))
        expect_status(ended, DONE)
        for line in (r"net: 52:54:00:12:34:56, link up, \d+ buffers, .*", r"net: no address",
                     r"net: no address yet \(net dhcp, or net ip ADDRESS/BITS\)",
                     r"dhcp: 10\.0\.2\.15/24, router 10\.0\.2\.2, name server 10\.0\.2\.3, for 86400 s, from 10\.0\.2\.2",
                     r"net: 10\.0\.2\.15/24, router 10\.0\.2\.2, name server 10\.0\.2\.3",
                     r"ping 10\.0\.2\.2: 56 bytes, sequence 4, ttl 255, \d+\.\d{3} ms",
                     r"ping 10\.0\.2\.2: 4 sent, 4 answered",
                     r"10\.0\.2\.77: nobody on the network has this address, or the way to it",
                     r"net: +0 dropped, malformed", r"net: +0 dropped, bad checksum"):
            expect_text(ended.out, rf"^{line}\r?$", ended)
        sent = [frame for frame in frames(pcap) if frame[6:12] == bytes.fromhex("525400123456")]
        for frame in sent:
            if frame[12:14] == b"\x08\x00":
                check_sums(frame)
        kinds = [frame[23] for frame in sent if frame[12:14] == b"\x08\x00"]
        expect(kinds == [17, 17, 1, 1, 1, 1], f"expected DISCOVER, REQUEST and four pings, not {kinds}", ended)


def udp_echo(binary):
    """Datagrams of all sizes, one at a time and many at once; and one from the guest to the host."""
    port = free_port()
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        sizes = [*range(0, 64), *range(64, 1472, 37), 1471, 1472]
        burst = 50
        commands = (f"net+dhcp,net+udp+10.0.2.2+{server.getsockname()[1]}+good+day,net+echo+7+{len(sizes) + burst},"
                    "net+stats,poweroff")
        with Guest(binary, commands, user(port)) as guest:
            data, sender = server.recvfrom(2000)
            expect(data == b"good day", f"the host got {data!r} from the guest", guest)
            server.sendto(b"and to you\n", sender)
            guest.wait_for("echo at port 7")
            for size in sizes:
                data = os.urandom(size)
                client.send(data)
                expect(client.recv(2000) == data, f"{size} bytes came back otherwise", guest)
            wanted = {b"%d" % i * 100 for i in range(burst)}
            for data in wanted:
                client.send(data)
            expect({client.recv(2000) for _ in range(burst)} == wanted, "a burst came back otherwise", guest)
            guest.end()
            out = text(guest.out)
            expect_text(out, rf"^udp: 11 bytes from 10\.0\.2\.2, port {server.getsockname()[1]}: and to you\.\r?$", guest)
            expect_text(out, rf"^net: echoed {len(sizes) + burst} datagrams; 0 bytes of 0 TCP connections\r?$", guest)
            expect_text(out, r"^net: +0 dropped, bad checksum\r?$", guest)


def send_all(client, data):
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def talk(port, data):
    """Sends DATA and the end; returns all that comes back up to the guest's end."""
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        sender = threading.Thread(target=send_all, args=(client, data))
        sender.start()
        back = b""
        while more := client.recv(65536):
            back += more
        sender.join()
    return back


def tcp_echo(binary):
    port = free_port()
    with Guest(binary, "net+dhcp,net+echo+7+4,net+stats,poweroff", user(port)) as guest:
        guest.wait_for("echo at port 7")
        for size in (1, 0, 100000):
            data = os.urandom(size)
            expect(talk(port, data) == data, f"{size} bytes came back otherwise", guest)
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.send(b"hello")
            expect(client.recv(100) == b"hello", "5 bytes came back otherwise", guest)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
        guest.end()
        expect_text(text(guest.out), r"^net: echoed 0 datagrams; 100006 bytes of 4 TCP connections\r?$", guest)


def until_a_key(binary):
    with Guest(binary, "net+dhcp,net+echo,poweroff", user()) as guest:
        guest.wait_for("until a key is pressed")
        guest.process.stdin.write(b"q")
        guest.process.stdin.flush()
        guest.end()
        expect_text(text(guest.out), r"^net: echoed 0 datagrams", guest)


def bad_usage(binary):
    bad = (("net", "usage: net info"), ("net+x", "usage: net info"), ("net+info+x", "usage: net info"),
           ("net+ping", r"usage: net ping ADDRESS \[COUNT\]"), ("net+ping+host", "host: not an address"),
           ("net+ping+1.2.3.256", r"1\.2\.3\.256: not an address"), ("net+ping+1.2.3", r"1\.2\.3: not an address"),
           ("net+ip+1.2.3.4", "usage: net ip"), ("net+ip+1.2.3.4/33", "33: too large"),
           ("net+ip+1.2.3.4/0", "usage: net ip"), ("net+echo+0", r"usage: net echo \[PORT\] \[COUNT\]"),
           ("net+echo+65536", "65536: too large"), ("net+udp+1.2.3.4+5", "usage: net udp ADDRESS PORT TEXT"))
    ended = boot(binary, f"run={','.join(words for words, _ in bad)},poweroff", options=(*DEBUG_EXIT, *user()))
    expect_status(ended, DONE)
    for words, answer in bad:
        expect_text(ended.out, rf"^> {re.escape(words.replace('+', ' '))}\r?\n{answer}", ended)


def no_card(binary):
    ended = boot(binary, "run=net+info,poweroff", options=DEBUG_EXIT)
    expect_status(ended, DONE)
    expect_text(ended.out, r"^net: this machine has no network card \(-device virtio-net-device\)\r?$", ended)


for _label, _function in (("dhcp and ping", dhcp_and_ping), ("UDP echo through hostfwd", udp_echo),
                          ("TCP echo through hostfwd", tcp_echo), ("echo until a key is pressed", until_a_key),
                          ("bad usage", bad_usage), ("no card", no_card)):
    case("qemu", f"guest's network: {_label}")(lambda _binary, function=_function: function(QEMU))


class Wire:
    """The other end of the guest's network: each datagram is a frame."""

    MAC, GUEST_MAC = bytes.fromhex("020000000001"), bytes.fromhex("525400123456")
    IP, GUEST_IP = socket.inet_aton("10.1.1.1"), socket.inet_aton("10.1.1.2")

    def __init__(self):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(30)
        self.port, self.guest_port = self.socket.getsockname()[1], free_port()

    def options(self):
        return ("-netdev", f"socket,id=n,udp=127.0.0.1:{self.port},localaddr=127.0.0.1:{self.guest_port}", *CARD)

    def send(self, frame):
        self.socket.sendto(frame, ("127.0.0.1", self.guest_port))

    def receive(self):
        return self.socket.recv(2000)

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


@case("qemu", "guest's network: it answers ARP and ping")
def answers(_binary):
    wire = Wire()
    with Guest(QEMU, "net+ip+10.1.1.2/24,net+echo+7+1,net+stats,poweroff", wire.options()) as guest:
        guest.wait_for("echo at port 7")
        wire.send(wire.arp(1))
        reply = wire.receive()
        expect(reply[:6] == wire.MAC and reply[20:22] == b"\0\2" and reply[22:32] == wire.GUEST_MAC + wire.GUEST_IP,
               f"a wrong ARP reply: {reply.hex()}", guest)
        wire.send(wire.ip(1, wire.ping(1)))
        reply = wire.receive()
        check_sums(reply)
        expect(reply[22] == 64 and reply[30:34] == wire.IP and ip_payload(reply)[0] == 0 and
               ip_payload(reply)[4:] == wire.ping(1)[4:], f"a wrong ping reply: {reply.hex()}", guest)
        wire.send(wire.ip(17, struct.pack(">HHHH", 1234, 7, 8 + 2, 0) + b"ok"))
        reply = wire.receive()
        check_sums(reply)
        expect(ip_payload(reply)[8:] == b"ok", f"a wrong UDP echo: {reply.hex()}", guest)
        guest.end()


@case("qemu", "guest's network: hostile frames do it no harm")
def hostile_frames(_binary):
    wire = Wire()
    good = wire.ip(1, wire.ping(1))
    bad = [good[:10], good[:14], good[:20], good[:33], wire.arp(1)[:30], good + bytes(2000)[:1600 - len(good)],
           wire.ip(1, wire.ping(1), total=9), wire.ip(1, wire.ping(1), total=1500), wire.ip(1, b"\x08\0"),
           wire.ip(1, wire.ping(1), fragment=0x2000), wire.ip(1, wire.ping(1), fragment=3), wire.ip(99, b"x" * 100),
           wire.ip(17, struct.pack(">HHHH", 9, 7, 7, 0)), wire.ip(17, struct.pack(">HHHH", 9, 7, 60000, 0)),
           wire.ip(17, struct.pack(">HHHH", 7, 7, 8, 0)), wire.ip(17, struct.pack(">HHHHH", 9, 7, 10, 1, 2)),
           wire.ip(17, struct.pack(">HHHH", 9, 10, 8, 0)), wire.ip(6, bytes(20)), wire.ip(6, bytes(12) + b"\xf0" + bytes(7)),
           wire.ip(1, wire.ping(1), source=b"\xff" * 4), wire.ip(1, wire.ping(1), source=wire.GUEST_IP),
           good[:24] + b"\x12\x34" + good[26:], good[:14] + b"\x4f" + good[15:], good[:14] + b"\x65" + good[15:]]
    with Guest(QEMU, "net+ip+10.1.1.2/24,net+echo+7+1,net+stats,poweroff", wire.options()) as guest:
        guest.wait_for("echo at port 7")
        for frame in bad:
            wire.send(frame)
        wire.send(wire.ip(1, wire.ping(2)))
        reply = wire.receive()
        while ip_payload(reply)[:1] != b"\0":  # resets of the TCP segments that are in order
            reply = wire.receive()
        expect(ip_payload(reply)[4:] == wire.ping(2)[4:], f"a wrong ping reply: {reply.hex()}", guest)
        wire.send(wire.ip(17, struct.pack(">HHHH", 1234, 7, 8, 0)))
        guest.end()
        expect_text(text(guest.out), r"^net: echoed 1 datagrams", guest)
        for counter in ("not for this machine", "malformed", "bad checksum", "fragment or IP options", "nobody listens"):
            expect_text(text(guest.out), rf"^net: +[1-9]\d* dropped, {counter}\r?$", guest)
