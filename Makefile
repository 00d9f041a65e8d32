# kvmlens: how everything is built, run and tested.  `make help` lists the targets.
# All that is built lands under build/.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Parallel unless the caller chose: the shell's parent is make, and its command line says.
ifeq ($(findstring jobserver,$(MAKEFLAGS)),)
ifeq ($(shell tr '\0' '\n' </proc/$$PPID/cmdline 2>/dev/null | grep -E '^(-[a-zA-Z]*j[0-9]*|--jobs.*)$$'),)
MAKEFLAGS += -j$(shell nproc)
endif
endif

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
WERROR  ?= 1
V       ?= 0
CLANG   ?= clang
ifeq ($(origin CC),default)
CC := gcc
endif

ifeq ($(V),1)
Q :=
say = :
else
Q := @
say = printf '  %-7s %s\n'
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes \
            -Wstrict-prototypes $(if $(filter 0,$(WERROR)),,-Werror)
CPPFLAGS_ALL := -Iinclude -D_GNU_SOURCE -DKVMLENS_VERSION='"$(VERSION)"' $(CPPFLAGS)
# The header of libtracefs looks for its neighbour's without the folder's name.
CPPFLAGS_ALL += -idirafter /usr/include/traceevent
CFLAGS_ALL := -std=gnu17 -g $(WARNINGS) -pthread
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

VMM_SRC  := $(sort $(wildcard vmm/*.c vmm/*/*.c))
# What the unit tests and fuzzers link: all but main() and the code that needs /dev/kvm.
KVM_SRC  := $(wildcard vmm/kvm/*.c)
CORE_SRC := $(filter-out vmm/main.c $(KVM_SRC),$(VMM_SRC))
FAKE_SRC := $(wildcard tests/unit/fake_kvm.c)

.PHONY: all run shell FORCE
all: build/kvmlens
FORCE:

# What is missing is installed before the first build (and test) on a machine.
build/.setup-%: scripts/setup.sh
	@scripts/setup.sh $*
	@mkdir -p $(@D) && touch $@

# libelf, libdw and libfdt are linked statically where their archives are installed, so that a run
# loads libc alone; the first line that links is taken. (Zydis is loaded when a trace wants it.)
build/.libs: Makefile | build/.setup-build
	@mkdir -p $(@D); \
	for libs in "-Wl,-Bstatic -ldw -lelf -lfdt -lz -Wl,-Bdynamic" \
	            "-Wl,-Bstatic -ldw -lelf -lfdt -lz -lzstd -Wl,-Bdynamic" "-ldw -lelf -lfdt"; do \
	    if printf '%s\n' '#include <elfutils/libdw.h>' '#include <libfdt.h>' 'int main(int argc, char **argv)' \
	        '{ return !dwarf_begin_elf(elf_memory(argv[0], 4), DWARF_C_READ, NULL) + fdt_check_header(argv) + argc; }' \
	        | $(CC) -x c - -o $@.probe $$libs 2>$@.log; then break; fi; \
	done; rm -f $@.probe; echo "$$libs" >$@

# $(call variant,NAME,COMPILER,FLAGS): vmm/ compiled once more, to build/NAME/.
# A change of compiler or flags rebuilds it.
define variant
$(1)_CC := $(2)
$(1)_FLAGS := $(3)
$(1)_CORE := $$(CORE_SRC:%.c=build/$(1)/%.o) $$(FAKE_SRC:%.c=build/$(1)/%.o)
build/$(1)/.flags: FORCE | build/.setup-build
	@mkdir -p $$(@D); { $(2) --version | head -n 1; \
	echo '$$(subst ','\'',$(3) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(CFLAGS) $(LDFLAGS))'; } >$$@.$$$$$$$$; \
	if cmp -s $$@.$$$$$$$$ $$@; then rm $$@.$$$$$$$$; else mv $$@.$$$$$$$$ $$@; fi
build/$(1)/%.o: %.c build/$(1)/.flags
	@$$(say) CC $$@
	@mkdir -p $$(@D); rm -f $$(@:.o=.gcda)
	$$(Q)$(2) $$(CPPFLAGS_ALL) -Ivmm $$(CFLAGS_ALL) $(3) $$(CFLAGS) -MMD -MP -c $$< -o $$@
# The page of the trace is put into this one.
build/$(1)/vmm/trace/html_page.o: $(wildcard vmm/trace/page/*)
# An archive, so that a test takes from vmm/ what it uses.
build/$(1)/libcore.a: $$($(1)_CORE)
	@$$(say) AR $$@
	$$(Q)rm -f $$@ && ar qcs $$@ $$^
build/$(1)/kvmlens: $$(VMM_SRC:%.c=build/$(1)/%.o) build/.libs
	@$$(say) LINK $$@
	$$(Q)$(2) $(3) $$(CFLAGS) $$(LDFLAGS) -pthread -Wl,-z,relro,-z,now,--as-needed $$(filter %.o,$$^) $$$$(cat build/.libs) -o $$@
-include $$(patsubst %.c,build/$(1)/%.d,$$(VMM_SRC) $$(wildcard tests/*/*.c))
endef

$(eval $(call variant,obj,$(CC),-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2))
# The checked build also counts the lines it runs, so that tests run once for both.
$(eval $(call variant,asan,$(CC),-O1 $(SANITIZE) --coverage -fprofile-update=atomic))
$(eval $(call variant,tsan,$(CC),-O1 -fsanitize=thread))
$(eval $(call variant,fuzz,$(CLANG),-O1 $(SANITIZE) -fsanitize=fuzzer-no-link))

build/kvmlens: build/obj/kvmlens
	$(Q)ln -f $< $@

include guest/guest.mk
all: $(GUEST_TARGETS)
# Named here, the objects are kept; they follow the compiler and flags as those of vmm/ do.
$(sort $(GUEST_OBJ) $(LESSON_SRC:%=build/obj/%.o) $(LESSON_ROMS:build/guest/%.rom=build/obj/guest/%.rom.S.o)): \
    build/obj/.flags

include tests/tests.mk

#: make              build kvmlens and the guests (all)
#: make run          build, boot the toy guest, show what it says beside each exit it causes
run: all
	@scripts/run.sh

#: make shell        the toy guest's shell (Ctrl-A x quits)
shell: all
	@scripts/run.sh shell

.PHONY: install uninstall clean help
INSTALLED = $(DESTDIR)$(PREFIX)/bin/kvmlens $(DESTDIR)$(PREFIX)/share/man/man1/kvmlens.1
#: make install      into $(DESTDIR)$(PREFIX), by default /usr/local; make uninstall takes it away
install: build/kvmlens
	install -D -m 755 build/kvmlens $(DESTDIR)$(PREFIX)/bin/kvmlens
	install -D -m 644 docs/kvmlens.1 $(DESTDIR)$(PREFIX)/share/man/man1/kvmlens.1

uninstall:
	rm -f $(INSTALLED)

#: make clean        remove build/
clean:
	rm -rf build

help:
	@sed -n 's/^#: //p' Makefile tests/tests.mk
	@echo
	@echo "V=1 shows the commands, WERROR=0 lets warnings pass, CC and CLANG name the compilers."
