/*
 * diagnose.h: why a guest died, in one sentence.
 */
#ifndef KVMLENS_DIAGNOSE_H
#define KVMLENS_DIAGNOSE_H

#include "postmortem.h"

#include <stddef.h>

#define DIAGNOSIS_MAX 640 /* bytes, enough for any sentence */

/* Where what a software KVM cannot do is done; the end of a sentence, of which this is the subject. */
#define A_BETTER_KVM "a KVM with VMX or SVM (`scripts/with-kvm --nested COMMAND` has one)"

/* Writes the likely cause, one sentence for a person, to TEXT (SIZE bytes). Says so if it does not
 * know. */
void diagnose(const struct postmortem *dead, char *text, size_t size);

/* True if the registers are not those of the crash: KVM resets a vCPU on AMD at a triple fault,
 * because the processor leaves its state undefined (AMD APM vol. 2, section 15.14.3). */
bool registers_are_lost(const struct postmortem *dead);

#endif
