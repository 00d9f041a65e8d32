#!/bin/bash
# check-deps.sh: who may include and call whom (docs/tour.md, "The house").
#   check-deps.sh              checks the sources, and the objects under build/obj where they exist
#   check-deps.sh --self-test  plants one violation of each rule in a copy, and expects each found
set -u
cd "$(dirname "$0")/.." || exit 1

failures=0
complain() {
    echo "$*"
    failures=$((failures + 1))
}

# includes FILE...: lines "FILE:NUMBER:TARGET"; of <stdio.h> the target is <stdio.h, of "mem.h" it is mem.h
includes() {
    [ $# -eq 0 ] || grep -nHE '^[[:space:]]*#[[:space:]]*include' "$@" |
        sed -E 's/^([^:]*:[0-9]*):[^<"]*("|<)([^>"]*)[>"].*/\1:\2\3/; s/:"/:/'
}

# allow NAME ALLOWED-REGEX FILE...: every include of FILES matches
allow() {
    local rule=$1 allowed=$2 line
    shift 2
    while read -r line; do
        [[ ${line##*:} =~ ^($allowed)$ ]] || complain "${line%:*}: $rule, but includes ${line##*:}"
    done < <(includes "$@")
}

# forbid NAME FORBIDDEN-REGEX FILE...: no include of FILES matches
forbid() {
    local rule=$1 forbidden=$2 line
    shift 2
    while read -r line; do
        [[ ${line##*:} =~ ^($forbidden)$ ]] && complain "${line%:*}: $rule, but includes ${line##*:}"
    done < <(includes "$@")
}

check_sources() {
    local shared own others
    shopt -s nullglob
    shared=$(printf '<%s|' include/*.h)
    shared=${shared//include\//}
    shared=${shared%|}
    allow "include/ is freestanding" "<stdint\.h|<stddef\.h|$shared" include/*.h

    # Devices: the contract, the core, their own folder, and what the language gives.
    own='<(stdbool|stddef|stdint|string|errno|endian|time|sys/uio)\.h'
    allow "a device knows only memory, its line and its bus" \
        "$own|$shared|[a-z0-9_]+\.h|\.\./(mem|bus|irq|device|block|state|log|error)\.h" vmm/dev/*.[ch] vmm/virtio/*.[ch]

    others=(vmm/*.[ch] vmm/{boot,dev,virtio,host,trace}/*.[ch] guest/*.[chS] guest/*/*.[chS])
    forbid "only vmm/kvm/ speaks to KVM" '<linux/kvm.*|<asm/kvm.*|.*kvm/internal\.h' "${others[@]}"
    forbid "exit.c knows buses, not devices" '.*(dev|virtio|host|boot)/.*' vmm/exit.[ch] vmm/vcpu.[ch] vmm/vm.[ch]
    forbid "the core stands below all others" '(kvm|dev|virtio|host|boot|trace)/.*|(exit|vm|vcpu|machine|options)\.h' \
        vmm/{mem,bus,irq,log,device,error,state}.[ch]
    forbid "host/ and boot/ hand plain structs to the board" '\.\./(machine|vm|vcpu|exit|bus)\.h|.*(dev|virtio|kvm)/.*' \
        vmm/host/*.[ch] vmm/boot/*.[ch]
    forbid "the guest includes nothing of the VMM" '.*vmm/.*|.*\.\./\.\./.*' guest/*.[chS] guest/*/*.[chS]
    allow "the guest is freestanding" "<(stdarg|stdbool|stddef|stdint)\.h|$shared|(\.\./)?[a-z0-9_]+\.(h|inc)" \
        guest/*.[chS] guest/*/*.[chS]
}

# A device's object may refer to the core, to its neighbours, to functions that only compute, and to
# what the compiler adds.
check_objects() {
    local object symbol defined
    shopt -s nullglob
    set -- build/obj/vmm/{dev,virtio}/*.o
    [ $# -gt 0 ] || return 0
    defined=" $(nm --defined-only -f posix "$@" build/obj/vmm/{mem,bus,irq,log,error,state}.o 2>/dev/null |
        awk 'NF > 2 { print $1 }' | tr '\n' ' ') "
    for object in "$@"; do
        [ -e "$(source_of "$object")" ] || continue
        while read -r symbol _; do
            case $defined in *" $symbol "*) continue ;; esac
            case $symbol in
            mem[a-z]* | __mem*_chk | str[a-z]* | __stack_chk_fail | _GLOBAL_OFFSET_TABLE_) ;;
            gmtime_r | timegm) ;; # arithmetic of the calendar
            *) complain "$(source_of "$object"): a device reaches the host only through its backend, but calls $symbol" ;;
            esac
        done < <(nm -u -f posix "$object")
    done
}

source_of() {
    local path=${1#build/obj/}
    echo "${path%.o}.c"
}

# plant RULE FILE LINE: RULE has to be reported once LINE stands in FILE
plant() {
    local rule=$1 file=$2 line=$3 copy found
    copy=$(mktemp -d "${TMPDIR:-/tmp}/check-deps.XXXXXX")
    cp -r include vmm guest scripts "$copy"
    mkdir -p "$(dirname "$copy/$file")"
    echo "$line" >>"$copy/$file"
    if [[ $line == *'('* ]]; then
        mkdir -p "$copy/build/obj/$(dirname "$file")"
        ${CC:-gcc} -c "$copy/$file" -o "$copy/build/obj/${file%.c}.o"
    fi
    found=$("$copy/scripts/check-deps.sh")
    rm -r "$copy"
    [[ $found == *"$file"*"$rule"* ]] || complain "not found: $file: $rule: $line"
}

self_test() {
    plant "include/ is freestanding" include/memmap.h '#include <stdio.h>'
    plant "a device knows only" vmm/dev/planted.c '#include <stdio.h>'
    plant "a device knows only" vmm/virtio/planted.c '#include "../host/loop.h"'
    plant "only vmm/kvm/ speaks to KVM" vmm/vm.c '#include <linux/kvm.h>'
    plant "exit.c knows buses, not devices" vmm/exit.c '#include "dev/serial.h"'
    plant "the core stands below" vmm/mem.c '#include "vm.h"'
    plant "host/ and boot/ hand plain structs" vmm/boot/fdt.h '#include "../machine.h"'
    plant "the guest includes nothing of the VMM" guest/planted.c '#include "../vmm/mem.h"'
    plant "the guest is freestanding" guest/planted.c '#include <stdio.h>'
    plant "a device reaches the host only through its backend" vmm/dev/planted.c \
        'int open(const char *, int); int planted(void); int planted(void) { return open("/etc/passwd", 0); }'
}

if [ "${1:-}" = --self-test ]; then
    self_test
else
    check_sources
    check_objects
fi
[ $failures -eq 0 ]
