/* The assembler takes the files in as they are; paths are relative to the root of the tree, where make runs. */
#include "plugin/backtest_private.h"

extern const char backtest_html_end[];

__asm__(".pushsection .rodata\n"
        ".global backtest_html\n"
        ".hidden backtest_html\n"
        "backtest_html:\n"
        ".incbin \"plugin/page/head.html\"\n"
        ".incbin \"plugin/page/page.css\"\n"
        ".incbin \"plugin/page/backtest.css\"\n"
        ".incbin \"plugin/page/backtest.html\"\n"
        ".incbin \"plugin/page/chart.js\"\n"
        ".incbin \"plugin/page/curves.js\"\n"
        ".incbin \"plugin/page/backtest.js\"\n"
        ".ascii \"</script>\\n</body>\\n</html>\\n\"\n"
        ".global backtest_html_end\n"
        ".hidden backtest_html_end\n"
        "backtest_html_end:\n"
        ".byte 0\n"
        ".popsection\n");

size_t backtest_html_bytes(void)
{
    return (size_t)(backtest_html_end - backtest_html);
}
