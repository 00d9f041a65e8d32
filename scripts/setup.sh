#!/bin/sh
# setup.sh GROUP...: makes sure that this machine has what kvmlens needs.
#   build  to build and run it     test  to test it     nested  to run it where there is no /dev/kvm
#   browser  to test the page that -trace format=html makes
# On Debian and Ubuntu what is missing is installed; elsewhere the package names are printed.
# Exit status: 0 all is there, 64 usage, 69 something is missing and was not installed.
set -u

# group | is it there? | Debian, Ubuntu | Fedora | Arch | what it is for
needs() {
    cat <<'END'
build|tool gcc|gcc|gcc|gcc|compiles kvmlens and its guests
build|tool ld|binutils|binutils|binutils|links them
build|tool make|make|make|make|runs the build
build|header stdio.h|libc6-dev|glibc-devel|glibc|C library
build|header linux/kvm.h|linux-libc-dev|kernel-headers|linux-api-headers|the interface of /dev/kvm
build|header gelf.h|libelf-dev|elfutils-libelf-devel|libelf|reads a guest's ELF file and its symbols
build|header elfutils/libdw.h|libdw-dev|elfutils-devel|elfutils|finds the source lines of a guest's code
build|header Zydis/Zydis.h|libzydis-dev|zydis-devel|zydis|disassembles it
build|header_tracefs|libtracefs-dev|libtracefs-devel|libtracefs|reads the kernel's own events of KVM (-trace kernel)
build|header traceevent/event-parse.h|libtraceevent-dev|libtraceevent-devel|libtraceevent|the same
build|header libfdt.h|libfdt-dev|libfdt-devel|dtc|describes the machine to the guest
build|header jsmn.h|libjsmn-dev|jsmn-devel|jsmn|takes JSON apart (kvmlens report)
build|header zlib.h|zlib1g-dev|zlib-devel|zlib|needed by libelf
build|header slirp/libslirp.h|libslirp-dev|libslirp-devel|libslirp|the guest's network without root (-netdev user)
nested|tool python3|python3|python3|python|drives the emulated machine
nested|tool qemu-system-x86_64|qemu-system-x86|qemu-system-x86-core|qemu-system-x86|emulates it
nested|virtiofs|@virtiofsd|virtiofsd|virtiofsd|shows it the files of this one
test|header_cmocka|libcmocka-dev|libcmocka-devel|cmocka|runs the unit tests
test|sanitizers|gcc|libasan libubsan libtsan|gcc|finds memory errors in them
test|tool python3|python3|python3|python|runs the end-to-end tests
test|tool qemu-system-x86_64|qemu-system-x86|qemu-system-x86-core|qemu-system-x86|boots the same guests, to compare
test|tool dtc|device-tree-compiler|dtc|dtc|checks the machine's device tree
test|tool clang|clang|clang|clang|second compiler, and the fuzzers
test|fuzzer|@clang-rt|compiler-rt|compiler-rt|the fuzzers' run-time library
test|tool clang-format|clang-format|clang-tools-extra|clang|checks the layout of the code
test|tool cppcheck|cppcheck|cppcheck|cppcheck|reads the code for mistakes
test|tool ctags|universal-ctags|ctags|ctags|measures the functions
test|tool shellcheck|shellcheck|ShellCheck|shellcheck|reads the scripts for mistakes
test|tool tcpdump|tcpdump|tcpdump|tcpdump|reads the dumps of guests' networks
test|tool ip|iproute2|iproute|iproute2|makes bridges and taps for the tests of guests' networks
test|tool mandoc|mandoc|mandoc|mandoc|checks the manual page
test|tool valgrind|valgrind|valgrind|valgrind|counts the instructions of an exit (make bench)
browser|tool chromium|chromium|chromium|chromium|shows the page of a trace
browser|tool chromedriver|chromium-driver|chromedriver|chromium|does what a reader of the page does
END
}

virtiofs() { [ -x /usr/lib/qemu/virtiofsd ] || [ -x /usr/libexec/virtiofsd ] || [ -x /usr/lib/virtiofsd ] || tool virtiofsd; }
tool() { type "$1" >/dev/null 2>&1; }
header() { echo "#include <$1>" | ${CC:-gcc} -E -x c - >/dev/null 2>&1; }
header_tracefs() {
    echo '#include <tracefs/tracefs.h>' | ${CC:-gcc} -idirafter /usr/include/traceevent -E -x c - >/dev/null 2>&1
}
header_cmocka() {
    printf '#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <cmocka.h>\n' |
        ${CC:-gcc} -E -x c - >/dev/null 2>&1
}
links() { # COMPILER FLAG SOURCE
    echo "$3" | "$1" "$2" -x c - -o /dev/null >/dev/null 2>&1
}
sanitizers() {
    links "${CC:-gcc}" -fsanitize=address,undefined 'int main(void) { return 0; }' &&
        links "${CC:-gcc}" -fsanitize=thread 'int main(void) { return 0; }'
}
fuzzer() {
    links "${CLANG:-clang}" -fsanitize=fuzzer,address \
        'int LLVMFuzzerTestOneInput(const void *d, unsigned long n) { (void)d; (void)n; return 0; }'
}

# The sanitizers' library of Debian's default clang has its version in its name, or (older) is a
# part of another package.
clang_runtime() {
    version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\).*/\1/p' | head -n 1)
    for package in "libclang-rt-$version-dev" "libclang-common-$version-dev"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            echo "$package"
            return
        fi
    done
}

# Debian 12 has it among QEMU's own files.
virtiofs_package() {
    if apt-cache show virtiofsd >/dev/null 2>&1; then
        echo virtiofsd
    else
        echo qemu-system-common
    fi
}

say() { echo "setup: $*"; }

missing() { # GROUP...: the rows of what is not there
    needs | while IFS='|' read -r group check row; do
        for wanted in "$@"; do
            # shellcheck disable=SC2086 # the check is a function and its argument
            if [ "$group" = "$wanted" ] && ! $check; then
                echo "$row"
            fi
        done
    done
}

[ $# -gt 0 ] || set -- build test
for group in "$@"; do
    case $group in
    build | test | nested | browser) ;;
    *)
        echo "usage: setup.sh [build] [test] [nested] [browser]" >&2
        exit 64
        ;;
    esac
done

rows=$(missing "$@")
[ -n "$rows" ] || exit 0
echo "$rows" | while IFS='|' read -r debian _ _ why; do
    say "missing: ${debian#@}: $why"
done

if ! type apt-get >/dev/null 2>&1; then
    say "this is neither Debian nor Ubuntu: install these, then run make again"
    say "Fedora: sudo dnf install $(echo "$rows" | cut -d'|' -f2 | sort -u | tr '\n' ' ')"
    say "Arch:   sudo pacman -S $(echo "$rows" | cut -d'|' -f3 | sort -u | tr '\n' ' ')"
    exit 69
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    if ! type sudo >/dev/null 2>&1; then
        say "not root, and no sudo: as root, run scripts/setup.sh $*"
        exit 69
    fi
fi
$as_root apt-get -qq update || say "apt-get update failed; going on with the package lists that are there"
packages=
for package in $(echo "$rows" | cut -d'|' -f1 | sort -u); do
    case $package in
    @clang-rt) package=$(clang_runtime) ;;
    @virtiofsd) package=$(virtiofs_package) ;;
    esac
    packages="$packages $package"
done
# shellcheck disable=SC2086 # a list of words
set -- $packages
say "installing: $*"
# env, because sudo drops the environment.
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" </dev/null >/dev/null; then
    say "apt-get could not install: $*"
    exit 69
fi
