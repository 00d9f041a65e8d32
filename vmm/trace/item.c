/*
 * item.c: a record of the trace with its names and words (see item.h).
 */
#include "item.h"

#include "code.h"

#include <stdio.h>
#include <string.h>

static const char *kind_name(const struct trace_event *event)
{
    const struct vm_exit exit = {.kind = event->kind, .write = event->write, .count = event->count};

    if (event->kind == VM_EXIT_KERNEL && event->raw_name)
        return event->raw_name;
    return vm_exit_kind_name(&exit);
}

const struct trace_stat *trace_find_stat(const struct trace_footer *footer, const char *name)
{
    for (unsigned i = 0; i < footer->stat_count && i < TRACE_STATS_MAX; i++) {
        if (strcmp(footer->stat[i].name, name) == 0)
            return &footer->stat[i];
    }
    return NULL;
}

void trace_item_make(struct trace_item *item, const struct trace_event *event,
                     const struct code_place *place, char remark[TRACE_REMARK_MAX])
{
    *item = (struct trace_item){.event = event, .kind = kind_name(event)};
    if (place) {
        item->symbol = place->symbol;
        item->symbol_offset = place->offset;
        item->file = place->file;
        item->line = place->line;
        item->insn = place->insn;
    }
    if (event->remark) {
        snprintf(remark, TRACE_REMARK_MAX, event->remark, (unsigned long long)event->remark_arg[0],
                 (unsigned long long)event->remark_arg[1],
                 (unsigned long long)event->remark_arg[2]);
        item->remark = remark;
    }
}
