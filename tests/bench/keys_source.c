#include "tests/bench/keys_source.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, KEY_BYTES = 16, TEXT_BYTES = 64, SETTLE_S = 8 };
static const double ZIPF = 1.1;

struct keys_source {
    struct keys_plan plan;
    struct source_listener listener;
    void *tag;
    int64_t next, total;
    bool assigned, paused;
    uint64_t state;
    uint32_t spread; /* rank -> key, so that frequent keys do not lie side by side */
    double zipf_high, zipf_low;
    double left_at, waited_at, started, told;
    int schedstat;
    bool settled;
    long long bytes;
    double changed;
    struct eddy_record record[MOST];
    char key[MOST][KEY_BYTES], text[MOST][TEXT_BYTES];
};

static double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t draw_bits(struct keys_source *s)
{
    s->state = s->state * 6364136223846793005u + 1442695040888963407u;
    return s->state >> 33;
}

static double draw_unit(struct keys_source *s)
{
    return (double)draw_bits(s) / 2147483648.0;
}

/* Rejection-inversion for a power law (W. Hörmann, G. Derflinger, 1996), H the integral of x^-q. */
static double zipf_h(double x)
{
    return pow(x, 1 - ZIPF) / (1 - ZIPF);
}

static int draw_zipf(struct keys_source *s)
{
    for (;;) {
        const double u = s->zipf_low + draw_unit(s) * (s->zipf_high - s->zipf_low);
        const double x = pow(u * (1 - ZIPF), 1 / (1 - ZIPF));
        int k = (int)(x + 0.5);
        if (k < 1) k = 1;
        if (k > s->plan.keys) k = s->plan.keys;
        if (u >= zipf_h(k + 0.5) - pow(k, -ZIPF))
            return (int)((uint64_t)(k - 1) * s->spread % (uint64_t)s->plan.keys);
    }
}

static int draw_key(struct keys_source *s)
{
    const uint64_t keys = (uint64_t)s->plan.keys;
    if (s->next < s->plan.keys) return (int)s->next;
    switch (s->plan.draw) {
    case KEYS_UNIFORM: return (int)(draw_bits(s) % keys);
    case KEYS_ZIPF: return draw_zipf(s);
    case KEYS_TENTH: return (int)(draw_bits(s) % (keys / 10) * 10);
    default: return (int)((uint64_t)s->next % keys);
    }
}

static char *put_digits(char *at, uint32_t v, int n)
{
    for (int i = n - 1; i >= 0; i--, v /= 10) at[i] = (char)('0' + v % 10);
    return at + n;
}

static void make_record(struct keys_source *s, int i)
{
    struct eddy_record *r = &s->record[i];
    const int key = draw_key(s);
    const uint32_t second = (uint32_t)(s->next / 1000), ms = (uint32_t)(s->next % 1000),
                   value = (uint32_t)draw_bits(s) % 10000;
    char *at = s->text[i];
    memcpy(s->key[i], "meter-", 6);
    put_digits(s->key[i] + 6, (uint32_t)key, 8);
    memcpy(at, "{\"ts\":\"2026-01-", 15);
    at = put_digits(at + 15, 1 + second / 86400, 2);
    *at++ = 'T';
    at = put_digits(at, second / 3600 % 24, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    *at++ = '.';
    at = put_digits(at, ms, 3);
    memcpy(at, "Z\"", 2);
    at += 2;
    memcpy(at, ",\"temperature\":", 15);
    at = put_digits(at + 15, 20 + (uint32_t)key % 17, 2);
    *at++ = '.';
    at = put_digits(at, value, 4);
    *at++ = '}';
    *r = (struct eddy_record){.topic = "bench",
                              .offset = s->next++,
                              .time_ns = EDDY_NO_TIME,
                              .key = s->key[i],
                              .key_len = 14,
                              .payload = s->text[i],
                              .payload_len = (size_t)(at - s->text[i])};
}

/* ---- the watch ---- */

static long long file_bytes(const char *path, const char *suffix)
{
    char name[512];
    struct stat st;
    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (long long)st.st_size : 0;
}

static void tell_timeline(struct keys_source *s, double now)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &size, &resident) != 2) resident = 0;
    if (f) fclose(f);
    fprintf(s->plan.timeline, "%.1f,%lld,%lld,%lld,%lld\n", now - s->started, (long long)s->next,
            (long long)resident * sysconf(_SC_PAGESIZE), file_bytes(s->plan.state_file, ""),
            file_bytes(s->plan.state_file, "-wal"));
    fflush(s->plan.timeline);
    s->told = now;
}

/* Seconds that this thread was ready and had no CPU, since it began: on a machine that others use, too, the longest turn
 * would say more about them. */
static double waited_for_cpu(const struct keys_source *s)
{
    char text[128] = "";
    unsigned long long ran, waited = 0;
    if (s->schedstat < 0 || pread(s->schedstat, text, sizeof(text) - 1, 0) <= 0) return 0;
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? (double)waited * 1e-9 : 0;
}

