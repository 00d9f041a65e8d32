/*
 * tracefs_library.c: libtracefs and libtraceevent (https://www.trace-cmd.org), loaded only where
 * they are used: start-up time is dear.
 */
#include "tracefs_internal.h"

#include <dlfcn.h>
#include <string.h>

#define TRACEFS_LIBRARY    "libtracefs.so.1"
#define TRACEEVENT_LIBRARY "libtraceevent.so.1"

struct wanted {
    const char *name;
    size_t offset; /* in struct tracefs_functions */
};

#define X(name) {#name, offsetof(struct tracefs_functions, name)},
static const struct wanted of_tracefs[] = {TRACEFS_FUNCTIONS(X)};
static const struct wanted of_traceevent[] = {TRACEEVENT_FUNCTIONS(X)};
#undef X

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The library stays loaded until the process ends. */
static bool load(struct tracefs_functions *call, const char *library, const struct wanted *wanted,
                 size_t count)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; handle && i < count; i++) {
        void *symbol = dlsym(handle, wanted[i].name);

        if (!symbol)
            return false;
        memcpy((char *)call + wanted[i].offset, &symbol, sizeof(symbol));
    }
    return handle != NULL;
}

int tracefs_load(struct tracefs_functions *call, struct error *err)
{
    if (load(call, TRACEEVENT_LIBRARY, of_traceevent, COUNT(of_traceevent)) &&
        load(call, TRACEFS_LIBRARY, of_tracefs, COUNT(of_tracefs))) {
        /* What they cannot parse they would print to the guest's terminal. */
        call->tep_set_loglevel(TEP_LOG_NONE);
        call->tracefs_set_loglevel(TEP_LOG_NONE);
        return 0;
    }
    return error_set(err, STATUS_INTERNAL,
                     "the kernel's events need libtracefs (Debian: libtracefs1, Fedora and Arch: "
                     "libtracefs): %s",
                     dlerror());
}
