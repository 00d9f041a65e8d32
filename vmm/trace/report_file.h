/*
 * report_file.h: `kvmlens report FILE`: a trace that was written before (format=jsonl), in any form.
 */
#ifndef KVMLENS_TRACE_REPORT_FILE_H
#define KVMLENS_TRACE_REPORT_FILE_H

#include "../status.h"

/* ARGV[0] is "report". Prints to stdout and to the files named in ARGV; errors, and what is missing
 * in a trace, to stderr. */
enum status report_file_run(int argc, char **argv);

#endif
