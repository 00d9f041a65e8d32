"""The nested machine: QEMU, and virtiofsd, which shows it the host's files.

They are joined by socket pairs and memory files alone: when the processes end, nothing is left.
"""
import os
import re
import resource
import socket
import subprocess

from build import groups_library
from common import DIES_WITH_US, Trouble, tool

MEMORY_MIB = 2048
MAX_FILES = 1 << 20
KERNEL_LINE = ("console=ttyS0 quiet nokaslr mitigations=off tsc=reliable no_timer_check panic=-1 apparmor=0 audit=0 "
               "ipv6.disable=1 cryptomgr.notests=1 raid=noautodetect random.trust_cpu=on "
               # KVM waits for a grace period at each change of its devices and memory slots: a small guest's 190 ms
               # become 136.
               "rcupdate.rcu_expedited=1 "
               # No page tables that change below a running guest: on emulated SVM a guest was seen, rarely, to
               # triple-fault, and huge pages that come and go are the suspect.
               "transparent_hugepage=never")


class Machine:
    """Boots when it is entered, and is gone when it is left. port: the socket to init;
    console: a file that the kernel's messages are in."""

    def __init__(self, kernel, initramfs):
        self.kernel, self.initramfs = kernel, initramfs
        self.processes = []
        self.console = os.memfd_create("console")
        self.log = os.memfd_create("log")  # what QEMU and virtiofsd complain about
        self.port = None

    def __enter__(self):
        try:
            self.port, port = socket.socketpair()
            files = self.start_virtiofsd()
            self.start_qemu(port, files)
            port.close()
            files.close()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def start(self, command, *files):
        """FILES are handed to the process, under the numbers that they have here."""
        self.processes.append(subprocess.Popen(  # pylint: disable=consider-using-with
            command, pass_fds=[file if isinstance(file, int) else file.fileno() for file in files],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True))

    def start_virtiofsd(self):
        """Returns the socket that leads to it."""
        program = tool("virtiofsd", "which shows the host's files to the nested machine",
                       ("qemu-system-common (Debian 12), virtiofsd (newer)", "virtiofsd", "virtiofsd"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")  # a name that no file has
        listener.listen(1)
        client = socket.socket(socket.AF_UNIX)
        client.connect(listener.getsockname())
        # It holds a descriptor for each file that the machine knows.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit if 0 <= limit < MAX_FILES else MAX_FILES, limit))
        command = [*DIES_WITH_US, program, f"--fd={listener.fileno()}", "--rlimit-nofile=0"]
        if "/qemu/" in program:  # QEMU's own, up to 7.2. It needs capabilities, which a user has in a name space.
            # Files' contents are kept while their attributes, asked for once a second, stay the same. With cache=auto
            # each open() drops them, the C library's too, and to start a program takes six times as long. The newer
            # virtiofsd has no such timeout, only a day's.
            command += ["-o", "source=/,sandbox=chroot,cache=always,timeout=1,announce_submounts"]
            if os.geteuid() != 0:
                command[:0] = ["unshare", "--user", "--map-current-user", "--keep-caps",
                               "env", f"LD_PRELOAD={groups_library()}"]
        else:
            command += ["--shared-dir=/", "--sandbox=none", "--cache=auto", "--announce-submounts",
                        "--inode-file-handles=never"]
        self.start(command, listener)
        listener.close()
        return client

    def start_qemu(self, port, files):
        program = tool("qemu-system-x86_64", "which emulates the nested machine",
                       ("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"))
        version = re.search(r"version (\d+)", subprocess.run(
            [program, "--version"], stdout=subprocess.PIPE, encoding="utf-8", check=False).stdout)
        # Up to QEMU 9 an L2 guest's XSETBV is not intercepted, and KVM loses its XCR0.
        cpu = "max,la57=off" if version and int(version[1]) >= 10 else "max,la57=off,-xsave"
        # One processor: with two, in one of about twenty boots QEMU (7.2) loses a guest to a triple fault, rarely the
        # kernel under it too. With one, none of over a thousand did.
        self.start([
            *DIES_WITH_US, program, "-M", "q35,memory-backend=ram,usb=off,smbus=off", "-accel", "tcg",
            "-cpu", cpu, "-smp", "1", "-m", f"{MEMORY_MIB}M",
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY_MIB}M,share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path=/dev/fd/{self.console}", "-serial", "chardev:console",
            "-chardev", f"socket,id=files,fd={files.fileno()}",
            "-device", "vhost-user-fs-pci,chardev=files,tag=host,queue-size=1024",
            "-chardev", f"socket,id=port,fd={port.fileno()}",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port",
            "-kernel", self.kernel, "-initrd", self.initramfs, "-append", KERNEL_LINE], self.console, port, files)

    def is_whole(self):
        """False once one of its processes has ended."""
        return all(process.poll() is None for process in self.processes)

    def text_of(self, file):
        return os.pread(file, 1 << 20, 0).decode("utf-8", "replace")

    def died(self):
        """What is known when it ended by itself."""
        lines = [line.strip() for file in (self.log, self.console) for line in self.text_of(file).split("\n")]
        lines = [line for line in lines if line and "deprecated" not in line][-12:]
        if any(line.startswith("unshare:") for line in lines):
            lines.append("Without root, QEMU's own virtiofsd (Debian 12) needs a user name space, and this host allows "
                         "none: sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces")
        return Trouble("the nested machine ended before the command did:\n" + "\n".join(f"  {line}" for line in lines))
