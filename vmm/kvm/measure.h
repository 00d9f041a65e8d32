/*
 * measure.h: what a VM exit costs, and how fast guest code runs, on this host's KVM.
 */
#ifndef KVMLENS_KVM_MEASURE_H
#define KVMLENS_KVM_MEASURE_H

#include "probe.h"

/* Runs a guest of one page on the open /dev/kvm KVM_FD and fills in *PROBE's run_... and the
 * figures. Uses SIGALRM meanwhile, to end a guest that does not come back. */
void kvm_measure(int kvm_fd, struct kvm_probe *probe);

#endif
