/*
 * files.h: the files of a command line, and which of them would spoil each other.
 */
#ifndef KVMLENS_FILES_H
#define KVMLENS_FILES_H

#include "error.h"
#include "options.h"

/* -1 with *err (STATUS_USAGE) if a trace, a character device or a dump would overwrite a file that is
 * something else of this guest's as well, under whatever name. Before any of them is opened. */
int files_check(const struct options *options, struct error *err);

#endif
