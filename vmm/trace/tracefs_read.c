/*
 * tracefs_read.c: events out of the kernel's buffers, in the order of time.
 *
 * Each processor has a buffer of its own. Its sub-buffers come through per_cpu/cpuN/trace_pipe_raw;
 * in one, each event is a time stamp and a record (the kernel's Documentation/trace/
 * ring-buffer-design.rst), whose fields events/kvm/NAME/format tells.
 */
#include "irqchip.h"
#include "tracefs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MARKER "vcpu " /* and its index: what a vCPU's thread writes at its start */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- one processor's buffer ---------------------------------------------------------------------- */

/* Reads the next sub-buffer, if the kernel has one with events. */
static void refill(struct tracefs *fs, struct cpu_buffer *cpu)
{
    const struct tracefs_functions *call = &fs->call;

    while (!cpu->data) {
        uint64_t before = now_ns();
        ssize_t n = read(cpu->fd, cpu->page, SUB_BUFFER_MAX);

        if (n <= 0 || call->kbuffer_load_subbuffer(cpu->kbuf, cpu->page) < 0) {
            cpu->known_to = before;
            return;
        }

        unsigned long long time = 0;
        int missed = call->kbuffer_missed_events(cpu->kbuf);

        if (missed != 0) /* negative: the kernel does not know how many */
            cpu->missed += missed > 0 ? (uint64_t)missed : 1;
        cpu->data = call->kbuffer_read_event(cpu->kbuf, &time);
        cpu->time = time;
    }
}

static void advance(struct tracefs *fs, struct cpu_buffer *cpu)
{
    unsigned long long time = 0;

    cpu->data = fs->call.kbuffer_next_event(cpu->kbuf, &time);
    cpu->time = time;
}

/* The buffer with the oldest event; NULL if there is none before UPTO (CLOCK_MONOTONIC). A buffer
 * that was empty is asked again, so that nothing older can appear in it afterwards. */
static struct cpu_buffer *oldest(struct tracefs *fs, uint64_t upto)
{
    struct cpu_buffer *best = NULL;

    for (unsigned i = 0; i < fs->cpus; i++) {
        struct cpu_buffer *cpu = &fs->cpu[i];

        if (!cpu->data && cpu->known_to < upto && (!best || cpu->known_to < best->time))
            refill(fs, cpu);
        if (cpu->data && (!best || cpu->time < best->time))
            best = cpu;
    }
    return best;
}

/* --- events ------------------------------------------------------------------------------------- */

static const struct event_type *type_of(struct tracefs *fs, struct tep_record *record)
{
    const struct tracefs_functions *call = &fs->call;
    int id = call->tep_data_type(fs->tep, record);
    struct event_type *type = &fs->type[(unsigned)id % EVENT_TYPES];

    if (type->event && type->id == id)
        return type;
    *type = (struct event_type){.id = id, .event = call->tep_find_event(fs->tep, id)};
    if (!type->event)
        return NULL;
    type->marker = strcmp(type->event->name, "print") == 0;
    type->vcpu = call->tep_find_field(type->event, "vcpu_id");
    type->rip = call->tep_find_field(type->event, "guest_rip");
    if (!type->rip)
        type->rip = call->tep_find_field(type->event, "rip");
    bool pio = strcmp(type->event->name, "kvm_pio") == 0;
    if (pio || strcmp(type->event->name, "kvm_mmio") == 0) {
        type->access = pio ? VM_EXIT_PIO : VM_EXIT_MMIO;
        type->addr = call->tep_find_field(type->event, pio ? "port" : "gpa");
    }
    return type;
}

static void adopt(struct tracefs *fs, int pid, const char *text)
{
    const char *marker = strstr(text, MARKER);
    unsigned long index = marker ? strtoul(marker + strlen(MARKER), NULL, 10) : SMP_MAX;

    if (index < SMP_MAX)
        fs->vcpu_pid[index] = pid;
}

static unsigned vcpu_of(struct tracefs *fs, const struct event_type *type,
                        struct tep_record *record)
{
    unsigned long long index;
    int pid = fs->call.tep_data_pid(fs->tep, record);

    for (unsigned i = 0; pid > 0 && i < SMP_MAX; i++)
        if (fs->vcpu_pid[i] == pid)
            return i;
    if (type->vcpu && fs->call.tep_read_number_field(type->vcpu, record->data, &index) == 0 &&
        index < SMP_MAX)
        return (unsigned)index;
    return TRACE_NO_VCPU;
}

/* The device and register of an access that KVM answers itself. */
static void name_device(struct tracefs *fs, const struct event_type *type,
                        struct tep_record *record)
{
    struct trace_event *event = &fs->event;
    unsigned long long addr;

    if (!type->addr || !fs->devices.irqchip ||
        fs->call.tep_read_number_field(type->addr, record->data, &addr) != 0)
        return;
    irqchip_name(type->access, addr, &event->device, &event->reg);
    if (event->device && !fs->devices.pit && strcmp(event->device, "PIT") == 0)
        event->device = event->reg = NULL;
}

static void print(struct tracefs *fs, struct tep_record *record)
{
    struct trace_seq *text = &fs->text;

    fs->call.trace_seq_reset(text);
    fs->call.tep_print_event(fs->tep, text, record, "%s", TEP_PRINT_INFO);
    fs->call.trace_seq_terminate(text);
    while (text->len > 0 &&
           (text->buffer[text->len - 1] == ' ' || text->buffer[text->len - 1] == '\n'))
        text->buffer[--text->len] = '\0';
}

