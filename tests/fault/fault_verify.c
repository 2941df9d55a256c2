/* The verifier of the fault tests: reads what a reader with read_committed sees, and compares it with what the same
 * input must give.
 *   fault_verify SERVERS input=T output=T reference=FILE [letters=T] [incidents=T incidents_reference=FILE]
 *                        [group=G] [once=1]
 * `reference` and `incidents_reference` are what `eddy replay --from earliest --output --incidents` makes of the input.
 * Every readable input has one output, in its own partition, under its key, in the order of the inputs, with the bytes
 * of the reference; every unreadable one has one dead letter with its own bytes; incidents are those of the reference;
 * the group's offset is the end of the input.  Without once=1 (guarantee at_least_once) repetitions are allowed when
 * they are byte-equal, and order counts for the first of them only.
 * Output  one line of figures, and up to 10 violations; exit status 1 when there is one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/lab.h"

enum { PARTITIONS_MAX = 64, SHOWN_MAX = 10 };

struct input {
    char *key, *payload; /* payload NULL = a tombstone */
    size_t key_len, len;
    char *reference; /* NULL = none */
    int n_outputs, n_letters;
};

struct partition {
    struct input *item;
    int64_t n, room, last; /* last: offset of the newest output that was not a repetition */
};

struct lines {
    char **item;
    size_t n, room;
};

struct verifier {
    const char *topic;
    bool once;
    struct partition partitions[PARTITIONS_MAX];
    long inputs, outputs, letters, incidents, repeated, violations;
    struct lines seen; /* incidents */
};

static void *grow(void *old, size_t size)
{
    void *grown = realloc(old, size);
    if (!grown) lab_die("verify: out of memory");
    return grown;
}

static char *copy(const void *bytes, size_t n)
{
    char *text = grow(NULL, n + 1);
    if (n > 0) memcpy(text, bytes, n);
    text[n] = '\0';
    return text;
}

static void violation(struct verifier *v, const char *what, int partition, int64_t offset, const char *text)
{
    char shown[160];
    if (v->violations++ >= SHOWN_MAX) return;
    (void)snprintf(shown, sizeof(shown), "%s", text);
    for (char *c = shown; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    printf("violation: %s at %s [%d] offset %" PRId64 ": %s\n", what, v->topic, partition, offset, shown);
}

static struct input *find(struct verifier *v, int partition, int64_t offset)
{
    if (partition < 0 || partition >= PARTITIONS_MAX) return NULL;
    struct partition *p = &v->partitions[partition];
    return offset >= 0 && offset < p->n ? &p->item[offset] : NULL;
}

static bool same(const char *a, size_t n_a, const void *b, size_t n_b)
{
    return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a) == 0);
}

static bool is_readable(const struct input *in)
{
    return in->payload && strncmp(in->payload, "{\"seq\":", 7) == 0;
}

/* ---- reading ---- */

static void take_input(void *context, const rd_kafka_message_t *m)
{
    struct verifier *v = context;
    if (m->partition >= PARTITIONS_MAX) lab_die("verify: more than %d partitions", PARTITIONS_MAX);
    struct partition *p = &v->partitions[m->partition];
    if (m->offset != p->n)
        lab_die("verify: %s [%d] has no offset %" PRId64, v->topic, (int)m->partition, (int64_t)p->n);
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 1024;
        p->item = grow(p->item, (size_t)p->room * sizeof(*p->item));
    }
    p->item[p->n++] = (struct input){.key = copy(m->key, m->key_len),
                                     .key_len = m->key_len,
                                     .payload = m->payload ? copy(m->payload, m->len) : NULL,
                                     .len = m->len};
    v->inputs++;
}

/* "src":{"topic":"..","partition":P,"offset":O}; no name or key of the lab holds such a text. */
static bool source_of(const char *text, int *partition, int64_t *offset)
{
    const char *at = strstr(text, "\"src\":{\"topic\":\"");
    if (at) at = strstr(at, "\",\"partition\":");
    return at && sscanf(at, "\",\"partition\":%d,\"offset\":%" SCNd64 "}", partition, offset) == 2;
}

