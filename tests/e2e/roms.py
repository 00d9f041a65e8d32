"""ROMs of a few bytes of real-mode code, for what no well-behaved guest does."""

SIZE = 0x10000


def rom(path, code, size=SIZE):
    """Writes a ROM that jumps from the reset vector to CODE at its start."""
    image = bytearray(b"\x90" * size)
    image[0:len(code)] = code
    # jmp near to the start of the segment's 64 KiB: from offset 0xfff0, behind 3 bytes, to 0
    image[size - 16:size - 13] = b"\xe9" + (0x10000 - 0xfff3).to_bytes(2, "little")
    with open(path, "wb") as file:
        file.write(image)
    return path


LOOP = b"\xeb\xfe"  # jmp .
HALT = b"\xfa\xf4\xeb\xfc"  # cli; hlt; again
RESET = b"\xb0\xfe\xe6\x64\xeb\xfe"  # mov al, 0xfe; out 0x64, al; jmp .
# Protected mode with an empty IDT (RAM is zero), then a division by zero.
TRIPLE = b"\x0f\x20\xc0\x0c\x01\x0f\x22\xc0\x31\xc9\xf7\xf1"
UD2 = b"\x0f\x0b"