static void make_lost(struct tracefs *fs, struct cpu_buffer *cpu)
{
    fs->lost += cpu->missed;
    fs->event.raw_name = "lost";
    snprintf(fs->text.buffer, fs->text.buffer_size,
             "%llu events for which the kernel's buffer had no room",
             (unsigned long long)cpu->missed);
}

/* Makes fs->event of CPU's event. False: nothing for the trace. */
static bool make_event(struct tracefs *fs, struct cpu_buffer *cpu, uint64_t zero_ns)
{
    struct tep_record record = {
        .ts = cpu->time,
        .size = fs->call.kbuffer_event_size(cpu->kbuf),
        .data = cpu->data,
        .cpu = (int)(cpu - fs->cpu),
    };
    unsigned long long rip = 0;

    fs->event = (struct trace_event){
        .kind = VM_EXIT_KERNEL,
        .start_ns = cpu->time > zero_ns ? cpu->time - zero_ns : 1,
        .vcpu = TRACE_NO_VCPU,
        .text = fs->text.buffer,
    };
    if (cpu->missed > 0) {
        make_lost(fs, cpu);
        return true;
    }

    const struct event_type *type = type_of(fs, &record);

    if (!type)
        return false;
    print(fs, &record);
    if (type->marker) {
        adopt(fs, fs->call.tep_data_pid(fs->tep, &record), fs->text.buffer);
        return false;
    }
    if (type->rip && fs->call.tep_read_number_field(type->rip, record.data, &rip) == 0)
        fs->event.rip = rip;
    fs->event.raw_name = type->event->name;
    fs->event.vcpu = vcpu_of(fs, type, &record);
    name_device(fs, type, &record);
    return true;
}

const struct trace_event *tracefs_peek(struct trace_source *source, uint64_t zero_ns,
                                       uint64_t upto_ns)
{
    struct tracefs *fs = (struct tracefs *)source;
    uint64_t upto = upto_ns > UINT64_MAX - zero_ns ? UINT64_MAX : upto_ns + zero_ns;
    struct cpu_buffer *cpu;

    while ((cpu = oldest(fs, upto))) {
        if (cpu == fs->from)
            return &fs->event;
        fs->from = NULL;
        if (make_event(fs, cpu, zero_ns)) {
            fs->from = cpu;
            return &fs->event;
        }
        advance(fs, cpu);
    }
    return NULL;
}

void tracefs_release(struct trace_source *source)
{
    struct tracefs *fs = (struct tracefs *)source;
    struct cpu_buffer *cpu = fs->from;

    fs->from = NULL;
    if (cpu->missed > 0)
        cpu->missed = 0; /* the event behind the gap comes next */
    else
        advance(fs, cpu);
}

/* --- threads ------------------------------------------------------------------------------------- */

void tracefs_vcpu_starts(struct trace_source *source, unsigned index)
{
    struct tracefs *fs = (struct tracefs *)source;
    char marker[32];
    int length = snprintf(marker, sizeof(marker), MARKER "%u\n", index);

    /* Should it fail, events that do not name the vCPU themselves belong to none. */
    if (write(fs->marker_fd, marker, (size_t)length) < 0)
        return;
}

int tracefs_own_pid(struct tracefs *fs)
{
    static const char marker[] = "kvmlens\n";
    struct cpu_buffer *cpu;

    if (write(fs->marker_fd, marker, sizeof(marker) - 1) < 0)
        return -errno;
    cpu = oldest(fs, UINT64_MAX);
    if (!cpu)
        return -EIO;

    struct tep_record record = {.data = cpu->data};
    int pid = fs->call.tep_data_pid(fs->tep, &record);

    advance(fs, cpu);
    return pid > 0 ? pid : -EIO;
}

/* --- the buffers --------------------------------------------------------------------------------- */

int tracefs_open_buffers(struct tracefs *fs)
{
    long count = sysconf(_SC_NPROCESSORS_CONF);
    char name[64];

    fs->call.trace_seq_init(&fs->text);
    fs->cpu = calloc(count > 0 ? (size_t)count : 1, sizeof(*fs->cpu));
    if (!fs->cpu || fs->text.state != TRACE_SEQ__GOOD)
        return -ENOMEM;
    for (long i = 0; i < count; i++) {
        struct cpu_buffer *cpu = &fs->cpu[fs->cpus];

        snprintf(name, sizeof(name), "per_cpu/cpu%ld/trace_pipe_raw", i);
        cpu->fd = fs->call.tracefs_instance_file_open(fs->instance, name,
                                                      O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (cpu->fd < 0 && errno == ENOENT)
            continue; /* a processor that is not there */
        if (cpu->fd < 0)
            return -errno;
        fs->cpus++;
        cpu->kbuf = fs->call.kbuffer_alloc(KBUFFER_LSIZE_8, KBUFFER_ENDIAN_LITTLE);
        cpu->page = malloc(SUB_BUFFER_MAX);
        if (!cpu->kbuf || !cpu->page)
            return -ENOMEM;
    }
    return fs->cpus > 0 ? 0 : -ENODEV;
}

void tracefs_close_buffers(struct tracefs *fs)
{
    for (unsigned i = 0; i < fs->cpus; i++) {
        close(fs->cpu[i].fd);
        fs->call.kbuffer_free(fs->cpu[i].kbuf);
        free(fs->cpu[i].page);
    }
    free(fs->cpu);
    fs->call.trace_seq_destroy(&fs->text);
}
