"""What executes the guests of a test: the names are those of docs/backends.md."""
import harness
import nested


def backend(group):
    """The backend of a group of tests, or None: it has none."""
    if group == "qemu":
        return "qemu-tcg"
    if group not in ("kvm", "asan", "tsan", "qemu-kvm") or harness.kvm_trouble():
        return None
    return "nested svm" if nested.is_nested() else f"/dev/kvm ({harness.kvm_backend()})"
