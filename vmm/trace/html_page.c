/*
 * html_page.c: the files of the page, put into the program as they are. They lie in pages of their
 * own, which a run that makes no page never reads.
 */
#include "html_page.h"

#define FILE_OF(name) ".incbin \"vmm/trace/page/" name "\"\n"
#define BYTES(symbol, files)                                                                       \
    __asm__(".pushsection .rodata.html_page, \"a\", @progbits\n"                                   \
            ".balign 4096\n"                                                                       \
            ".global " #symbol ", " #symbol "_end\n" #symbol ":\n" files #symbol "_end:\n"         \
            ".popsection\n")

BYTES(html_page, FILE_OF("page.html"));
BYTES(html_style, FILE_OF("page.css"));
BYTES(html_script,
      FILE_OF("data.js") FILE_OF("format.js") FILE_OF("filter.js") FILE_OF("timeline.js")
          FILE_OF("timeline_draw.js") FILE_OF("views.js") FILE_OF("flame.js") FILE_OF("list.js")
              FILE_OF("inspector.js") FILE_OF("page.js"));
