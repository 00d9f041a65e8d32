/*
 * diagnose.c: why a guest died, in one sentence (Intel SDM vol. 3A, chapters 4 to 6).
 *
 * For each way to die there is a list of rules, the most specific first. A rule looks at the scene
 * and either adds its words or passes.
 */
#include "diagnose.h"

#include "scene.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define IVT_END 0x400

#define SOFTWARE_KVM "This KVM runs guest ring 0 by emulating it in software, and "

bool say(struct sentence *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(s->text + s->len, s->size - s->len, format, args);
    va_end(args);
    if (len > 0)
        s->len += (size_t)len < s->size - s->len ? (size_t)len : s->size - s->len - 1;
    return true;
}

bool apply(const rule *rules, struct scene *scene, struct sentence *s)
{
    for (; *rules; rules++) {
        if ((*rules)(scene, s))
            return true;
    }
    return false;
}

bool runs_zeros(const struct scene *scene)
{
    static const uint8_t zeros[8];

    return scene->code_len >= sizeof(zeros) && memcmp(scene->code, zeros, sizeof(zeros)) == 0;
}

bool registers_are_lost(const struct postmortem *dead)
{
    const struct cpu_state *state = dead->state;

    return dead->exit->kind == VM_EXIT_SHUTDOWN && !(state->cr0 & CR0_PE) && state->rip == 0xfff0 &&
           state->seg[SEG_CS].selector == 0xf000;
}

static bool triple_state_lost(struct scene *scene, struct sentence *s)
{
    const struct postmortem *dead = scene->dead;
    char text[SYMBOLS_TEXT_MAX];

    if (!registers_are_lost(dead))
        return false;
    say(s,
        "Not known: KVM on AMD processors resets a vCPU that triple-faults, so its registers are "
        "gone");
    for (unsigned i = dead->last_count; i > 0; i--) {
        const struct trace_event *event = &dead->last[i - 1];
        if (event->vcpu != dead->vcpu || event->kind == VM_EXIT_SHUTDOWN ||
            event->kind == VM_EXIT_INTR || event->kind == VM_EXIT_AGAIN)
            continue;
        symbols_format(dead->symbols, event->rip, text);
        say(s, "; the last that was seen of the guest is its exit at %s", text);
        break;
    }
    return say(s, ". The same command line in qemu-system-x86_64, with -accel tcg -d "
                  "int,cpu_reset, shows the exceptions.");
}

static bool triple_bad_cr3(struct scene *scene, struct sentence *s)
{
    if (scene->rip.steps == 0 || scene->rip.step[0].readable)
        return false;
    return say(s,
               "Paging is on, but CR3 (0x%" PRIx64 ") points outside RAM, so nothing is mapped: "
               "neither the code at %s nor the IDT.",
               scene->state->cr3, scene->where);
}

/* A software KVM has the page tables of long mode alone. */
static bool triple_no_paging32(struct scene *scene, struct sentence *s)
{
    const struct cpu_state *state = scene->state;

    if (!scene->dead->software_backend || strcmp(scene->insn.name, "mov to cr0") != 0 ||
        (state->cr0 & CR0_PG) || (state->efer & EFER_LME) || scene->code[0] != 0x0f ||
        !(state->gpr[scene->code[2] & 7] & CR0_PG) || !explain_exception(scene, s))
        return false;
    return say(s,
               " " SOFTWARE_KVM "answers a `mov to cr0` that turns on %s with #GP; " A_BETTER_KVM
               " can run it.",
               state->cr4 & CR4_PAE ? "PAE paging" : "32-bit paging");
}

static bool triple_unknown(struct scene *scene, struct sentence *s)
{
    say(s,
        "Not known: the IDT entries for the likely exceptions look good, and the code at %s is %s",
        scene->where, scene->rip_is_memory ? "mapped" : "not in RAM");
    if (scene->rip.page_size == 1ull << 30)
        say(s, " (by a 1 GiB page, which not every processor has: CPUID 80000001h, EDX bit 26)");
    return say(s, "; look at the last exits and the backtrace.");
}

static bool error_outside_ram(struct scene *scene, struct sentence *s)
{
    if (scene->rip_is_memory && scene->rip.mapped)
        return false;
    return say(s, "The guest went to 0x%" PRIx64 ", which %s, and there is no instruction there.",
               scene->at, scene->rip.mapped ? "is outside RAM" : "no page maps");
}

/* An interrupt or exception in real mode, while the vector table is still empty. */
static bool error_in_ivt(struct scene *scene, struct sentence *s)
{
    if ((scene->state->cr0 & CR0_PE) || scene->at >= IVT_END)
        return false;
    return say(s,
               "Real-mode code runs in the interrupt vector table (0x%" PRIx64
               "): an interrupt or exception came, and its vector is 0000:0000.",
               scene->at);
}

static bool error_zeros(struct scene *scene, struct sentence *s)
{
    if (!runs_zeros(scene))
        return false;
    return say(s,
               "The guest runs through zeroed memory at %s (00 00 is `add %%al,(%%rax)`): a jump "
               "to a wrong address, or code that was never loaded.",
               scene->where);
}

