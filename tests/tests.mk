# How the tests are built and run.  Each unit test is one cmocka program, tests/unit/test_NAME.c,
# linked with what it uses of vmm/ under ASan and UBSan; the fake KVM stands in for vmm/kvm/.

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT     := $(UNIT_SRC:tests/%.c=build/tests/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ     := $(FUZZ_SRC:tests/%.c=build/tests/%)

.PHONY: check check-unit check-kvm check-qemu asan fuzz lint bench docs coverage unit

$(UNIT): build/tests/%: build/asan/tests/%.o build/asan/libcore.a build/.libs | build/.setup-test
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -pthread $< build/asan/libcore.a -lcmocka $$(cat build/.libs) -o $@
unit: $(UNIT)

$(FUZZ): build/tests/%: build/fuzz/tests/%.o build/fuzz/libcore.a build/.libs | build/.setup-test
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -pthread $< build/fuzz/libcore.a $$(cat build/.libs) -o $@

asan: build/asan/kvmlens

check-unit: $(UNIT)
	@status=0; for test in $(UNIT); do $$test || status=1; done; exit $$status
