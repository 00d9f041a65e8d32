"""Networks of the command line: what is refused before the guest starts, ports in use, dumps, tap
interfaces, a guest that resets with its network."""
import os
import re
import shutil
import socket

from harness import (DEBUG_EXIT, INTERNAL, KERNEL, USAGE, Skip, boot, case, expect, expect_one_line, expect_status, expect_text,
                     guest_command, run, scratch)
from networks import CARD, DONE, Guest, frames

USER = ("-netdev", "user,id=n")
BAD = (
    ((*USER, "-device", "virtio-net-device,netdev=m"), "no -netdev with id=m"),
    ((*USER, *CARD, *CARD), "in use already"),
    ((*USER, *USER), "two networks"),
    (("-device", "virtio-net-device"), "netdev=ID is missing"),
    (("-netdev", "user,id=n,net=10.0.2.0"), "10.0.2.0/24"),
    (("-netdev", "user,id=n,hostfwd=tcp::22"), "hostfwd"),
    (("-netdev", "tap,id=n"), "ifname"),
    (("-netdev", "tap,id=n,ifname=t0,script=/etc/qemu-ifup"), "runs no scripts"),
    (("-nic", "user,model=e1000"), "virtio"),
    (("-nic", "user,mac=01:02:03:04:05:06"), "multicast"),
    (("-object", "filter-dump,id=f,netdev=n,file=x"), "no -netdev with id=n"),
    ((*USER, *CARD, "-object", "filter-dump,id=f,netdev=n,file=/no/such/folder/x"), "/no/such/folder/x"),
    (("-netdev", "tap,id=n,ifname=lo", *CARD), "lo|/dev/net/tun: "),
)

for _arguments, _pattern in BAD:
    def _refused(binary, arguments=_arguments, pattern=_pattern):
        expect_one_line(run([binary, "-kernel", KERNEL, *arguments], timeout=10), USAGE, pattern)
    case("cli", f"refused: {' '.join(_arguments)[:60]}")(_refused)


@case("cli", "help of networks", topic="netdev", pattern="hostfwd=")
@case("cli", "help of objects", topic="object", pattern="filter-dump")
def shows_help(binary, topic, pattern):
    for ended in (run([binary, "-h", topic]), run([binary, f"-{topic}", "help"])):
        expect_status(ended, 0)
        expect_text(ended.out, pattern, ended)


@case("cli", "refused: a TCP port in use", kind="tcp", type=socket.SOCK_STREAM)
@case("cli", "refused: a UDP port in use", kind="udp", type=socket.SOCK_DGRAM)
def port_in_use(binary, kind, type):
    with socket.socket(type=type) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if type == socket.SOCK_STREAM:
            taken.listen()
        expect_one_line(run([binary, "-kernel", KERNEL, "-nic", f"user,hostfwd={kind}:127.0.0.1:{port}-:7"]), USAGE,
                        f"{kind.upper()} port {port} of 127.0.0.1", "in use")


@case("cli", "refused: a network without libslirp", library=None, pattern="file too short")
@case("cli", "refused: a network with a libslirp that is none", library="libm.so.6", pattern="undefined symbol: slirp_new")
def no_slirp(binary, library, pattern):
    """A file of its name comes first where the loader looks for it."""
    with scratch() as folder, open(f"{folder}/libslirp.so.0", "wb") as there:
        if library:
            with open("/proc/self/maps", encoding="utf-8") as maps:
                found = re.search(rf"/\S+/{re.escape(library)}", maps.read())
            if not found:
                raise Skip(f"Python has not loaded {library}, which is to take its place")
            with open(found[0], "rb") as file:
                there.write(file.read())
            there.flush()
        ended = run([binary, "-kernel", KERNEL, *USER, *CARD], env={"LD_LIBRARY_PATH": folder})
        expect_one_line(ended, INTERNAL, r"-netdev n: user networking needs libslirp \(Debian: libslirp0\)", pattern)
        # Who has no network does without it.
        expect_status(run([binary, "-version"], env={"LD_LIBRARY_PATH": folder}), 0)


def type_line(guest, line):
    guest.process.stdin.write(line.encode() + b"\r")
    guest.process.stdin.flush()


@case("kvm", "a network goes on after the guest's reset")
def reset(binary):
    with scratch() as folder:
        pcap = f"{folder}/net.pcap"
        guest = Guest(binary, "net+dhcp", ("-nic", "user,id=n,mac=52:54:00:ab:cd:ef", "-object",
                                           f"filter-dump,id=f,netdev=n,file={pcap},maxlen=60"))
        guest.command.remove("-no-reboot")
        with guest:
            guest.wait_for(r"dhcp: 10\.0\.2\.15[^>]*> ")
            type_line(guest, "reboot")
            guest.wait_for(r"(?s)dhcp: 10\.0\.2\.15.*dhcp: 10\.0\.2\.15[^>]*> ")
            type_line(guest, "poweroff")
            guest.end()
        found = frames(pcap)
        from_guest = [frame for frame in found if frame[6:12] == bytes.fromhex("525400abcdef")]
        expect(len(from_guest) >= 4, f"two DHCP exchanges are more than {len(from_guest)} frames from the guest")
        expect(len(found) > len(from_guest), "the dump has no frame for the guest")
        expect(max(map(len, found)) == 60, "maxlen=60 did not cut the frames")


@case("kvm", "tcpdump reads the dump of a network")
def read_by_others(binary):
    tools = {"tcpdump": ("-nr",), "tshark": ("-nr",)}
    tool = next((name for name in tools if shutil.which(name)), None)
    if not tool:
        raise Skip("neither tcpdump nor tshark is installed")
    with scratch() as folder:
        pcap = f"{folder}/net.pcap"
        boot(binary, "run=net+dhcp,net+ping+10.0.2.2+1,poweroff",
             options=(*DEBUG_EXIT, *USER, *CARD, "-object", f"filter-dump,id=f,netdev=n,file={pcap}"))
        ended = run([tool, *tools[tool], pcap])
        expect_status(ended, 0)
        expect_text(ended.out, r"10\.0\.2\.15 (>|\S+) 10\.0\.2\.2.*(ICMP echo request|Echo \(ping\) request)", ended)


@case("kvm", "a tap that vanishes is a pulled cable")
def vanishing_tap(binary):
    if not shutil.which("unshare") or not shutil.which("ip") or not os.access("/dev/net/tun", os.W_OK) or \
            run(["unshare", "-n", "true"]).status != 0:
        raise Skip("no network namespace with tap interfaces can be made here (it takes root, unshare and ip)")
    command = " ".join(guest_command(binary, append="run=net+info,timer+300,net+info,poweroff",
                                     options=(*DEBUG_EXIT, "-netdev", "tap,id=n,ifname=t1", *CARD)))
    # kvmlens makes the interface, since there is none.
    script = f"{command} & until ip link show t1 >/dev/null 2>&1; do sleep 0.1; done; sleep 1; ip link del t1; wait $!"
    ended = run(["unshare", "-n", "sh", "-c", script], timeout=60)
    expect_status(ended, DONE)
    expect_text(ended.err, r"^kvmlens: -netdev n: the interface t1 is gone", ended)
    expect_text(ended.out, r"(?s)link up.*link down", ended)
