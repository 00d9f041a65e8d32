"""A command on this machine, with a time limit."""
import ctypes
import glob
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PATIENCE = 5  # seconds between SIGTERM and the end of all
WATCHED = (signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def run(command, seconds):
    """Returns the command's status as of wait(2), or None: the time limit ended it and all that it started.
    It stays in this process group, so that a terminal's keys reach it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what the command leaves behind, end_all() finds
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        child = os.posix_spawnp(command[0], command, os.environ, setsigmask=(), setsigdef=(signal.SIGPIPE,))
        status = wait(child, seconds)
        if status is None:
            send(child, signal.SIGTERM)
            wait(child, PATIENCE)
            end_all()
        return status
    finally:
        while signal.sigtimedwait(WATCHED, 0):  # what the command has had as well
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)


def wait(child, seconds):
    """The status of the child, or None after SECONDS. Signals that a process has sent are passed on."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        left = end - time.monotonic()
        if left <= 0:
            return None
        came = signal.sigtimedwait(WATCHED, left)
        if came and came.si_signo != signal.SIGCHLD and came.si_code <= 0:  # the terminal's reach the child themselves
            send(child, came.si_signo)


def send(process, number):
    """False where it may not be sent: a program with more rights (sudo) ends when it likes."""
    try:
        os.kill(process, number)
        return True
    except (PermissionError, ProcessLookupError):
        return False


def end_all():
    """Kills children until there are none that can be: those of a child that ends become children of this process."""
    while True:
        killed = False
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="ascii", errors="replace") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
            except OSError:  # It has ended.
                continue
            if int(parent) == os.getpid():
                killed |= send(int(path.split("/")[2]), signal.SIGKILL)
        if not killed:
            return
        try:
            os.wait()
        except ChildProcessError:
            return
