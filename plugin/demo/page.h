/* The report's page, page.html, as bytes of the program.  PAGE_DATA marks where the JSON document goes. */
#ifndef PLUGIN_DEMO_PAGE_H
#define PLUGIN_DEMO_PAGE_H

#include <stddef.h>

#define PAGE_DATA "@DATA@"

extern const char page_html[];
size_t page_html_bytes(void);

#endif
