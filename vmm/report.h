/*
 * report.h: what kvmlens tells a person when the guest has ended.
 */
#ifndef KVMLENS_REPORT_H
#define KVMLENS_REPORT_H

#include "status.h"
#include "vm.h"

#include <stdio.h>

/* Explains on OUT, where there is something to explain, how the stopped VM ended: the post-mortem
 * of a dead guest, or where each vCPU was when the time was up. KERNEL_FD is the guest's ELF file,
 * for its symbols, or -1. Returns the exit status that goes with it. */
enum status report_end(const struct vm *vm, int kernel_fd, FILE *out);

#endif
