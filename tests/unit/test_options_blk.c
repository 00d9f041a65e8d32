/*
 * test_options_blk.c: -drive, -hda, -hdb and -device virtio-blk-device: what they set, and what each
 * mistake is told.
 */
#include "command_line.h"
#include "options_internal.h"

static const struct device_options *drives(const char *line)
{
    static struct options options;
    char whole[512];

    snprintf(whole, sizeof(whole), "-bios r %s", line);
    options = parsed(whole);
    return &options.devices;
}

static void refused(const char *line, const char *words)
{
    char whole[512];

    snprintf(whole, sizeof(whole), "-bios r %s", line);
    assert_refused(whole, words);
}

static void a_drive_and_its_device_in_either_order(void **state)
{
    const struct device_options *d;

    (void)state;
    d = drives("-drive file=a,,b,format=raw,if=none,id=d -device virtio-blk-device,drive=d");
    assert_int_equal(d->drive_count, 1);
    assert_int_equal(d->virtio_count, 1);
    assert_string_equal(d->drive[0].file, "a,b");
    assert_string_equal(d->drive[0].id, "d");
    assert_int_equal(d->drive[0].cache, CACHE_WRITEBACK);
    assert_true(d->drive[0].locking && d->drive[0].taken);
    assert_false(d->drive[0].readonly || d->drive[0].discard);
    assert_int_equal(d->virtio[0].kind, VIRTIO_BLK);
    assert_int_equal(d->virtio[0].blk.drive, 0);
    assert_null(d->virtio[0].blk.serial);
    assert_false(d->virtio[0].blk.fixed_cache);

    d = drives("-device virtio-blk-device,drive=two,serial=S1,config-wce=off,num-queues=1,id=x "
               "-drive id=one,file=a -drive id=two,file=b");
    assert_int_equal(d->virtio[0].blk.drive, 1);
    assert_string_equal(d->virtio[0].blk.serial, "S1");
    assert_true(d->virtio[0].blk.fixed_cache);
    assert_false(d->drive[0].taken);
}

static void every_property_of_a_drive(void **state)
{
    const struct drive_option *drive;

    (void)state;
    drive = drives("-drive file=a,id=d,readonly=on,cache=none,discard=unmap,file.locking=off,"
                   "aio=threads,media=disk,werror=report,rerror=report,snapshot=off")
                ->drive;
    assert_true(drive->readonly && drive->discard && !drive->locking);
    assert_int_equal(drive->cache, CACHE_NONE);
    drive =
        drives("-drive file=a,id=d,read-only=yes,cache=writethrough,discard=ignore,locking=auto")
            ->drive;
    assert_true(drive->readonly && !drive->discard && drive->locking);
    assert_int_equal(drive->cache, CACHE_WRITETHROUGH);
    drive = drives("-drive file=a,id=d,cache=unsafe,discard=on,locking=off,driver=raw")->drive;
    assert_true(drive->discard && !drive->locking);
    assert_int_equal(drive->cache, CACHE_UNSAFE);
    assert_int_equal(drives("-drive file=a,id=d,cache=writeback,discard=off")->drive->cache,
                     CACHE_WRITEBACK);
}

static void shorthands_bring_their_device(void **state)
{
    const struct device_options *d;

    (void)state;
    d = drives("-hdb b -drive file=c,if=virtio,readonly=on -hda a,b=c -drive "
               "file=d,if=virtio,id=mine -drive if=virtio,file=e");
    assert_int_equal(d->drive_count, 5);
    assert_int_equal(d->virtio_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(d->virtio[i].kind, VIRTIO_BLK);
        assert_int_equal(d->virtio[i].blk.drive, i);
        assert_true(d->drive[i].taken && d->drive[i].locking);
    }
    assert_string_equal(d->drive[0].id, "hdb");
    assert_string_equal(d->drive[1].id, "virtio0");
    assert_true(d->drive[1].readonly && !d->drive[2].readonly);
    assert_string_equal(d->drive[2].file, "a,b=c");
    assert_string_equal(d->drive[3].id, "mine");
    assert_string_equal(d->drive[4].id, "virtio1");
    assert_string_equal(d->virtio[4].name, "virtio-blk4");
}

static void mistakes_are_told(void **state)
{
    (void)state;
    refused("-drive id=d", "the image is missing");
    refused("-drive file=,id=d", "the file name is empty");
    refused("-drive file=a", "id=ID is missing");
    refused("-drive file=a,id=", "the id is empty");
    refused("-drive file=a,id=d,format=qcow2", "qemu-img convert");
    refused("-drive file=a,id=d,if=ide", "if=none and if=virtio");
    refused("-drive file=a,id=d,cache=writeback,cache=writetrough", "did you mean writethrough");
    refused("-drive file=a,id=d,cache=directsync", "cache is writeback");
    refused("-drive file=a,id=d,discard=maybe", "discard is unmap");
    refused("-drive file=a,id=d,readonly=2", "readonly is on or off");
    refused("-drive file=a,id=d,locking=2", "locking is on or off");
    refused("-drive file=a,id=d,aio=io_uring", "aio=threads");
    refused("-drive file=a,id=d,media=cdrom", "media=disk is what kvmlens has");
    refused("-drive file=a,id=d,snapshot=on", "snapshot=off is what kvmlens has");
    refused("-drive file=a,id=d,index=1", "QEMU has the property index");
    refused("-drive file=a,id=d,raedonly=on", "did you mean readonly");
    refused("-drive file=a,id=d -drive file=b,id=d", "there are two drives 'd'");
    refused("-hda a -hda b", "there are two drives 'hda'");
    refused("-hda ", "the file name is empty");
    refused("-device virtio-blk-device", "virtio-blk-device: drive=ID is missing");
    refused("-device virtio-blk-device,drive=disk1 -drive file=a,id=disk0", "did you mean disk0");
    refused("-device virtio-blk-device,drive=x", "there is no -drive with id='x'");
    refused("-device virtio-blk-device,drive=d -device virtio-blk-device,drive=d -drive "
            "id=d,file=f",
            "the drive 'd' has a device already");
    refused("-hda a -device virtio-blk-device,drive=hda", "has a device already");
    refused("-device virtio-blk-device,serial=123456789012345678901,drive=d", "at most 20 fit");
    refused("-device virtio-blk-device,num-queues=2,drive=d", "num-queues=1");
    refused("-device virtio-blk-device,config-wce=x,drive=d", "config-wce is on or off");
    refused("-device virtio-blk-pci,drive=d", "virtio-blk-device");
}

static void there_are_so_many_drives_and_slots(void **state)
{
    char line[512] = "";

    (void)state;
    for (unsigned i = 0; i < DRIVES_MAX; i++)
        strcat(line, i ? " -drive if=virtio,file=a" : "-drive if=virtio,file=a");
    assert_int_equal(drives(line)->virtio_count, 8);
    strcat(line, " -drive file=b,id=b");
    refused(line, "8 drives at most");
}

static void help_is_asked_for(void **state)
{
    struct options options;
    struct error err;

    (void)state;
    assert_int_equal(parse_line("-drive help", &options, &err), 0);
    assert_int_equal(options.mode, MODE_HELP);
    assert_string_equal(options.help_topic, "drive");
    assert_int_equal(parse_line("-device virtio-blk-device,help", &options, &err), 0);
    assert_string_equal(options.help_topic, "virtio-blk-device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drive_and_its_device_in_either_order),
        cmocka_unit_test(every_property_of_a_drive),
        cmocka_unit_test(shorthands_bring_their_device),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(there_are_so_many_drives_and_slots),
        cmocka_unit_test(help_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