static char *next_line(FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, f);
    if (n <= 0) {
        free(line);
        return NULL;
    }
    if (line[n - 1] == '\n') line[n - 1] = '\0';
    return line;
}

static void read_reference(struct verifier *v, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) lab_die("verify: cannot read %s", path);
    for (char *line; (line = next_line(f));) {
        int partition = -1;
        int64_t offset = -1;
        struct input *in = source_of(line, &partition, &offset) ? find(v, partition, offset) : NULL;
        if (!in || in->reference || !is_readable(in)) lab_die("verify: %s does not fit the input: %s", path, line);
        in->reference = line;
    }
    (void)fclose(f);
}

/* ---- outputs and dead letters ---- */

static void take_output(void *context, const rd_kafka_message_t *m)
{
    struct verifier *v = context;
    char *text = copy(m->payload, m->len);
    int partition = -1;
    int64_t offset = -1;
    struct input *in = source_of(text, &partition, &offset) ? find(v, partition, offset) : NULL;
    v->outputs++;
    if (!in || !in->reference) {
        violation(v, "an output of no readable input", m->partition, m->offset, text);
    } else {
        struct partition *p = &v->partitions[partition];
        if (strlen(in->reference) != m->len || memcmp(in->reference, text, m->len) != 0)
            violation(v, "bytes differ from the reference", partition, offset, text);
        if (partition != m->partition || !same(in->key, in->key_len, m->key, m->key_len))
            violation(v, "another partition or key than the input's", partition, offset, text);
        const bool again = in->n_outputs++ > 0;
        if (again) v->repeated++;
        if (again && v->once) violation(v, "a repeated output", partition, offset, text);
        if (!again && offset < p->last) violation(v, "an output out of order", partition, offset, text);
        if (!again && offset > p->last) p->last = offset;
    }
    free(text);
}

static bool header_number(const rd_kafka_headers_t *headers, const char *name, int64_t *out)
{
    const void *value;
    size_t n;
    char text[32];
    if (!headers || rd_kafka_header_get_last(headers, name, &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    (void)snprintf(text, sizeof(text), "%.*s", (int)n, (const char *)value);
    *out = strtoll(text, NULL, 10);
    return true;
}

static void take_letter(void *context, const rd_kafka_message_t *m)
{
    struct verifier *v = context;
    rd_kafka_headers_t *headers = NULL;
    int64_t partition = -1, offset = -1;
    (void)rd_kafka_message_headers(m, &headers);
    struct input *in = header_number(headers, "__eddy.errors.partition", &partition) &&
                               header_number(headers, "__eddy.errors.offset", &offset)
                           ? find(v, (int)partition, offset)
                           : NULL;
    v->letters++;
    if (!in || !in->payload || is_readable(in)) {
        violation(v, "a dead letter of no unreadable input", (int)partition, offset, "");
        return;
    }
    if (!same(in->payload, in->len, m->payload, m->len) || !same(in->key, in->key_len, m->key, m->key_len))
        violation(v, "a dead letter with other bytes", (int)partition, offset, in->payload);
    if (in->n_letters++ == 0) return;
    v->repeated++;
    if (v->once) violation(v, "a repeated dead letter", (int)partition, offset, in->payload);
}

static void check_inputs(struct verifier *v, bool letters)
{
    for (int i = 0; i < PARTITIONS_MAX; i++) {
        struct partition *p = &v->partitions[i];
        for (int64_t k = 0; k < p->n; k++) {
            const struct input *in = &p->item[k];
            if (is_readable(in) && !in->reference)
                violation(v, "the reference lacks a readable input", i, k, in->payload);
            if (in->reference && in->n_outputs == 0) violation(v, "no output", i, k, in->payload);
            if (letters && in->payload && !is_readable(in) && in->n_letters == 0)
                violation(v, "no dead letter", i, k, in->payload);
        }
    }
}

/* ---- incidents ---- */

static void add_line(struct lines *l, char *text)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 256;
        l->item = grow(l->item, l->room * sizeof(*l->item));
    }
    l->item[l->n++] = text;
}

