"""Why kvmlens and QEMU differ, row by row: what compare-qemu prints under a row, and where it can be read.

Keys are those of rows.py: of a row, or GROUP:NAME of one name in a group. "QEMU" is 7.2, whose paths and names these
are. Later ones call softmmu/ system/, cpus-common.c cpu-common.c, and the iothread lock the BQL; loading of kernels
and of firmware moved from hw/i386/x86.c to hw/i386/x86-common.c. "qboot" is QEMU's roms/qboot (also its own
repository, bonzini/qboot), "Linux" the kernel's tree (6.18), "kvmlens" this repository. The causes were read in the
source and seen with strace, perf's stacks of waiting threads, gdb, smaps or pagemap, many also by changing one option
and watching the row move: -accel kvm,kernel-irqchip=on|off, -M microvm's x-option-roms, pit, acpi and mem-merge,
-global virtio-mmio.ioeventfd=off, -smp, and huge pages forbidden to the process (PR_SET_THP_DISABLE). From the source
alone, as a software backend of KVM and these guests do not show them: kernel, interrupts:injected into the vCPU,
userspace:KVM_EXIT_IRQ_WINDOW_OPEN and userspace:KVM_EXIT_IOAPIC_EOI."""
import collections

Reason = collections.namedtuple("Reason", "text sources")  # sources: a tuple of strings

