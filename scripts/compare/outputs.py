"""The files that a comparison is written to: tried before anything is measured, written at the end."""
import errno
import os
import stat

FORMS = ("html", "json", "markdown")


def trouble(error):
    return ": ".join(filter(None, (error.filename, error.strerror)))


def make_folder(path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def attempt(path):
    """OSError where PATH cannot be written. A file that is there stays as it is; one that is not is not left behind."""
    if not os.path.basename(path):
        number = errno.EISDIR if path else errno.ENOENT
        raise OSError(number, os.strerror(number))
    make_folder(path)
    if os.path.exists(path):
        if not stat.S_ISFIFO(os.stat(path).st_mode):  # its reader would take this for the end
            os.close(os.open(path, os.O_WRONLY | os.O_NOCTTY))
        return
    path = os.path.realpath(path)  # a link to no file stays as well
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    os.unlink(path)


def refused(paths):
    """Why a comparison cannot be written to PATHS {form: path or None}, or None."""
    for form, path in paths.items():
        try:
            if path is not None:
                attempt(path)
        except OSError as error:
            return f"--{form} {path}: {error.strerror}; expected a file that can be written"
    return None


def write(path, text):
    """What went wrong, or None."""
    try:
        make_folder(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None
