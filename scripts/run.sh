#!/bin/bash
# run.sh: boots the toy guest and shows what it says beside the exits it causes.  Each character that it
# says is an exit; here a line of them is folded into one, and build/run.trace has every one.
# run.sh shell: the guest's shell.
set -u
cd "$(dirname "$0")/.." || exit 1

fold() {
    awk '
    function flush() {
        if (exits > 0)
            printf "%s %3d %5d %-32s | %s\n", begin, cpu, exits, exits == 1 ? "exit, of the serial port" : \
                "exits, of the serial port", said
        exits = 0
        said = ""
    }
    # time, cpu, exit, address, size, data, in guest and KVM, in the VMM, device, register, code
    /^ +[0-9.]+ +[0-9]+ (out|in) +0x3f[8-d] / && / serial (THR|IER|IIR|LSR|RBR) / {
        if (exits++ == 0) { begin = substr($0, 1, 10); cpu = $2 }
        if (/ serial THR / && match($0, /\047.*\047/)) {
            c = substr($0, RSTART + 1, RLENGTH - 2)
            if (c == "\\n") flush()
            else if (c != "\\r") said = said c
        }
        next
    }
    { flush(); print; fflush() }
    END { flush() }'
}

# Where there is no usable /dev/kvm, all this happens in an emulated machine that has one.
if [ -z "${WITH_KVM:-}" ] && ! found=$(build/kvmlens check); then
    scripts/setup.sh nested || exit
    echo "run.sh: $(sed -n 's/^ *BAD *//p' <<<"$found" | head -n 1); running in a nested machine (scripts/with-kvm)" >&2
    exec env -u KVMLENS_DEV_KVM scripts/with-kvm --nested scripts/run.sh "$@"
fi

if [ "${1:-}" = shell ]; then
    command=(build/kvmlens -M microvm -nographic -kernel build/guest/kernel.elf)
    echo "${command[*]}"
    exec "${command[@]}"
fi
command=(build/kvmlens -M "microvm,timeout=60" -display none -no-reboot -kernel build/guest/kernel.elf
    -append "run=zoo,poweroff" -serial "file:build/run.serial" -trace exits -trace summary
    -trace "exits,format=html,file=build/run.html")
echo "${command[*]}"
"${command[@]}" </dev/null 2>&1 | tee build/run.trace | fold
status=${PIPESTATUS[0]}
echo
echo "Exit status $status. Every exit: build/run.trace; as a page to click through: build/run.html"
echo "What the guest said: build/run.serial; its shell: make shell"
exit "$status"
