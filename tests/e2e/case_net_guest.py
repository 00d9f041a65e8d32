"""The guest's network stack, on each VMM's virtio-net: through libslirp to the host, against frames
that the test makes, and from guest to guest.
"""
import os
import re
import socket
import struct
import threading

from harness import DEBUG_EXIT, QEMU, boot, case, expect, expect_status, expect_text, scratch, text
from networks import (DONE, Guest, SocketWire, TapWire, check_sums, frames, free_port, in_namespace, ip_payload,
                      need_slirp, tap_options, user)


def dhcp_and_ping(binary):
    with scratch() as folder:
        pcap = f"{folder}/net.pcap"
        ended = boot(binary, "run=net+info,net+ping+10.0.2.2,net+dhcp,net+info,net+ping+10.0.2.2+4,"
                     "net+ping+10.0.2.2+2+quiet,net+ping+10.0.2.77+1,net+stats,poweroff",
                     options=(*DEBUG_EXIT, *user(), "-object", f"filter-dump,id=f,netdev=n,file={pcap}"))
        expect_status(ended, DONE)
        for line in (r"net: 52:54:00:12:34:56, link up, \d+ buffers, .*", r"net: no address",
                     r"net: no address yet \(net dhcp, or net ip ADDRESS/BITS\)",
                     r"dhcp: 10\.0\.2\.15/24, router 10\.0\.2\.2, name server 10\.0\.2\.3, for 86400 s, from 10\.0\.2\.2",
                     r"net: 10\.0\.2\.15/24, router 10\.0\.2\.2, name server 10\.0\.2\.3",
                     r"ping 10\.0\.2\.2: 56 bytes, sequence 4, ttl 255, \d+\.\d{3} ms",
                     r"ping 10\.0\.2\.2: 4 sent, 4 answered",
                     r"ping 10\.0\.2\.2: 2 sent, 2 answered, mean \d+\.\d{3} ms",
                     r"10\.0\.2\.77: nobody on the network has this address, or the way to it",
                     r"net: +0 dropped, malformed", r"net: +0 dropped, bad checksum"):
            expect_text(ended.out, rf"^{line}\r?$", ended)
        sent = [frame for frame in frames(pcap) if frame[6:12] == bytes.fromhex("525400123456")]
        for frame in sent:
            if frame[12:14] == b"\x08\x00":
                check_sums(frame)
        kinds = [frame[23] for frame in sent if frame[12:14] == b"\x08\x00"]
        expect(kinds == [17, 17, *6 * [1]], f"expected DISCOVER, REQUEST and six pings, not {kinds}", ended)
        lines = re.findall(r"^ping .* sequence", ended.out, re.M)
        expect(len(lines) == 4, "expected a line for each ping but the quiet ones", ended)


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


