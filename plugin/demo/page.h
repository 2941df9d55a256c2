/* The report's page as bytes of the program: what it shares with other pages (plugin/page) around page.html and page.js.
 *  PAGE_DATA marks where the JSON document goes. */
#ifndef PLUGIN_DEMO_PAGE_H
#define PLUGIN_DEMO_PAGE_H

#include <stddef.h>

#define PAGE_DATA "@DATA@"

extern const char page_html[];
size_t page_html_bytes(void);

#endif
