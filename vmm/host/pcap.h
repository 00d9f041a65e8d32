/*
 * pcap.h: frames as a file that Wireshark, tshark and tcpdump read (-object filter-dump).
 */
#ifndef KVMLENS_PCAP_H
#define KVMLENS_PCAP_H

#include "../error.h"
#include "../options.h"

#include <sys/uio.h>

struct pcap;

/* Makes OPTION->file anew. -1 with *err (STATUS_USAGE) if it cannot be written. OPTION is borrowed. */
int pcap_open(struct pcap **out, const struct dump_option *option, struct error *err);
void pcap_close(struct pcap *pcap);

/* Adds the frame that IOV's COUNT parts make, without its first SKIP bytes, dated now. It is in the
 * file when this returns. An error ends the dump with a message, after the last whole frame. */
void pcap_write(struct pcap *pcap, const struct iovec *iov, unsigned count, size_t skip);

#endif
