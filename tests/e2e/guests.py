"""Guests of a few instructions in each mode of the processor, assembled here.

Each ends through isa-debug-exit: with DONE where it got to its end, with the vector's number where
an exception came. Vectors 3 and 0x40 return, so that int3 and int n can be tried.
"""
import hashlib
import os
import subprocess
import tempfile

FOLDER, LINKER_SCRIPT = "build/tests/guests", "guest/lessons/elf.ld"
DONE = 0x60

START = """
        .section .note.pvh, "a", @note
        .long 4, 8, 18
        .asciz "Xen"
        .quad start
        .text
        .code32
        .globl start
start:  movl $stack, %esp
        lgdtl gdt_register
        ljmpl $0x08, $1f
1:      movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
"""

END = f"""
        movb ${DONE}, %al
report: outb %al, $0xf4
1:      hlt
        jmp 1b
        .balign 8
stubs:  .set vector, 0
        .rept 32
        .balign 8
        movb $vector, %al
        jmp report
        .set vector, vector + 1
        .endr
        .balign 8
gdt:    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_register:
        .word 31
        .long gdt, 0
idt_register:
        .word 0x41 * 16 - 1
        .long idt, 0
        .data
        .balign 4096
tables: .long second + 3, 0             # level 4; also a page directory of 32-bit paging
        .fill 1022, 4, 0
second: .long third + 3, 0              # level 3
        .fill 1022, 4, 0
third:  .set page, 0                    # level 2: 1 GiB in pages of 2 MiB
        .rept 512
        .quad page + 0x83
        .set page, page + 0x200000
        .endr
small:  .set page, 0                    # level 1 of 32-bit paging: 4 MiB in pages of 4 KiB
        .rept 1024
        .long page + 3
        .set page, page + 0x1000
        .endr
directory: .long small + 3
        .fill 1023, 4, 0
big:    .long 0x83                      # 4 MiB in one page
        .fill 1023, 4, 0
three:  .long third + 1, 0, 0, 0, 0, 0, 0, 0 # PAE
        .balign 4096
huge_top: .quad huge + 3
        .fill 511, 8, 0
huge:   .quad 0x83                      # 1 GiB in one page
        .fill 511, 8, 0
        .balign 64
buffer: .fill 1024, 1, 0
zero:   .skip 16
        .bss
        .balign 16
idt:    .skip 0x41 * 16
        .skip 4096
stack:
"""

# Gates of GATE bytes: an interrupt gate to STUBS + 8 * vector, or to RETURN for vectors 3 and 0x40.
GATES = """
        movl $stubs, %ebx
        movl $idt, %edi
        movl $32, %ecx
1:      call gate
        addl $8, %ebx
        loop 1b
        movl $idt + 3 * {size}, %edi
        movl $return, %ebx
        call gate
        movl $idt + 0x40 * {size}, %edi
        call gate
        {load} idt_register
        jmp body
gate:   movl %ebx, %eax
        movw %ax, (%{reg}di)
        movw ${code}, 2(%{reg}di)
        movw $0x8e00, 4(%{reg}di)
        shrl $16, %eax
        movw %ax, 6(%{reg}di)
        addl ${size}, %edi
        ret
return: {back}
body:
"""

PROTECTED = START + GATES.format(size=8, load="lidtl", reg="e", code=8, back="iretl") + "{body}" + END
LONG = START + """
        movl $tables, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $0x620, %eax                # PAE, OSFXSR, OSXMMEXCPT
        movl %eax, %cr4
        movl $0xc0000080, %ecx          # EFER.LME
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        andl $~4, %eax                  # EM
        orl $0x80000000, %eax
        movl %eax, %cr0
        ljmpl $0x18, $1f
        .code64
1:
""" + GATES.format(size=16, load="lidt", reg="r", code=0x18, back="iretq") + "{body}" + END
REAL = """
        .code16
        xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %ss
        movw $0x7000, %sp
        movw $0, %bx
1:      movw $report, (%bx)
        movw $0xf000, 2(%bx)
        addw $4, %bx
        cmpw $128, %bx
        jb 1b
        movw $return, 0x40 * 4
        movw $0xf000, 0x40 * 4 + 2
        movw $return, 3 * 4
        jmp body
return: iretw
report: movb $6, %al
        outb %al, $0xf4
body:   {body}
        movb ${done}, %al
        outb %al, $0xf4
        hlt
        .org 0xfff0
        .byte 0xe9
        .word 0x10000 - 0xfff3
        .org 0x10000
"""


def build(mode, code):
    """Assembles CODE for MODE (real, protected, long), or finds what an earlier run made of the same;
    returns the image's path."""
    template = {"real": REAL, "protected": PROTECTED, "long": LONG}[mode]
    text = template.replace("{body}", code).replace("{done}", str(DONE))
    suffix, bits, emulation, layout = ("rom", "--32", "elf_i386", ("-Ttext=0", "--oformat=binary", "-e", "0")) \
        if mode == "real" else ("elf", "--64", "elf_x86_64", ("-z", "max-page-size=4096", "-T", LINKER_SCRIPT))
    image = f"{FOLDER}/{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"
    if not os.path.exists(image):
        os.makedirs(FOLDER, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            subprocess.run(["as", bits, "-o", f"{folder}/object", "-"], input=text.encode(), check=True)
            subprocess.run(["ld", "-m", emulation, "-static", "-z", "noexecstack", *layout, "-o", f"{folder}/image",
                            f"{folder}/object"], check=True)
            os.rename(f"{folder}/image", image)
    return image
