/*
 * disk.h: a disk image or block device of the host (-drive), with a pool of threads that read and
 * write it straight from and to the guest's pages.
 *
 * What the guest was told is flushed is on the disk: once an fdatasync() has failed, the kernel may
 * have dropped what it could not write, so that flush and all later ones fail.
 */
#ifndef KVMLENS_DISK_H
#define KVMLENS_DISK_H

#include "../block.h"
#include "../error.h"
#include "../options_devices.h"

#include <pthread.h>

struct disk;

/* Opens and locks DRIVE's file. -1 with *err (STATUS_IMAGE): it is missing, empty, no disk, locked
 * by somebody else, ... Close with disk_close(). */
int disk_open(struct disk **disk, const struct drive_option *drive, struct error *err);

/* The disk is not connected (any more). NULL is fine. */
void disk_close(struct disk *disk);

struct block_info disk_info(const struct disk *disk);

/* Connects the disk to its device, whose lock is DEVICE_LOCK, and starts the first thread. Called by
 * the thread that runs the event loop. 0, or -errno: no thread. */
int disk_connect(struct disk *disk, pthread_mutex_t *device_lock, struct block_client client,
                 struct block_backend *backend);

/* Ends the threads. Nothing is in flight (drain() saw to it), the device lock is not held. */
void disk_disconnect(struct disk *disk);

#endif