static void take_incident(void *context, const rd_kafka_message_t *m)
{
    struct verifier *v = context;
    v->incidents++;
    add_line(&v->seen, copy(m->payload, m->len));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t run_of(const struct lines *l, size_t at)
{
    size_t n = 1;
    while (at + n < l->n && strcmp(l->item[at], l->item[at + n]) == 0) n++;
    return n;
}

/* Both sorted; a line that the reference has once may come again where repetitions are allowed. */
static void compare_incidents(struct verifier *v, const char *path)
{
    struct lines wanted = {0};
    FILE *f = fopen(path, "r");
    if (!f) lab_die("verify: cannot read %s", path);
    for (char *line; (line = next_line(f));) add_line(&wanted, line);
    (void)fclose(f);
    if (wanted.n > 0) qsort(wanted.item, wanted.n, sizeof(*wanted.item), by_text);
    if (v->seen.n > 0) qsort(v->seen.item, v->seen.n, sizeof(*v->seen.item), by_text);
    for (size_t a = 0, b = 0; a < wanted.n || b < v->seen.n;) {
        const int order = a == wanted.n ? 1 : b == v->seen.n ? -1 : strcmp(wanted.item[a], v->seen.item[b]);
        const size_t n_a = order <= 0 ? run_of(&wanted, a) : 0, n_b = order >= 0 ? run_of(&v->seen, b) : 0;
        if (order < 0) violation(v, "no such incident was told", -1, -1, wanted.item[a]);
        if (order > 0) violation(v, "an incident that the reference lacks", -1, -1, v->seen.item[b]);
        if (order == 0 && n_b < n_a) violation(v, "an incident is missing", -1, -1, wanted.item[a]);
        if (order == 0 && n_b > n_a && v->once) violation(v, "a repeated incident", -1, -1, wanted.item[a]);
        if (order == 0 && n_b > n_a) v->repeated += (long)(n_b - n_a);
        a += n_a;
        b += n_b;
    }
}

int main(int argc, char **argv)
{
    static struct verifier v;
    if (argc < 2) lab_die("usage: see the head of tests/fault/fault_verify.c");
    v.topic = lab_text(argc, argv, "input", NULL);
    v.once = lab_number(argc, argv, "once", 0) != 0;
    const char *letters = lab_text(argc, argv, "letters", ""), *incidents = lab_text(argc, argv, "incidents", "");
    const char *group = lab_text(argc, argv, "group", "");
    for (int i = 0; i < PARTITIONS_MAX; i++) v.partitions[i].last = -1;

    lab_read(argv[1], v.topic, take_input, &v);
    read_reference(&v, lab_text(argc, argv, "reference", NULL));
    lab_read(argv[1], lab_text(argc, argv, "output", NULL), take_output, &v);
    if (*letters) lab_read(argv[1], letters, take_letter, &v);
    check_inputs(&v, *letters != '\0');
    if (*incidents) {
        lab_read(argv[1], incidents, take_incident, &v);
        compare_incidents(&v, lab_text(argc, argv, "incidents_reference", NULL));
    }
    for (int i = 0; *group && i < PARTITIONS_MAX; i++) {
        const struct partition *p = &v.partitions[i];
        const int64_t at = p->n > 0 ? lab_committed(argv[1], group, v.topic, i) : p->n;
        if (at != p->n) violation(&v, "the group's offset is not the end", i, at, "");
    }
    printf("inputs %ld outputs %ld letters %ld incidents %ld repeated %ld violations %ld\n", v.inputs, v.outputs,
           v.letters, v.incidents, v.repeated, v.violations);
    return v.violations > 0;
}
