/* The assembler takes the files in as they are; paths are relative to the root of the tree, where make runs. */
#include "plugin/demo/page.h"

extern const char page_html_end[];

__asm__(".pushsection .rodata\n"
        ".global page_html\n"
        ".hidden page_html\n"
        "page_html:\n"
        ".incbin \"plugin/page/head.html\"\n"
        ".incbin \"plugin/page/page.css\"\n"
        ".incbin \"plugin/demo/page.html\"\n"
        ".incbin \"plugin/page/chart.js\"\n"
        ".incbin \"plugin/demo/page.js\"\n"
        ".ascii \"</script>\\n</body>\\n</html>\\n\"\n"
        ".global page_html_end\n"
        ".hidden page_html_end\n"
        "page_html_end:\n"
        ".byte 0\n"
        ".popsection\n");

size_t page_html_bytes(void)
{
    return (size_t)(page_html_end - page_html);
}