REASONS = {
    # --- time from exec ----------------------------------------------------------------------------------------------
    "create_vm": Reason(
        "Before main(), the dynamic linker loads and relocates QEMU's several dozen libraries and its own many "
        "pointers; then QEMU registers all types of devices and machines and parses its options, and only then opens "
        "/dev/kvm. kvmlens needs the C library alone, has tables instead of a type system, and has only read the "
        "kernel's headers by then.",
        ("ld.so(8), LD_DEBUG=statistics", "QEMU softmmu/runstate.c: qemu_init_subsystems()",
         "QEMU qom/object.c: type_register_internal(), type_initialize()", "QEMU softmmu/vl.c: qemu_init()",
         "kvmlens vmm/main.c: run_guest()")),
    "first_run": Reason(
        "QEMU probes KVM's capabilities, realizes its devices, builds its memory map anew with each of them, resets "
        "the machine, and has each vCPU's thread write all of its registers, twice. Many of its ioctls (removed "
        "ioeventfds, an MSR filter, memory slots) wait for SRCU grace periods of the kernel; kvmlens makes few of "
        "these, and sets only the registers that a PVH start needs.",
        ("QEMU accel/kvm/kvm-all.c: kvm_init(), kvm_check_many_ioeventfds()",
         "QEMU hw/i386/microvm.c: microvm_devices_init()",
         "QEMU softmmu/memory.c: memory_region_transaction_commit()",
         "QEMU softmmu/cpus.c: cpu_synchronize_all_post_reset(), cpu_synchronize_all_post_init()",
         "Linux virt/kvm/kvm_main.c: kvm_io_bus_unregister_dev(), kvm_swap_active_memslots()",
         "Linux arch/x86/kvm/x86.c: kvm_vm_ioctl_set_msr_filter()", "kvmlens vmm/machine.c: machine_create()")),
    "mark": Reason(
        "This is the guest's own code, plus all that went before it. QEMU's vCPU starts at the reset vector, in "
        "firmware (qboot, or SeaBIOS where that is configured) that fetches the kernel's command line and memory map "
        "over fw_cfg; kvmlens has put both into memory and starts the vCPU at the kernel's PVH entry.",
        ("qboot main.c: main()", "qboot fw_cfg.c: boot_from_fwcfg(), boot_pvh_from_fw_cfg()",
         "QEMU hw/i386/x86.c: x86_load_linux(), x86_bios_rom_init()",
         "QEMU docs/system/i386/microvm.rst, Boot options", "kvmlens vmm/machine.c: enter_kernel()",
         "kvmlens vmm/boot/pvh.c: pvh_write(), pvh_cpu_state()")),
    "first_serial": Reason(
        "As for the marks: QEMU's start, then its firmware, then the guest, which is the same code on both. A guest "
        "that measures time with the PIT before it prints spends the same interval on both, but each look at the "
        "timer leaves for userspace in a QEMU with kernel-irqchip=split, as microvm has it.",
        ("qboot main.c: main()", "QEMU hw/i386/microvm.c: microvm_class_init() (default_kernel_irqchip_split)",
         "QEMU hw/timer/i8254.c: pit_ioport_read()", "Linux arch/x86/kvm/i8254.c: pit_ioport_read()",
         "kvmlens vmm/kvm/vm.c: kvm_vm_create_irqchip()")),
    "first_output": Reason(
        "Both write a byte of the serial port to standard output at once, on the vCPU's thread, before the guest goes "
        "on. So the difference is that of the guest's first byte; QEMU under TCG, which makes no KVM events, has its "
        "only time of the start here.",
        ("QEMU hw/char/serial.c: serial_xmit()", "QEMU chardev/char-fd.c: fd_chr_write()",
         "kvmlens vmm/dev/serial.c: transmit()", "kvmlens vmm/host/chardev.c: chardev_write()")),
    "end": Reason(
        "The way down adds to all above: the kernel takes the VM down with the process, and waits for SRCU grace "
        "periods of the MMU notifiers. A PIT in the kernel (kvmlens; QEMU with kernel-irqchip=on, not with split) "
        "adds more of them, and a kernel thread to be stopped; TCG has no VM in the kernel. Cause not known: with the "
        "irqchip but no PIT in the kernel, the last wait is sometimes long as well.",
        ("Linux arch/x86/kvm/x86.c: kvm_arch_pre_destroy_vm()", "Linux arch/x86/kvm/i8254.c: kvm_free_pit()",
         "Linux mm/mmu_notifier.c: mmu_notifier_unregister()", "QEMU hw/misc/debugexit.c: debug_exit_write()",
         "QEMU softmmu/runstate.c: qemu_cleanup() (a guest that resets or powers off)",
         "kvmlens vmm/main.c: run_once()")),

    # --- cost --------------------------------------------------------------------------------------------------------
    "user": Reason(
        "Most of QEMU's is its start: first the dynamic linker, which looks up symbols and applies relocations, then "
        "the registration of types, the creation of objects and the memory map. Time in the guest counts "
        "as user time where the processor runs the guest; under TCG all of the guest's code is translated and run "
        "in user mode.",
        ("ld.so(8), LD_DEBUG=statistics", "QEMU qom/object.c: type_initialize()",
         "QEMU softmmu/memory.c: memory_region_transaction_commit()",
         "Linux kernel/sched/cputime.c: account_guest_time()", "QEMU accel/tcg/cpu-exec.c: cpu_exec()")),
    "system": Reason(
        "QEMU maps many more files and touches many more pages, each a page fault, and makes more system calls and "
        "more exits to userspace. Where KVM emulates the guest's instructions instead of a processor that runs them, "
        "the guest's own work is system time, on both.",
        ("QEMU accel/kvm/kvm-all.c: kvm_init(), kvm_cpu_exec()", "Linux mm/memory.c: handle_mm_fault()",
         "kvmlens vmm/vcpu.c: run()", "Linux arch/x86/kvm/x86.c: kvm_arch_vcpu_ioctl_run()")),
    "guest": Reason(
        "The kernel counts this only around an entry of hardware into the guest, in whole ticks unless it accounts "
        "exactly. With a software backend of KVM, and under TCG, it stays 0, whatever the guest does.",
        ("proc_pid_stat(5), guest_time", "Linux kernel/sched/cputime.c: account_guest_time()",
         "Linux include/linux/kvm_host.h: guest_timing_enter_irqoff()")),
    "rss": Reason(
        "Most of QEMU's is pages of its program and its libraries, of which a part is private since relocation has "
        "written to it; then its heap, where the types and the objects of its devices are, and a huge page of guest "
        "RAM. kvmlens has the C library, a program without a type system, one heap for all threads, and the guest "
        "pages that were used.",
        ("proc_pid_smaps(5)", "QEMU qom/object.c: type_initialize()",
         "QEMU softmmu/physmem.c: ram_block_add() (QEMU_MADV_HUGEPAGE)", "kvmlens vmm/main.c: main() (M_ARENA_MAX)",
         "kvmlens vmm/guest_memory.c: map_host_memory()")),
    "pss": Reason(
        "As the resident memory, but a page that several processes map is divided among them: common libraries cost "
        "less, the more of the system uses them. What is QEMU's alone counts whole: pages written by relocation, the "
        "heap, guest RAM, and rare libraries.",
        ("proc_pid_smaps(5), Pss", "Linux Documentation/filesystems/proc.rst, smaps")),
    "touched": Reason(
        "QEMU asks for huge pages, so the first touch of RAM takes 2 MiB where the host grants them; with huge pages "
        "forbidden to the process, the figure falls near to that of kvmlens, which does not ask. What is left: QEMU "
        "writes the zeroes of the kernel's BSS too, and its firmware has tables in low memory.",
        ("QEMU softmmu/physmem.c: ram_block_add() (QEMU_MADV_HUGEPAGE)",
         "Linux Documentation/admin-guide/mm/transhuge.rst", "QEMU hw/core/loader.c: rom_reset()",
         "qboot main.c: setup_idt(), extract_e820()", "kvmlens vmm/guest_memory.c: map_host_memory()",
         "kvmlens vmm/boot/kernel.c: kernel_load()")),
    "threads": Reason(
        "Both have the main thread with the event loop and one thread a vCPU (TCG too, where it is multi-threaded). "
        "QEMU adds one for its RCU callbacks; disks add workers on both. KVM's own thread for huge pages is in "
        "/proc/PID/task of both, and not counted.",
        ("QEMU util/rcu.c: rcu_init_complete(), call_rcu_thread()",
         "QEMU accel/kvm/kvm-accel-ops.c: kvm_start_vcpu_thread()",
         "QEMU accel/tcg/tcg-accel-ops-mttcg.c: mttcg_start_vcpu_thread()", "QEMU util/thread-pool.c: worker_thread()",
         "kvmlens vmm/vm.c: vm_create_vcpus()", "kvmlens vmm/host/disk_pool.c: start_thread()")),
    "files": Reason(
        "/dev/kvm, the VM, its vCPUs and a signalfd are open in both. QEMU has an eventfd for each of its two AioContexts "
        "and one for GLib's main loop, kvmlens one for its loop, and the kernel's file, which it reads again to name the "
        "guest's addresses at the end. Virtio queues and disks add to both.",
        ("QEMU util/main-loop.c: qemu_init_main_loop(), qemu_signal_init()", "QEMU util/async.c: aio_context_new()",
         "QEMU hw/virtio/virtio-bus.c: virtio_bus_set_host_notifier()", "kvmlens vmm/host/loop.c: loop_init()",
         "kvmlens vmm/main.c: run_once()")),
    "switches": Reason(
        "QEMU's main thread and each vCPU's hand work to each other and wait for its end, its RCU thread sleeps and "
        "wakes, and ioctls of the setup wait for SRCU grace periods. In kvmlens the main thread waits in ppoll(2) "
        "while the vCPU runs; disks and other backends wake threads in both.",
        ("QEMU cpus-common.c: do_run_on_cpu()", "QEMU util/rcu.c: call_rcu_thread()",
         "Linux virt/kvm/kvm_main.c: kvm_io_bus_unregister_dev(), kvm_swap_active_memslots()",
         "kvmlens vmm/host/loop.c: loop_run()", "kvmlens vmm/vm.c: vm_create_vcpus()")),
    "binary": Reason(
        "QEMU's program has all machines, processors and devices of x86, and TCG, whichever of them a command line "
        "uses. kvmlens has one machine; its file includes debugging information, which distributions take out of "
        "QEMU's.",
        ("QEMU configs/devices/i386-softmmu/default.mak", "QEMU hw/i386/Kconfig", "kvmlens vmm/board.c: board_attach()",
         "kvmlens Makefile (-g)", "dh_strip(1)")),
    "libraries": Reason(
        "QEMU is linked with a library for each feature that its builder chose (GLib, GnuTLS, Capstone, libslirp, "
        "RDMA, NUMA, ...), and the linker loads all of them in each run, used or not. kvmlens is linked with the C "
        "library; libslirp, Zydis and libtracefs are loaded by the run that needs them.",
        ("QEMU meson.build", "ldd(1)", "kvmlens vmm/host/slirp.c: load()", "kvmlens vmm/trace/code_insn.c: load()",
         "kvmlens vmm/trace/tracefs_library.c")),
    "code": Reason(
        "kvmlens: its VMM, and the headers that the VMM and the guest share, without tests and guest. QEMU's is "
        "counted where --qemu-source names its tree, which has all targets, machines and devices; one run uses a small "
        "part of it.",
        ("kvmlens vmm/, include/", "QEMU meson.build", "QEMU configs/devices/i386-softmmu/default.mak")),

    # --- system calls ------------------------------------------------------------------------------------------------
    "syscalls": Reason(
        "There is a fixed part, the start, which is much longer in QEMU: libraries, heap, probing of the host and of "
        "KVM. And a part that grows with the guest's work, a KVM_RUN for each exit to userspace and what its device "
        "does then, which is much alike in both.",
        ("QEMU softmmu/vl.c: qemu_init()", "QEMU accel/kvm/kvm-all.c: kvm_init(), kvm_cpu_exec()",
         "kvmlens vmm/main.c: run_guest()", "kvmlens vmm/exit.c: vm_handle_exit()")),
    "before_run": Reason(
        "Most of QEMU's come before it creates the VM, and most of those map its libraries (mmap, openat, read, "
        "newfstatat, close, mprotect). The rest grow the heap, ask KVM for capabilities, load firmware, and "
        "bring the reset state into the vCPUs.",
        ("ld.so(8)", "QEMU accel/kvm/kvm-all.c: kvm_init()", "QEMU target/i386/kvm/kvm.c: kvm_arch_init(), "
         "kvm_arch_put_registers()", "QEMU hw/i386/x86.c: x86_bios_rom_init()",
         "kvmlens vmm/machine.c: machine_create()")),
    "syscalls:ioctl": Reason(
        "Nearly all are KVM's, and KVM_RUN and the interrupt lines are most of them: see their rows below. A serial "
        "port on standard input adds a few to the terminal (TCGETS, TCSETS).",
        ("QEMU accel/kvm/kvm-all.c: kvm_ioctl(), kvm_vm_ioctl(), kvm_vcpu_ioctl()",
         "QEMU chardev/char-stdio.c: qemu_chr_open_stdio()", "kvmlens vmm/kvm/vcpu.c: kvm_vcpu_run()",
         "kvmlens vmm/host/terminal.c")),
    "syscalls:mmap": Reason(
        "The dynamic linker maps each library in four or five pieces, and QEMU has dozens of them. In a QEMU with "
        "disks, each coroutine's stack is a mapping too; a thread adds its stack and, in QEMU, a malloc arena.",
        ("ld.so(8)", "QEMU util/oslib-posix.c: qemu_alloc_stack()", "QEMU util/coroutine-ucontext.c: "
         "qemu_coroutine_new()", "mallopt(3), M_ARENA_MAX", "kvmlens vmm/main.c: main()")),
    "syscalls:openat": Reason(
        "QEMU: one for each of its libraries, files of /proc and /sys that the libraries' own start code reads (NUMA, "
        "persistent memory, SELinux, traffic classes), then firmware, option ROM and the kernel, twice. kvmlens: the C "
        "library, the kernel, /dev/kvm.",
        ("ld.so(8)", "QEMU hw/i386/x86.c: x86_load_linux(), load_elfboot(), x86_bios_rom_init()",
         "QEMU hw/core/loader.c: rom_add_file()", "kvmlens vmm/main.c: open_images()",
         "kvmlens vmm/kvm/vm.c: open_kvm()")),
    "syscalls:read": Reason(
        "At QEMU's start, one for each library's ELF header, and more for the files of /proc and /sys and for the "
        "firmware. Later, both read eventfds when their loop is woken, for notifications of virtio queues among other "
        "things.",
        ("ld.so(8)", "QEMU hw/core/loader.c: rom_add_file()",
         "QEMU util/event_notifier-posix.c: event_notifier_test_and_clear()", "kvmlens vmm/slots.c: listen_to()",
         "kvmlens vmm/host/loop.c")),
    "syscalls:close": Reason(
        "Each file that QEMU's start opens is closed again: its libraries above all, and the eventfds that try how "
        "many ioeventfds KVM takes.",
        ("ld.so(8)", "QEMU accel/kvm/kvm-all.c: kvm_check_many_ioeventfds()")),
    "syscalls:newfstatat": Reason(
        "The dynamic linker asks for the size of each library; QEMU has dozens, kvmlens the C library.",
        ("ld.so(8)", "ldd(1)")),
    "syscalls:mprotect": Reason(
        "The dynamic linker makes each library's relocated data read-only (RELRO), once a library. A thread's stack, "
        "and in a QEMU with disks each coroutine's, has a guard page, and malloc's arenas of threads grow by it.",
        ("ld.so(8)", "QEMU util/oslib-posix.c: qemu_alloc_stack()", "pthread_create(3)", "mallopt(3)")),
    "syscalls:munmap": Reason(
        "In QEMU: malloc trims each thread's new arena to its alignment, and io_urings that no loop uses are given "
        "back. kvmlens has one heap for all threads, and leaves its memory to the end of the process.",
        ("mallopt(3), M_ARENA_MAX", "QEMU util/aio-posix.c: aio_context_use_g_source()",
         "QEMU util/mmap-alloc.c: qemu_ram_mmap()", "kvmlens vmm/main.c: main(), run_once()")),
    "syscalls:brk": Reason(
        "malloc grows the heap in steps of 128 KiB. QEMU fills many of them with types, properties, objects and, at "
        "each change of the memory map, a new flat view of it; kvmlens needs less than one.",
        ("mallopt(3), M_TOP_PAD", "QEMU qom/object.c: type_register_internal(), type_initialize()",
         "QEMU softmmu/memory.c: memory_region_transaction_commit()",
         "QEMU softmmu/physmem.c: flatview_add_to_dispatch()")),
    "syscalls:madvise": Reason(
        "QEMU marks each block of guest memory: mergeable, huge pages, not for forked children; -machine mem-merge=off "
        "leaves out the first. Where there are many more, its RCU thread has found no work and gives back free pages "
        "of the heap. The one in kvmlens is the C library's, for the stack of a thread that ends.",
        ("QEMU softmmu/physmem.c: ram_block_add(), memory_try_enable_merging()",
         "QEMU util/rcu.c: call_rcu_thread() (malloc_trim)", "madvise(2)", "malloc_trim(3)", "pthread_exit(3)")),
    "syscalls:futex": Reason(
        "QEMU has one big lock, which the main thread, the RCU thread and each vCPU's contend for; with an irqchip "
        "that is partly in userspace, a vCPU takes it before each KVM_RUN. The vCPU's start is a row of handshakes "
        "over condition variables. kvmlens has one lock too, but waits for its vCPUs only at the start and the end.",
        ("QEMU softmmu/cpus.c: qemu_mutex_lock_iothread_impl(), qemu_wait_io_event()",
         "QEMU cpus-common.c: do_run_on_cpu()", "QEMU target/i386/kvm/kvm.c: kvm_arch_pre_run()",
         "kvmlens vmm/vm.c: create_and_wait(), vm_run()", "kvmlens vmm/exit.c: vm_handle_exit()")),
    "syscalls:write": Reason(
        "In kvmlens each byte of the serial port is one (QEMU uses writev for these). In QEMU they wake its main loop "
        "through eventfds, and print warnings. Disks use them in both, to wake the loop or to raise an irqfd.",
        ("kvmlens vmm/host/chardev.c: chardev_write()", "kvmlens vmm/host/loop.c: write_wake_fd()",
         "kvmlens vmm/slots.c: raise_irq()", "QEMU util/main-loop.c: qemu_notify_event()",
         "QEMU util/async.c: aio_notify()", "QEMU io/channel-file.c: qio_channel_file_writev()")),
    "syscalls:writev": Reason(
        "QEMU's way to write what the serial port sends, one for each byte: its channels write vectors. kvmlens uses "
        "write.",
        ("QEMU hw/char/serial.c: serial_xmit()", "QEMU chardev/char-io.c: io_channel_send_full()",
         "QEMU io/channel-file.c: qio_channel_file_writev()", "kvmlens vmm/host/chardev.c: chardev_write()")),
    "syscalls:poll": Reason(
        "Before each byte that goes to a pipe or a terminal, kvmlens asks whether there is room, since it may not make "
        "the descriptor non-blocking: a shell may share it. QEMU does make it non-blocking, and does not ask.",
        ("kvmlens vmm/host/chardev.c: has_room(), chardev_write()", "QEMU chardev/char-fd.c: qemu_chr_open_fd()",
         "QEMU chardev/char-stdio.c: qemu_chr_open_stdio()")),
    "syscalls:ppoll": Reason(
        "The main thread waits here for files and timers, in both. QEMU's loop is also woken by the vCPUs' own "
        "requests and by timers of its devices, such as a PIT in userspace; with disks and networks, by each queue's "
        "ioeventfd, in both.",
        ("QEMU util/main-loop.c: main_loop_wait(), os_host_main_loop_wait()", "QEMU util/qemu-timer.c: qemu_poll_ns()",
         "kvmlens vmm/host/loop.c: loop_run()", "kvmlens vmm/slots.c: listen_to()")),
    "syscalls:rt_sigaction": Reason(
        "QEMU sets handlers for errors of memory, for its kick of vCPUs, and for the signals that end it. kvmlens asks "
        "for the state of each signal before it takes it by signalfd, so as to leave alone what its starter ignores; "
        "at the end it handles the same ones anew.",
        ("QEMU os-posix.c: os_setup_early_signal_handling(), os_setup_signal_handling()",
         "QEMU accel/kvm/kvm-all.c: kvm_init_cpu_signals()", "kvmlens vmm/host/signals.c: add_unless_ignored(), "
         "signals_close()", "kvmlens vmm/vcpu.c: vcpu_accept_kicks()")),
    "syscalls:rt_sigprocmask": Reason(
        "Each thread that starts, and each signal that one thread sends to another, blocks signals for a moment; so "
        "does each new coroutine of QEMU's block layer, twice.",
        ("QEMU util/qemu-thread-posix.c: qemu_thread_create()", "QEMU softmmu/cpus.c: cpus_kick_thread()",
         "QEMU util/coroutine-ucontext.c: qemu_coroutine_new()", "kvmlens vmm/vcpu.c: vcpu_accept_kicks()")),
    "syscalls:tgkill": Reason(
        "QEMU's main thread kicks a vCPU's thread with a signal for each piece of work that it has for it, also while "
        "the vCPU has not run yet; kvmlens kicks a vCPU to stop or to pause it.",
        ("QEMU softmmu/cpus.c: qemu_cpu_kick(), cpus_kick_thread()", "QEMU cpus-common.c: do_run_on_cpu()",
         "kvmlens vmm/vcpu.c: vcpu_kick()")),
    "syscalls:rt_sigreturn": Reason(
        "One for each kick that a vCPU's thread has received: see tgkill.",
        ("QEMU softmmu/cpus.c: cpus_kick_thread()", "kvmlens vmm/vcpu.c: vcpu_kick()")),
    "syscalls:getpid": Reason(
        "The C library asks for it with each pthread_kill(3): see tgkill.",
        ("QEMU softmmu/cpus.c: cpus_kick_thread()", "kvmlens vmm/vcpu.c: vcpu_kick()")),
    "syscalls:clock_nanosleep": Reason(
        "QEMU's RCU thread sleeps 10 ms at a time, so that callbacks can pile up. It holds nobody up: the main thread "
        "and the vCPUs go on meanwhile. kvmlens has no such thread.",
        ("QEMU util/rcu.c: call_rcu_thread()", "QEMU docs/devel/rcu.txt")),
    "syscalls:clone3": Reason(
        "One for each thread after the first: see the row of threads.",
        ("QEMU util/qemu-thread-posix.c: qemu_thread_create()", "kvmlens vmm/vm.c: vm_create_vcpus()")),
    "syscalls:eventfd2": Reason(
        "Most of QEMU's serve one trial, whether KVM takes many ioeventfds, and are closed again; some wake its "
        "loops. kvmlens has one for its loop. Each virtio queue adds its own, in both.",
        ("QEMU accel/kvm/kvm-all.c: kvm_check_many_ioeventfds()", "QEMU util/async.c: aio_context_new()",
         "QEMU hw/virtio/virtio-bus.c: virtio_bus_set_host_notifier()", "kvmlens vmm/host/loop.c: loop_init()",
         "kvmlens vmm/slots.c: connect_queue(), connect_irq()")),
    "syscalls:io_uring_setup": Reason(
        "A QEMU built with liburing makes one for each of its event contexts, and removes it again from those that the "
        "main loop drives through GLib.",
        ("QEMU util/fdmon-io_uring.c: fdmon_io_uring_setup()", "QEMU util/aio-posix.c: aio_context_setup(), "
         "aio_context_use_g_source()")),
    "syscalls:memfd_create": Reason(
        "QEMU tries what memfd can do before it offers -object memory-backend-memfd; the files are closed at once.",
        ("QEMU backends/hostmem-memfd.c: register_types()", "QEMU util/memfd.c: qemu_memfd_check()")),
    "syscalls:access": Reason(
        "QEMU looks for its data and its firmware in several folders, the current one first.",
        ("QEMU util/cutils.c: get_relocated_path()", "QEMU softmmu/datadir.c: qemu_find_file()")),
    "syscalls:lseek": Reason(
        "QEMU seeks in the kernel's and the firmware's files before it reads; kvmlens reads with pread.",
        ("QEMU include/hw/elf_ops.h", "QEMU hw/core/loader.c: rom_add_file()",
         "kvmlens vmm/boot/file.c")),
    "syscalls:pread64": Reason(
        "kvmlens reads the kernel's headers and segments with it, QEMU's workers parts of a disk; where a request has "
        "several buffers, preadv stands for it. kvmlens's disks always use preadv.",
        ("kvmlens vmm/boot/kernel.c: kernel_open(), kernel_load()", "kvmlens vmm/host/disk_io.c",
         "QEMU block/file-posix.c: handle_aiocb_rw_linear(), handle_aiocb_rw_vector()")),
    "syscalls:preadv": Reason(
        "A read of a disk in kvmlens, by a worker thread. QEMU's workers use pread64 for a request with one buffer.",
        ("kvmlens vmm/host/disk_io.c", "QEMU block/file-posix.c: handle_aiocb_rw()")),

    # --- ioctls ------------------------------------------------------------------------------------------------------
    "ioctls": Reason(
        "QEMU asks for each capability, and sets the whole state of a vCPU, after the reset and once more before the "
        "start. With kernel-irqchip=split, microvm's default, each access to PIT, PIC and IOAPIC is an exit, and so "
        "one more KVM_RUN.",
        ("QEMU accel/kvm/kvm-all.c: kvm_init()", "QEMU target/i386/kvm/kvm.c: kvm_arch_put_registers(), "
         "kvm_arch_irqchip_create()", "QEMU hw/i386/microvm.c: microvm_class_init()", "kvmlens vmm/kvm/vm.c")),
    "ioctls:KVM_RUN": Reason(
        "One for each exit to userspace: see those exits.",
        ("Linux Documentation/virt/kvm/api.rst, 4.10 KVM_RUN", "QEMU accel/kvm/kvm-all.c: kvm_cpu_exec()",
         "kvmlens vmm/kvm/vcpu.c: kvm_vcpu_run()")),
    "ioctls:KVM_CHECK_EXTENSION": Reason(
        "QEMU runs on many kernels and architectures, and asks for each feature before it uses it, some of them more "
        "than once. kvmlens needs what every KVM of today has, and asks for two or three.",
        ("QEMU accel/kvm/kvm-all.c: kvm_init(), kvm_check_extension()", "QEMU target/i386/kvm/kvm.c: kvm_arch_init()",
         "kvmlens vmm/kvm/probe.c: kvm_missing_capability()", "kvmlens vmm/kvm/vm.c: kvm_vm_create()")),
    "ioctls:KVM_IRQ_LINE": Reason(
        "kvmlens tells KVM each change of an interrupt line, up and down, as the serial port's with each byte that is "
        "sent. QEMU does the same with KVM_IRQ_LINE_STATUS.",
        ("kvmlens vmm/dev/serial.c: drive_line()", "kvmlens vmm/kvm/vm.c: kvm_vm_irq()",
         "QEMU accel/kvm/kvm-all.c: kvm_set_irq(), kvm_init() (irq_set_ioctl)")),
    "ioctls:KVM_IRQ_LINE_STATUS": Reason(
        "QEMU's KVM_IRQ_LINE, which also tells whether the interrupt was delivered. With kernel-irqchip=split the "
        "IOAPIC is in QEMU, so there are only those of pins that are not masked, an edge as a pair; with =on, each "
        "change of a line.",
        ("QEMU accel/kvm/kvm-all.c: kvm_set_irq(), kvm_init() (irq_set_ioctl)",
         "QEMU hw/intc/ioapic.c: ioapic_service()", "QEMU hw/i386/kvm/ioapic.c: kvm_ioapic_set_irq()",
         "kvmlens vmm/kvm/vm.c: kvm_vm_irq()")),
    "ioctls:KVM_IOEVENTFD": Reason(
        "QEMU registers seven and removes them again, to see whether KVM takes more than the six of old kernels "
        "(dropped in QEMU's commit 5d9ec1f4c78e of 2023); each removal waits for an SRCU grace period. Beyond these, "
        "each virtio queue has one, in both, unless virtio-mmio.ioeventfd=off.",
        ("QEMU accel/kvm/kvm-all.c: kvm_check_many_ioeventfds()",
         "QEMU hw/virtio/virtio-mmio.c: virtio_mmio_ioeventfd_assign()",
         "Linux virt/kvm/kvm_main.c: kvm_io_bus_unregister_dev()", "kvmlens vmm/slots.c: connect_queue()")),
    "ioctls:KVM_IRQFD": Reason(
        "A virtio device of kvmlens raises its interrupt by writing an eventfd, from any thread. QEMU's virtio-mmio "
        "has none here: it changes an interrupt line, by KVM_IRQ_LINE_STATUS.",
        ("kvmlens vmm/slots.c: connect_irq(), raise_irq()", "QEMU hw/virtio/virtio-mmio.c: virtio_mmio_update_irq()",
         "QEMU accel/kvm/kvm-all.c: kvm_set_irq()")),
    "ioctls:KVM_GET_SUPPORTED_CPUID": Reason(
        "QEMU starts with room for one entry, and doubles it until KVM no longer says E2BIG; it keeps the answer. "
        "kvmlens starts with a table that is large enough as a rule.",
        ("QEMU target/i386/kvm/kvm.c: get_supported_cpuid(), try_get_cpuid()",
         "kvmlens vmm/kvm/cpuid.c: get_supported()")),
    "ioctls:KVM_SET_USER_MEMORY_REGION": Reason(
        "QEMU first maps RAM as one slot; then its firmware covers the last 64 or 128 KiB below 1 MiB, so it removes "
        "the slot and makes three of it, and one more for the firmware below 4 GiB. kvmlens without -bios has no ROM, "
        "and one slot of RAM (two above 3 GiB).",
        ("QEMU accel/kvm/kvm-all.c: kvm_set_phys_mem()", "QEMU hw/i386/x86.c: x86_bios_rom_init()",
         "Linux virt/kvm/kvm_main.c: kvm_swap_active_memslots()", "kvmlens vmm/guest_memory.c: guest_memory_map()")),
    "ioctls:KVM_SET_MSRS": Reason(
        "QEMU writes the MSRs that it knows to each vCPU, after the reset and once more before the start; some "
        "have calls of their own, such as the TSC deadline and the local APIC's base. kvmlens leaves them as KVM "
        "resets them.",
        ("QEMU target/i386/kvm/kvm.c: kvm_init_msrs(), kvm_put_msrs(), kvm_put_tscdeadline_msr()",
         "QEMU hw/i386/kvm/apic.c: kvm_apic_put()", "kvmlens vmm/kvm/vcpu.c: kvm_vcpu_set_state()")),
    "ioctls:KVM_SET_GSI_ROUTING": Reason(
        "With kernel-irqchip=split, QEMU's IOAPIC hands KVM a new table of routes each time the guest writes to one of "
        "its pins, and each waits for an SRCU grace period. kvmlens has the IOAPIC in the kernel, with its own table.",
        ("QEMU hw/intc/ioapic.c: ioapic_update_kvm_routes()",
         "QEMU accel/kvm/kvm-all.c: kvm_irqchip_commit_routes()", "Linux virt/kvm/irqchip.c: kvm_set_irq_routing()",
         "kvmlens vmm/kvm/vm.c: kvm_vm_create_irqchip()")),
    "ioctls:KVM_ENABLE_CAP": Reason(
        "QEMU turns on the split irqchip, x2APIC IDs of 32 bits, manual dirty logging, payloads of exceptions, triple "
        "faults as an event, and exits for MSRs. kvmlens needs none of them.",
        ("QEMU accel/kvm/kvm-all.c: kvm_init()", "QEMU target/i386/kvm/kvm.c: kvm_arch_init(), "
         "kvm_arch_irqchip_create(), kvm_enable_x2apic()")),
    "ioctls:KVM_X86_SET_MSR_FILTER": Reason(
        "QEMU wants to answer one MSR itself, the number of cores and threads. The call waits for an SRCU grace "
        "period. kvmlens leaves all MSRs to KVM.",
        ("QEMU target/i386/kvm/kvm.c: kvm_arch_init(), kvm_install_msr_filters()",
         "Linux arch/x86/kvm/x86.c: kvm_vm_ioctl_set_msr_filter()")),
    "ioctls:KVM_CREATE_IRQCHIP": Reason(
        "kvmlens has PIC, IOAPIC and local APICs in the kernel. QEMU's microvm has kernel-irqchip=split by default, "
        "only the local APICs, which is KVM_ENABLE_CAP; with -accel kvm,kernel-irqchip=on it makes this call too.",
        ("kvmlens vmm/kvm/vm.c: kvm_vm_create_irqchip()", "QEMU hw/i386/microvm.c: microvm_class_init()",
         "QEMU target/i386/kvm/kvm.c: kvm_arch_irqchip_create()")),
    "ioctls:KVM_CREATE_PIT2": Reason(
        "kvmlens has the PIT in the kernel. QEMU has it there with kernel-irqchip=on; with split, microvm's default, "
        "it is a device of QEMU's.",
        ("kvmlens vmm/kvm/vm.c: kvm_vm_create_irqchip()", "QEMU hw/i386/microvm.c: microvm_devices_init()",
         "QEMU hw/i386/kvm/i8254.c: kvm_pit_realizefn()")),

    # --- exits and interrupts ----------------------------------------------------------------------------------------
    "userspace": Reason(
        "The guest's own accesses to devices are the same. QEMU adds its firmware's, to fw_cfg and a PCI host bridge "
        "that microvm has not, and, with kernel-irqchip=split, those to PIT, PIC and IOAPIC, which KVM handles for "
        "kvmlens; -accel kvm,kernel-irqchip=on takes them away. A guest that polls the PIT makes more, the faster it "
        "gets its answers.",
        ("qboot fw_cfg.c", "qboot hwsetup.c: setup_hw(), setup_mmconfig()",
         "QEMU hw/i386/microvm.c: microvm_class_init(), microvm_devices_init()",
         "QEMU docs/system/i386/microvm.rst, Supported devices", "kvmlens vmm/kvm/vm.c: kvm_vm_create_irqchip()")),
    "userspace:KVM_EXIT_IO": Reason(
        "In QEMU also the firmware's: items of fw_cfg byte by byte from port 0x511, files of it by DMA, and a look for "
        "a PCI host bridge at 0xcf8, twice. With kernel-irqchip=split, ports of PIT and PIC come on top.",
        ("qboot fw_cfg.c: fw_cfg_setup(), fw_cfg_dma(), boot_from_fwcfg()", "qboot include/fw_cfg.h",
         "qboot hwsetup.c: setup_hw(), setup_mmconfig()", "QEMU hw/nvram/fw_cfg.c: fw_cfg_data_read(), "
         "fw_cfg_dma_transfer()", "QEMU docs/specs/fw_cfg.rst", "QEMU hw/timer/i8254.c: pit_ioport_read()")),
    "userspace:KVM_EXIT_MMIO": Reason(
        "Registers of virtio devices, in both; notifications of queues are ioeventfds and no exits. In QEMU also the "
        "IOAPIC's page with kernel-irqchip=split. Without acpi=off, QEMU's microvm has 24 virtio slots, not 8, so a "
        "guest that looks into each makes more.",
        ("QEMU hw/intc/ioapic.c: ioapic_mem_read(), ioapic_mem_write()",
         "QEMU hw/virtio/virtio-mmio.c: virtio_mmio_write()",
         "QEMU hw/i386/microvm.c: microvm_devices_init() (virtio_num_transports)", "kvmlens vmm/virtio/mmio.c",
         "kvmlens vmm/slots.c: connect_queue()")),
    "userspace:restart": Reason(
        "KVM_RUN ended with EINTR, since a signal or immediate_exit asked for it. QEMU's first KVM_RUN ends so, as the "
        "vCPU was kicked when it was started; later, its main thread kicks a vCPU that it wants something of. kvmlens "
        "kicks the other vCPUs to stop or to pause them.",
        ("Linux include/trace/events/kvm.h: kvm_userspace_exit",
         "QEMU accel/kvm/kvm-all.c: kvm_cpu_exec(), kvm_cpu_kick_self()", "QEMU softmmu/cpus.c: qemu_cpu_kick()",
         "kvmlens vmm/vcpu.c: vcpu_kick()", "kvmlens vmm/vm.c: vm_stop()")),
    "userspace:KVM_EXIT_IRQ_WINDOW_OPEN": Reason(
        "With kernel-irqchip=split or off, QEMU's PIC has an interrupt for a vCPU that cannot take it yet, so QEMU "
        "asks to be told when it can. A PIC in the kernel needs no such exit.",
        ("QEMU target/i386/kvm/kvm.c: kvm_arch_pre_run() (request_interrupt_window)",
         "Linux Documentation/virt/kvm/api.rst, 5. The kvm_run structure")),
    "userspace:KVM_EXIT_IOAPIC_EOI": Reason(
        "With kernel-irqchip=split, the end of a level-triggered interrupt is told to QEMU's IOAPIC. With the IOAPIC "
        "in the kernel, as in kvmlens, it stays there.",
        ("QEMU target/i386/kvm/kvm.c: kvm_arch_handle_exit()", "QEMU hw/intc/ioapic.c: ioapic_eoi_broadcast()",
         "Linux Documentation/virt/kvm/api.rst, KVM_EXIT_IOAPIC_EOI")),
    "kernel": Reason(
        "Hardware's exits, of which KVM handles many by itself (CPUID, MSRs, page faults, HLT, the local APIC, and "
        "what else is in the kernel). QEMU's firmware adds some, and its guest RAM in huge pages saves some page "
        "faults. A software backend of KVM has no such events.",
        ("Linux arch/x86/kvm/trace.h: kvm_exit", "Linux arch/x86/kvm/vmx/vmx.c: vmx_handle_exit()",
         "Linux arch/x86/kvm/svm/svm.c: svm_handle_exit()", "qboot main.c: main()",
         "QEMU softmmu/physmem.c: ram_block_add() (QEMU_MADV_HUGEPAGE)")),
    "instructions": Reason(
        "Where KVM has a software backend, nearly all of the guest's code; on hardware, what an exit needs, such as "
        "accesses to MMIO. QEMU adds its firmware. A guest that polls a timer runs more of them, the faster the answer "
        "comes: a PIT in the kernel (kvmlens; kernel-irqchip=on) answers faster than one in userspace.",
        ("Linux arch/x86/kvm/trace.h: kvm_emulate_insn", "Linux arch/x86/kvm/x86.c: x86_emulate_instruction()",
         "qboot main.c: main()", "QEMU hw/timer/i8254.c: pit_ioport_read()",
         "Linux arch/x86/kvm/i8254.c: pit_ioport_read()")),
    "interrupts": Reason(
        "The guest asks for the same interrupts in both, and the local APICs are in the kernel in both, so these are "
        "much alike; how many of a device's fall together depends on time. With kernel-irqchip=split an IOAPIC's "
        "interrupt comes as an MSI, and a PIC's by KVM_INTERRUPT, past the local APIC.",
        ("Linux arch/x86/kvm/lapic.c: __apic_accept_irq()", "QEMU hw/intc/ioapic.c: ioapic_service()",
         "QEMU target/i386/kvm/kvm.c: kvm_arch_pre_run()", "kvmlens vmm/kvm/vm.c: kvm_vm_irq()")),
    "interrupts:accepted by the local APIC": Reason(
        "Interrupts of the IOAPIC, of MSIs, of the APIC's own timer and of other vCPUs, on their way to the guest.",
        ("Linux arch/x86/kvm/lapic.c: __apic_accept_irq()", "Linux arch/x86/kvm/trace.h: kvm_apic_accept_irq")),
    "interrupts:injected into the vCPU": Reason(
        "What hardware was told to deliver, the PIC's interrupts included. A software backend of KVM may not tell.",
        ("Linux arch/x86/kvm/trace.h: kvm_inj_virq", "Linux arch/x86/kvm/vmx/vmx.c: vmx_inject_irq()",
         "Linux arch/x86/kvm/svm/svm.c: svm_inject_irq()")),
}
