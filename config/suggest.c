/* Did-you-mean: optimal string alignment distance (insert, delete, replace, swap neighbours), letters of any case. */
#include <ctype.h>
#include <string.h>

#include "config/config.h"

enum { LONGEST_WORD = 64 };

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static int same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int distance(const char *a, int n_a, const char *b, int n_b)
{
    int row[3][LONGEST_WORD + 1]; /* rows i-2, i-1 and i of the usual table, taken in turn */
    for (int j = 0; j <= n_b; j++) row[0][j] = j;
    for (int i = 1; i <= n_a; i++) {
        int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int cost = !same_letter(a[i - 1], b[j - 1]);
            now[j] = min_int(min_int(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
                now[j] = min_int(now[j], before[j - 2] + 1);
        }
    }
    return row[n_a % 3][n_b];
}

const char *suggest(const char *word, const char *const *known)
{
    size_t len = strlen(word);
    if (len == 0 || len > LONGEST_WORD) return NULL;
    int best = len < 3 ? 2 : (int)len / 3 + 1; /* one more than is allowed */
    const char *nearest = NULL;
    for (int i = 0; known && known[i]; i++) {
        size_t n = strlen(known[i]);
        if (n > LONGEST_WORD) continue;
        int d = distance(word, (int)len, known[i], (int)n);
        if (d < best) {
            best = d;
            nearest = known[i];
        }
    }
    return nearest;
}