def restricted(binary):
    """In a network of its own, where the host forwards to the guest, and the guest reaches nobody."""
    port = free_port()
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        commands = f"net+dhcp,net+udp+192.168.76.2+{server.getsockname()[1]}+let+me+out,net+echo+7+1,poweroff"
        with Guest(binary, commands, user(port, extra=",net=192.168.76.0/24,restrict=on")) as guest:
            guest.wait_for("echo at port 7")
            expect(talk(port, b"come in") == b"come in", "expected hostfwd to work all the same", guest)
            guest.end()
            expect_text(text(guest.out), r"^dhcp: 192\.168\.76\.15/24", guest)
            expect_text(text(guest.out), r"^udp: 10 bytes sent, no answer\r?$", guest)
        server.setblocking(False)
        try:
            expect(False, f"the host got {server.recv(2000)!r} from a restricted guest")
        except BlockingIOError:
            pass


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
    bad = (("net", "usage: net VERB"), ("net+x", "usage: net VERB"), ("net+info+x", "usage: net info"),
           ("net+ping", r"usage: net ping ADDRESS \[COUNT \[quiet\]\]"),
           ("net+ping+1.2.3.4+1+x", "usage: net ping"), ("net+ping+host", "host: not an address"),
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


def answers(binary, wire):
    with Guest(binary, "net+ip+10.1.1.2/24,net+echo+7+1,net+stats,poweroff", wire.options) as guest:
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


def hostile_frames(binary, wire):
    good = wire.ip(1, wire.ping(1))
    bad = [good[:10], good[:14], good[:20], good[:33], wire.arp(1)[:30], good + bytes(2000)[:1600 - len(good)],
           wire.ip(1, wire.ping(1), total=9), wire.ip(1, wire.ping(1), total=1500), wire.ip(1, b"\x08\0"),
           wire.ip(1, wire.ping(1), fragment=0x2000), wire.ip(1, wire.ping(1), fragment=3), wire.ip(99, b"x" * 100),
           wire.ip(17, struct.pack(">HHHH", 9, 7, 7, 0)), wire.ip(17, struct.pack(">HHHH", 9, 7, 60000, 0)),
           wire.ip(17, struct.pack(">HHHH", 7, 7, 8, 0)), wire.ip(17, struct.pack(">HHHHH", 9, 7, 10, 1, 2)),
           wire.ip(17, struct.pack(">HHHH", 9, 10, 8, 0)), wire.ip(6, bytes(20)), wire.ip(6, bytes(12) + b"\xf0" + bytes(7)),
           wire.ip(1, wire.ping(1), source=b"\xff" * 4), wire.ip(1, wire.ping(1), source=wire.GUEST_IP),
           good[:24] + b"\x12\x34" + good[26:], good[:14] + b"\x4f" + good[15:], good[:14] + b"\x65" + good[15:]]
    with Guest(binary, "net+ip+10.1.1.2/24,net+echo+7+1,net+stats,poweroff", wire.options) as guest:
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


def two_guests(binary):
    """On one bridge: the one serves, the other asks."""
    with Guest(binary, "net+ip+10.9.0.1/24,net+echo+7+1,poweroff", tap_options(0)) as server:
        server.wait_for("echo at port 7")
        with Guest(binary, "net+ip+10.9.0.2/24,net+ping+10.9.0.1,net+udp+10.9.0.1+7+over+the+bridge,poweroff",
                   tap_options(1)) as client:
            client.end()
            expect_text(text(client.out), r"^ping 10\.9\.0\.1: 3 sent, 3 answered\r?$", client)
            expect_text(text(client.out), r"^udp: 15 bytes from 10\.9\.0\.1, port 7: over the bridge\r?$", client)
        server.end()
        expect_text(text(server.out), r"^net: echoed 1 datagrams", server)


def both(label, function, asan=True):
    """FUNCTION for kvmlens and for QEMU."""
    case("kvm", f"guest's network: {label}", asan=asan)(function)
    case("qemu", f"guest's network: {label}")(lambda _binary: function(QEMU))


def with_slirp(function):
    def checked(binary):
        if binary != QEMU:
            need_slirp()
        function(binary)
    return checked


def on_tap(function):
    return lambda binary: in_namespace(lambda: function(binary))


for _label, _function in (("dhcp and ping", dhcp_and_ping), ("UDP echo through hostfwd", udp_echo),
                          ("restrict=on lets nothing out", restricted),
                          ("TCP echo through hostfwd", tcp_echo), ("echo until a key is pressed", until_a_key),
                          ("bad usage", bad_usage)):
    both(_label, with_slirp(_function))
both("no card", no_card)
both("two guests on a bridge", on_tap(two_guests))
for _label, _function in (("it answers ARP and ping", answers), ("hostile frames do it no harm", hostile_frames)):
    both(f"{_label}, on a tap", on_tap(lambda binary, function=_function: function(binary, TapWire())))
    case("qemu", f"guest's network: {_label}, on a socket")(
        lambda _binary, function=_function: function(QEMU, SocketWire()))