/* The loop comes back for more. */
static void watch_turn(struct keys_source *s)
{
    const double now = clock_s(), wall = now - s->left_at;
    double turn = wall;
    struct keys_watch *w = s->plan.watch;
    if (s->started == 0) s->started = now;
    if (s->plan.timeline && now - s->told >= 1) tell_timeline(s, now);
    if (s->left_at == 0) return;
    if (s->next <= s->plan.keys) {
        w->fill_s += turn;
        return;
    }
    w->run_s += turn;
    if (wall > w->longest_wall_s) w->longest_wall_s = wall;
    turn -= waited_for_cpu(s) - s->waited_at;
    if (turn > w->longest_s) {
        w->second_s = w->longest_s;
        w->longest_s = turn;
    } else if (turn > w->second_s) {
        w->second_s = turn;
    }
}

/* After the last new key, until the state file has been left alone for a while: the checkpoint of all keys is over. */
static bool settled(struct keys_source *s, int timeout_ms)
{
    if (s->plan.draw != KEYS_TENTH || s->settled || s->next != s->plan.keys) return true;
    const long long bytes = file_bytes(s->plan.state_file, "") + file_bytes(s->plan.state_file, "-wal");
    const double now = clock_s();
    if (bytes != s->bytes || s->changed == 0) {
        s->bytes = bytes;
        s->changed = now;
    }
    s->settled = bytes > 0 && now - s->changed > SETTLE_S;
    (void)nanosleep(&(struct timespec){0, timeout_ms * 1000000L}, NULL);
    return s->settled;
}

/* ---- the source ---- */

static eddy_status keys_open(const void *settings, const struct source_request *request, void **out,
                             struct eddy_error *err)
{
    struct keys_source *s = calloc(1, sizeof(*s));
    if (!s) return eddy_fail(err, EDDY_ENOMEM, "bench source: out of memory");
    s->plan = *(const struct keys_plan *)settings;
    s->listener = request->listener;
    s->total = (int64_t)s->plan.keys + s->plan.events;
    s->state = 1;
    s->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    s->spread = 7368787; /* a prime that divides no number of keys used here */
    s->zipf_low = zipf_h(1.5) - 1;
    s->zipf_high = zipf_h(s->plan.keys + 0.5);
    *out = s;
    return EDDY_OK;
}

static eddy_status keys_poll(void *source, int timeout_ms, int max_records, struct source_batch *batches,
                             int max_batches, struct eddy_error *err)
{
    struct keys_source *s = source;
    watch_turn(s);
    if (!s->assigned) {
        struct source_partition p = {.topic = "bench", .committed = -1, .metadata = "", .high = s->total};
        const int64_t from = s->listener.assign(s->listener.context, &p, &s->tag, err);
        if (from < 0) return (eddy_status)from;
        s->next = from;
        s->assigned = true;
    }
    int n = max_records < MOST ? max_records : MOST;
    if (n > s->total - s->next) n = (int)(s->total - s->next);
    if (s->next < s->plan.keys && n > s->plan.keys - s->next) n = (int)(s->plan.keys - s->next);
    if (s->paused || n == 0 || max_batches < 1 || !settled(s, timeout_ms)) {
        s->left_at = 0;
        return 0;
    }
    for (int i = 0; i < n; i++) make_record(s, i);
    batches[0] = (struct source_batch){.tag = s->tag, .n = n, .records = s->record};
    s->waited_at = waited_for_cpu(s);
    s->left_at = clock_s();
    return 1;
}

static void keys_release(void *source)
{
    (void)source;
}

static eddy_status keys_serve(void *source, struct eddy_error *err)
{
    (void)source;
    (void)err;
    return EDDY_OK;
}

static eddy_status keys_pause(void *source, void *tag, struct eddy_error *err)
{
    (void)tag;
    (void)err;
    ((struct keys_source *)source)->paused = true;
    return EDDY_OK;
}

static eddy_status keys_resume(void *source, void *tag, struct eddy_error *err)
{
    (void)tag;
    (void)err;
    ((struct keys_source *)source)->paused = false;
    return EDDY_OK;
}

static bool keys_ended(void *source)
{
    struct keys_source *s = source;
    if (!s->assigned || s->next < s->total) return false;
    watch_turn(s);
    return true;
}

static void keys_close(void *source)
{
    struct keys_source *s = source;
    if (!s) return;
    if (s->plan.timeline) tell_timeline(s, clock_s());
    if (s->assigned) s->listener.revoke(s->listener.context, s->tag, false, NULL);
    if (s->schedstat >= 0) close(s->schedstat);
    free(s);
}

const struct eddy_source source_keys = {
    .part = {sizeof(source_keys), EDDY_PART_SOURCE, "keys", "Records of many keys, made up.", NULL, 0, NULL},
    .open = keys_open,
    .poll = keys_poll,
    .release = keys_release,
    .serve = keys_serve,
    .pause = keys_pause,
    .resume = keys_resume,
    .ended = keys_ended,
    .close = keys_close,
};