static bool error_emulation(struct scene *scene, struct sentence *s)
{
    bool known = scene->insn.name[0] != '\0';
    bool exact = known && strncmp(scene->insn.name, "an ", 3) != 0;
    const char *quote = exact ? "`" : "";
    const char *name = known ? scene->insn.name : "the instruction";

    if (scene->dead->exit->detail != 1)
        return false;
    if (scene->dead->software_backend)
        return say(s, SOFTWARE_KVM "cannot emulate %s%s%s at %s; " A_BETTER_KVM " %s run it.",
                   quote, name, quote, scene->where, exact ? "can" : "may");
    return say(s,
               "KVM had to emulate %s%s%s at %s and cannot: it accesses memory that is not RAM, or "
               "the processor cannot run this mode by itself.",
               quote, name, quote, scene->where);
}

static bool error_delivery(struct scene *scene, struct sentence *s)
{
    if (scene->dead->exit->detail != 3)
        return false;
    return say(
        s,
        "An exit came while an exception or interrupt was delivered at %s: the IDT (0x%" PRIx64
        "), the GDT (0x%" PRIx64 "), the TSS or the stack (0x%" PRIx64 ") is not in RAM.",
        scene->where, scene->state->idt.base, scene->state->gdt.base, scene->state->gpr[RSP]);
}

static bool error_unknown(struct scene *scene, struct sentence *s)
{
    const struct vm_exit *exit = scene->dead->exit;

    return say(s, "KVM gave up at %s: suberror %" PRIu64 " (%s); its kernel log may say more.",
               scene->where, exit->detail, exit->detail_name ? exit->detail_name : "unknown");
}

static bool entry_failed(struct scene *scene, struct sentence *s)
{
    uint64_t reason = scene->dead->exit->detail;

    /* VMX: SDM vol. 3C, section 26.8; SVM: APM vol. 2, appendix C, VMEXIT_INVALID. */
    if (reason == 0x80000021 || (reason & 0xffffffff) == 0xffffffff)
        return say(s,
                   "The processor refused the guest's state at %s: a segment, control register or "
                   "RFLAGS value that it does not allow in this mode; in real mode, an Intel "
                   "processor without 'unrestricted guest'.",
                   scene->where);
    return say(s, "The processor refused to enter the guest at %s (hardware reason 0x%" PRIx64 ").",
               scene->where, reason);
}

static bool guest_gave_up(struct scene *scene, struct sentence *s)
{
    const struct vm_exit *exit = scene->dead->exit;

    return say(s,
               "The guest reported its own end to KVM at %s (system event %" PRIu64
               ", %s): look at what it printed last.",
               scene->where, exit->detail, exit->detail_name ? exit->detail_name : "unknown");
}

static bool other_reason(struct scene *scene, struct sentence *s)
{
    const struct vm_exit *exit = scene->dead->exit;

    return say(s, "KVM ended with %s (%u) at %s, which kvmlens does not handle.",
               exit->raw_name ? exit->raw_name : "an unknown reason", exit->raw_reason,
               scene->where);
}

static const rule triple[] = {triple_state_lost, triple_bad_cr3, triple_no_paging32,
                              explain_exception, triple_unknown, NULL};
static const rule internal_error[] = {
    error_outside_ram, error_in_ivt,  error_zeros, error_emulation,
    error_delivery,    error_unknown, NULL};
static const rule fail_entry[] = {entry_failed, NULL};
static const rule system_event[] = {guest_gave_up, NULL};
static const rule other[] = {other_reason, NULL};

static void set_scene(struct scene *scene, const struct postmortem *dead)
{
    const struct vm_exit *exit = dead->exit;

    *scene = (struct scene){.dead = dead, .state = dead->state, .mem = dead->mem};
    scene->vector = INSN_NO_VECTOR;
    scene->at = code_address(dead->state);
    pagewalk(dead->mem, dead->state, scene->at, &scene->rip);
    scene->rip_is_memory = scene->rip.mapped && mem_peek(dead->mem, scene->rip.gpa, 1);
    scene->code_len = (unsigned)pagewalk_read(dead->mem, dead->state, scene->at, scene->code,
                                              sizeof(scene->code));
    /* KVM's own copy is what it tried to emulate. */
    if (exit->insn_len > 0)
        scene->insn = insn_decode(exit->insn, exit->insn_len, code_is_64bit(dead->state));
    else
        scene->insn = insn_decode(scene->code, scene->code_len, code_is_64bit(dead->state));
    symbols_format(dead->symbols, dead->state->rip, scene->where);
}

void diagnose(const struct postmortem *dead, char *text, size_t size)
{
    struct scene scene;
    struct sentence s = {text, size, 0};

    text[0] = '\0';
    set_scene(&scene, dead);
    switch (dead->exit->kind) {
    case VM_EXIT_SHUTDOWN:
        apply(triple, &scene, &s);
        break;
    case VM_EXIT_INTERNAL_ERROR:
        apply(internal_error, &scene, &s);
        break;
    case VM_EXIT_FAIL_ENTRY:
        apply(fail_entry, &scene, &s);
        break;
    case VM_EXIT_SYSTEM_EVENT:
        apply(system_event, &scene, &s);
        break;
    default:
        apply(other, &scene, &s);
    }
}
