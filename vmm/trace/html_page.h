/*
 * html_page.h: the page that html.c writes: the files of vmm/trace/page/, part of the program.
 */
#ifndef KVMLENS_TRACE_HTML_PAGE_H
#define KVMLENS_TRACE_HTML_PAGE_H

/* Each begins at its name and ends before NAME_end. The page has the words STYLE_MARK and
 * SCRIPT_MARK where style and script belong; the data come behind it. */
#define HTML_STYLE_MARK  "/* style */"
#define HTML_SCRIPT_MARK "/* script */"

extern const char html_page[], html_page_end[];
extern const char html_style[], html_style_end[];
extern const char html_script[], html_script_end[];

#endif
