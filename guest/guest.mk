# guest.mk: the guest kernel and the lessons, which run on the bare (virtual) machine.
# guest/*.c, guest/*.S       -> build/guest/kernel.elf
# guest/lessons/NAME.{c,S}   -> build/guest/lessons/NAME.elf (a PVH kernel of its own)
# guest/lessons/NAME.rom.S   -> build/guest/lessons/NAME.rom (64 KiB, mapped below 4 GiB)

OBJCOPY ?= objcopy
say     ?= :

GUEST_SRC    := $(sort $(wildcard guest/*.c guest/*.S))
GUEST_OBJ    := $(GUEST_SRC:%=build/obj/%.o)
LESSON_ROMS  := $(patsubst guest/%.rom.S,build/guest/%.rom,$(wildcard guest/lessons/*.rom.S))
LESSON_SRC   := $(filter-out %.rom.S,$(wildcard guest/lessons/*.S guest/lessons/*.c))
LESSON_ELFS  := $(patsubst guest/%,build/guest/%.elf,$(basename $(LESSON_SRC)))
GUEST_TARGETS := build/guest/kernel.elf $(sort $(LESSON_ROMS) $(LESSON_ELFS))

# No red zone: an interrupt pushes below the stack pointer. General registers only: nothing
# enables the FPU. Frame pointers: the panic's backtrace, and the VMM's, follow them.
GUEST_FLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-pic -fno-pie -m64 -mgeneral-regs-only \
    -mno-red-zone -fcf-protection=none -fno-stack-protector -fno-asynchronous-unwind-tables \
    -fno-omit-frame-pointer -fno-optimize-sibling-calls -Iinclude \
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes \
    $(if $(filter 0,$(WERROR)),,-Werror)
GUEST_LINK := -nostdlib -static -m64 -Wl,--build-id=none -Wl,-z,noexecstack \
    -Wl,-z,max-page-size=4096 $(if $(filter 0,$(WERROR)),,-Wl,--fatal-warnings)

build/obj/guest/%.o: guest/% guest/guest.mk
	@$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_FLAGS) -MMD -MP -c $< -o $@

build/guest/kernel.elf: $(GUEST_OBJ) guest/kernel.ld
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_LINK) -Wl,-T,guest/kernel.ld $(GUEST_OBJ) -o $@

define LESSON_LINK
	@$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_LINK) -Wl,-T,guest/lessons/$(1).ld $< -o $(2)
endef

build/guest/lessons/%.elf: build/obj/guest/lessons/%.c.o guest/lessons/elf.ld
	$(call LESSON_LINK,elf,$@)

build/guest/lessons/%.elf: build/obj/guest/lessons/%.S.o guest/lessons/elf.ld
	$(call LESSON_LINK,elf,$@)

build/guest/lessons/%.rom: build/obj/guest/lessons/%.rom.S.o guest/lessons/rom.ld
	$(call LESSON_LINK,rom,$(<:.o=.elf))
	$(Q)$(OBJCOPY) -O binary $(<:.o=.elf) $@

.SECONDARY: $(LESSON_SRC:%=build/obj/%.o) $(LESSON_ROMS:build/guest/%.rom=build/obj/guest/%.rom.S.o)

-include $(GUEST_OBJ:.o=.d) $(LESSON_SRC:%=build/obj/%.d) \
    $(LESSON_ROMS:build/guest/%.rom=build/obj/guest/%.rom.S.d)
