# How the tests are built and run.  Each unit test is one cmocka program, tests/unit/test_NAME.c,
# linked with what it uses of vmm/ under ASan and UBSan; the fake KVM stands in for vmm/kvm/.

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT     := $(UNIT_SRC:tests/%.c=build/tests/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ     := $(FUZZ_SRC:tests/%.c=build/tests/%)
FUZZ_SECONDS ?= 30

.PHONY: check check-browser check-nested check-unit check-kvm check-qemu asan unit fuzzers fuzz bench lint coverage docs \
        clang-warnings

$(UNIT): build/tests/%: build/asan/tests/%.o build/asan/libcore.a build/.libs | build/.setup-test
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(asan_FLAGS) -pthread $(filter %.o,$^) build/asan/libcore.a -lcmocka $$(cat build/.libs) -o $@
unit: $(UNIT)

$(FUZZ): build/tests/%: build/fuzz/tests/%.o build/fuzz/libcore.a build/.libs | build/.setup-test
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -pthread $(filter %.o,$^) build/fuzz/libcore.a $$(cat build/.libs) -o $@
fuzzers: $(FUZZ)

# The guest's network stack above its driver needs no machine.
GUEST_NET := $(patsubst %,guest/%.o,ether arp ip icmp udp dhcp tcp)
$(filter build/tests/unit/test_guest_%,$(UNIT)): $(GUEST_NET:%=build/asan/%)
build/tests/fuzz/fuzz_guest_net: $(GUEST_NET:%=build/fuzz/%)
-include $(patsubst %.o,build/asan/%.d,$(GUEST_NET)) $(patsubst %.o,build/fuzz/%.d,$(GUEST_NET))

asan: build/asan/kvmlens

# The tests that start threads.
THREADED := \
    chardev_drain \
    disk \
    disk_flush \
    disk_open \
    exit \
    host \
    loop \
    remarks \
    ring \
    trace \
    trace_order \
    virtq_race \
    vm
THREADED := $(THREADED:%=build/tests/tsan/test_%)
$(THREADED): build/tests/tsan/%: build/tsan/tests/unit/%.o build/tsan/libcore.a build/.libs | build/.setup-test
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(tsan_FLAGS) -pthread $< build/tsan/libcore.a -lcmocka $$(cat build/.libs) -o $@
.PHONY: tsan
tsan: all build/tsan/kvmlens $(THREADED)
	tests/run tsan

#: make check        all tests: lint, unit, on /dev/kvm, on QEMU, fuzz corpora, coverage
check: all asan build/tsan/kvmlens $(THREADED) $(UNIT) $(FUZZ) | build/.setup-test
	tests/run lint unit cli kvm asan tsan qemu qemu-kvm compare fuzz coverage

#: make check-unit   the unit tests, under ASan and UBSan
check-unit: $(UNIT)
	tests/run unit

#: make check-kvm    the guests and the command line on /dev/kvm
check-kvm: all | build/.setup-test
	tests/run cli kvm

#: make check-qemu   the same guests on QEMU's emulator, and on QEMU with KVM
check-qemu: all | build/.setup-test
	tests/run qemu qemu-kvm

#: make check-nested  the guests and the command line on the KVM of an emulated AMD processor
check-nested: all | build/.setup-test build/.setup-nested
	tests/run with-kvm nested

# Made-up events, through the html sink.
build/tests/browser/generate: build/obj/tests/browser/generate.o build/obj/libcore.a build/.libs
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $< build/obj/libcore.a $$(cat build/.libs) -o $@

#: make check-browser  the page of the trace, in headless Chromium; screenshots land in build/browser/
check-browser: all build/tests/browser/generate | build/.setup-browser
	tests/run browser

#: make lint         layout, warnings, sizes, dependency rules, scripts, documents
lint: all | build/.setup-test
	tests/run lint

#: make coverage     line coverage of vmm/ by the unit tests and the sanitized runs on /dev/kvm
coverage: all asan $(UNIT) | build/.setup-test
	tests/run unit asan coverage

#: make asan         build/asan/kvmlens, with the sanitizers
#: make tsan         the tests that start threads, and the guests on /dev/kvm, under ThreadSanitizer

#: make fuzz         look for new inputs, FUZZ_SECONDS (30) for each fuzzer
fuzz: $(FUZZ)
	@for fuzzer in $(FUZZ); do \
	    name=$${fuzzer##*/fuzz_}; mkdir -p build/fuzz/found/$$name tests/fuzz/corpus/$$name; \
	    (cd build/fuzz && ../../$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	        found/$$name ../../tests/fuzz/corpus/$$name) || exit 1; \
	done

# The second compiler reads every source with the same warnings.
clang-warnings: | build/.setup-test
	@status=0; for source in $(VMM_SRC) $(wildcard tests/*/*.c); do \
	    $(CLANG) $(CPPFLAGS_ALL) -Ivmm $(CFLAGS_ALL) -fsyntax-only $$source || status=1; \
	done; exit $$status

#: make bench        the figures, as ratios measured in one run (STRICT=1: a miss is an error)
BENCH := build/tests/bench
$(BENCH)/%: tests/bench/%.c | build/.setup-build
	@$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 $(WARNINGS) $< -o $@
$(BENCH)/%.rom: tests/bench/%.S tests/bench/rom.ld | build/.setup-build
	@$(say) ROM $@
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -nostdlib -no-pie -Wl,--build-id=none,--oformat=binary,-T,tests/bench/rom.ld $< -o $@
$(BENCH)/trace_path: build/obj/tests/bench/trace_path.o build/obj/libcore.a build/.libs
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(obj_FLAGS) -pthread $(filter %.o %.a,$^) $$(cat build/.libs) -o $@
bench: all $(BENCH)/floor $(BENCH)/measure $(BENCH)/trace_path build/tests/browser/generate \
       $(patsubst tests/bench/%.S,$(BENCH)/%.rom,$(wildcard tests/bench/*.S)) | build/.setup-test
	tests/bench/bench $(if $(filter 1,$(STRICT)),--strict)
	tests/bench/compare $(if $(filter 1,$(STRICT)),--strict)
	tests/bench/virtio $(if $(filter 1,$(STRICT)),--strict)

#: make docs         refresh docs/machine.md, docs/exits.md, docs/registers.md, docs/qemu.md and the output shown in README.md, docs/tour.md and others
docs: all
	scripts/machine-doc.sh
	scripts/tables-doc.sh
	scripts/readme-refresh.sh

#: make comparison   docs/comparison.md anew: four workloads in kvmlens and QEMU (as root, a few minutes)
.PHONY: comparison
comparison: all | build/.setup-test
	scripts/comparison-doc
