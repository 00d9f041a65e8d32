"""What executes the guests of a test: the names are those of docs/backends.md."""
import functools

import harness
import nested

TABLE = "docs/backends.md"


@functools.lru_cache
def rows(first):
    """The rows of the table in docs/backends.md whose first column is called FIRST: {column: cell} each."""
    with open(TABLE, encoding="utf-8") as file:
        text = file.read()
    block = text[text.index(f"\n| {first} |") + 1:].split("\n\n")[0]
    heads, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
    return [dict(zip(heads, cells)) for cells in body]


def kvm_column():
    """The host's KVM, in the words of its tables."""
    return nested.BACKEND if nested.is_nested() else harness.kvm_backend()


def backend(group):
    """The backend of a group of tests, or None: it has none."""
    if group == "qemu":
        return "qemu-tcg"
    if group == "with-kvm":
        return nested.BACKEND
    if group not in ("kvm", "asan", "tsan", "qemu-kvm") or harness.kvm_trouble():
        return None
    return nested.BACKEND if nested.is_nested() else f"/dev/kvm ({harness.kvm_backend()})"
