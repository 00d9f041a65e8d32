/*
 * doctor.h: `kvmlens check`: can this host run guests, and if not, what to do.
 */
#ifndef KVMLENS_DOCTOR_H
#define KVMLENS_DOCTOR_H

#include "kvm/probe.h"
#include "status.h"

#include <stdbool.h>
#include <stdio.h>

/* Probes /dev/kvm and prints what was found to stdout. 0 if guests can run, else
 * STATUS_NO_KVM. */
enum status doctor_run(void);

/* Prints PROBE in plain words to OUT; the same result. */
enum status doctor_report(FILE *out, bool colour, const struct kvm_probe *probe);

#endif
