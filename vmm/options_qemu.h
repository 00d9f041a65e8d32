/*
 * options_qemu.h: what QEMU's command line knows and kvmlens's does not, so that a message can
 * tell "not here" from "no such thing".  Source: qemu-system-x86_64 7.2, -help and its like;
 * qemu-options.hx, docs/about/removed-features.rst.
 */
#ifndef KVMLENS_OPTIONS_QEMU_H
#define KVMLENS_OPTIONS_QEMU_H

#include "suggest.h"

#include <stdbool.h>

/* Options that kvmlens lacks for one reason. */
struct qemu_absent {
    const char *why;   /* a sentence */
    const char *names; /* for qemu_next_option() */
};

extern const struct qemu_absent qemu_absent_options[]; /* ends with a NULL why */

enum qemu_version { QEMU_7_2, QEMU_EARLIER, QEMU_LATER };

/* An option of QEMU's. */
struct qemu_option {
    char name[24]; /* without dashes */
    bool argument; /* it takes one */
    enum qemu_version version;
};

/* Takes the next option off *NAMES; false at the end. */
bool qemu_next_option(const char **names, struct qemu_option *option);

/* Why kvmlens lacks QEMU's option NAME: a sentence. NULL: QEMU has no such option, or kvmlens has it
 * too. *OPTION (may be NULL) is filled in. */
const char *qemu_option_why(const char *name, struct qemu_option *option);

bool qemu_has_machine(const char *name);
bool qemu_has_accelerator(const char *name);
bool qemu_has_cpu_model(const char *name);
bool qemu_has_cpu_property(const char *name);
bool qemu_has_device(const char *name);
bool qemu_has_chardev(const char *name);

/* Offers every device of QEMU's (see suggest.h). */
void qemu_suggest_device(struct suggestion *suggestion);

#endif
