/*
 * options_qemu.h: what QEMU's command line knows and kvmlens's does not, so that a message can
 * tell "not here" from "no such thing".  Source: qemu-system-x86_64 7.2, -help and its like.
 */
#ifndef KVMLENS_OPTIONS_QEMU_H
#define KVMLENS_OPTIONS_QEMU_H

#include "suggest.h"

#include <stdbool.h>

/* What an option of QEMU's (without its dashes) is about, as in "kvmlens has no WHAT"; "" if there
 * is no word for it; NULL if QEMU has no such option. */
const char *qemu_option_about(const char *name);

bool qemu_has_machine(const char *name);
bool qemu_has_accelerator(const char *name);
bool qemu_has_cpu_model(const char *name);
bool qemu_has_cpu_property(const char *name);
bool qemu_has_device(const char *name);
bool qemu_has_chardev(const char *name);

/* Offers every device of QEMU's (see suggest.h). */
void qemu_suggest_device(struct suggestion *suggestion);

#endif
