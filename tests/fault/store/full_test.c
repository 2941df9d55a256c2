/* A disk that is full and gets room again, under the whole driver: results go on, the log says that checkpoints do not,
 * and when there is room they do again; a process that ends in between leaves what the next one goes on from. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/log.h"
#include "connectors/files/files.h"
#include "tests/unit/flow/fixture_script.h"
#include "world.h"

#define YAML                                                                                                         \
    "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 8, batch: 4}\n"                                  \
    "state: {checkpoint: 1ms, max_keys: 3}\n"
enum { RECORDS = 2000, FULL_AT = 500, FREE_AT = 1200, LOOK_AT = 1900, SIZES = 12, MOST_KIB = 700 };

/* ---- a small disk ---- */

struct small {
    char dir[60], state[80], filler[100], out[100], log[100];
    int violations;
};

static bool mount_of(const struct small *s, int kib, bool again)
{
    char options[40];
    (void)snprintf(options, sizeof(options), "size=%dk", kib);
    return mount("tmpfs", s->state, "tmpfs", again ? MS_REMOUNT : 0, options) == 0;
}

static void small_open(struct small *s)
{
    const char *tmp = getenv("TMPDIR");
    *s = (struct small){0};
    (void)snprintf(s->dir, sizeof(s->dir), "%.30s/eddy-full-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(s->dir));
    (void)snprintf(s->state, sizeof(s->state), "%.50s/state", s->dir);
    (void)snprintf(s->filler, sizeof(s->filler), "%s/filler", s->state);
    (void)snprintf(s->out, sizeof(s->out), "%s/out.jsonl", s->dir);
    (void)snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
    cr_assert_eq(mkdir(s->state, 0700), 0);
}

static void small_close(struct small *s)
{
    (void)umount2(s->state, MNT_DETACH);
    script_remove(s->dir);
    script_close_all();
}

static void skip(struct small *s)
{
    small_close(s);
    cr_skip_test("needs the right to mount");
}

static void fill(const struct small *s)
{
    static char block[65536];
    int fd = open(s->filler, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    while (write(fd, block, sizeof(block)) > 0) {}
    while (write(fd, block, 512) > 0) {}
    (void)close(fd);
}

static void violation(struct small *s, const char *what)
{
    s->violations++;
    (void)fprintf(stderr, "violation: full disk: %s\n", what);
}

/* ---- a life of the driver ---- */

struct watch {
    struct small *small;
    struct script *script;
    int64_t full_at, free_at;                 /* 0 = never */
    int64_t when_full, at_end_of_full, later; /* what the group had committed */
};

static void on_result(void *context, const struct eddy_result *r)
{
    struct watch *w = context;
    if (w->full_at == 0) return;
    if (r->offset == w->full_at) {
        fill(w->small);
        w->when_full = w->script->committed;
    }
    if (r->offset == w->free_at) {
        w->at_end_of_full = w->script->committed;
        if (w->script->sent < w->free_at - 256) violation(w->small, "results do not go on");
        (void)unlink(w->small->filler);
    }
    /* A machine under load needs time: for a checkpoint that fails, and for one that succeeds again. */
    if (r->offset > w->full_at && r->offset < w->free_at) (void)usleep(300);
    if (r->offset > w->free_at && w->script->committed <= w->free_at) (void)usleep(3000);
    if (r->offset == LOOK_AT) w->later = w->script->committed;
}

struct ran {
    eddy_status rc;
    struct eddy_error err;
    char hash[33];
};

/* `file`: results go there, else to the script. */
static struct ran live(struct watch *w, const char *state, const char *file)
{
    struct ran ran = {0};
    struct driver *d = NULL;
    struct config *config = script_config(YAML);
    const struct file_sink_settings settings = {file, true};
    const struct driver_request q = {.settings = config_settings(config),
                                     .source = &script_source,
                                     .sink = file ? &sink_file : &script_sink,
                                     .sink_settings = &settings,
                                     .sink_request = {.name = "test"},
                                     .state = state ? DRIVER_STATE_KEPT : DRIVER_STATE_SCRATCH,
                                     .state_path = state,
                                     .commit = true,
                                     .on_result = on_result,
                                     .context = w};
    ran.rc = driver_open(&q, &d, &ran.err);
    if (ran.rc >= 0) ran.rc = driver_run(d, &ran.err);
    if (ran.rc >= 0) cr_assert_geq(driver_hash(d, false, ran.hash, &ran.err), 0, "%s", ran.err.message);
    driver_close(d);
    config_close(config);
    return ran;
}

static struct script *reference(struct ran *ran)
{
    struct script *s = script_open(RECORDS);
    struct watch w = {.script = s};
    *ran = live(&w, NULL, NULL);
    cr_assert_eq(ran->rc, EDDY_OK, "%s", ran->err.message);
    cr_assert_eq(s->sent, RECORDS);
    return s;
}

/* The lines of a file, each one whole and equal to the reference's; those that came again are the same. */
static int64_t wrong_lines(const char *path, const struct script *whole)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    int64_t wrong = 0, seen = 0;
    ssize_t n;
    while (f && (n = getline(&line, &cap, f)) > 0) {
        const char *at = strstr(line, "\"offset\":");
        int64_t offset = at ? atoll(at + strlen("\"offset\":")) : -1;
        if (line[n - 1] == '\n') line[--n] = '\0';
        if (offset < 0 || offset > seen || strcmp(line, whole->out[offset]) != 0) wrong++;
        if (offset == seen) seen++;
    }
    free(line);
    if (f) (void)fclose(f);
    return wrong + (RECORDS - seen);
}

static int count_in(const char *path, const char *what)
{
    FILE *f = fopen(path, "r");
    char line[2048];
    int n = 0;
    while (f && fgets(line, sizeof(line), f)) n += strstr(line, what) != NULL;
    if (f) (void)fclose(f);
    return n;
}

/* ---- tests ---- */

Test(fault_full, a_full_disk_for_state_does_not_stop_results_and_is_used_again_when_there_is_room)
{
    struct small small;
    struct ran want;
    small_open(&small);
    if (!mount_of(&small, 4096, false)) skip(&small);
    struct script *whole = reference(&want);
    struct script *s = script_open(RECORDS);
    s->batch = 50;
    struct watch w = {.small = &small, .script = s, .full_at = FULL_AT, .free_at = FREE_AT};
    int log = open(small.log, O_CREAT | O_WRONLY, 0600), kept = dup(STDERR_FILENO);
    (void)dup2(log, STDERR_FILENO);
    struct ran ran = live(&w, small.state, NULL);
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept), (void)close(log);

    if (ran.rc != EDDY_OK) violation(&small, ran.err.message);
    if (s->sent != RECORDS) violation(&small, "results are missing");
    for (int i = 0; i < RECORDS && i < s->sent; i++)
        if (strcmp(s->out[i], whole->out[i]) != 0) violation(&small, "another result");
    if (strcmp(ran.hash, want.hash) != 0) violation(&small, "another state");
    if (w.when_full >= w.at_end_of_full + 256 || w.at_end_of_full > FULL_AT + 256)
        violation(&small, "positions were committed that no checkpoint holds");
    if (w.later <= FREE_AT) violation(&small, "no checkpoint after there was room");
    if (s->committed != RECORDS) violation(&small, "the end is not committed");
    const int alarms = count_in(small.log, "event=checkpoint_failed");
    if (alarms == 0) violation(&small, "nobody was told");
    world_row("disk full and freed", 1, small.violations,
              "%d results while it was full, %d alarms in the log, committed %" PRId64 " then, %" PRId64
              " at the end",
              FREE_AT - FULL_AT, alarms, w.at_end_of_full, s->committed);
    int violations = small.violations;
    small_close(&small);
    cr_assert_eq(violations, 0);
}

/* Results and state on disks of all sizes: either enough, or an end with an error that names a file; then there is room. */
Test(fault_full, whatever_its_size_a_disk_that_is_enlarged_later_is_gone_on_from)
{
    struct small small;
    struct ran want;
    int ended = 0;
    log_set_level(LOG_LEVEL_ERROR);
    small_open(&small);
    struct script *whole = reference(&want);
    for (int i = 0; i < SIZES; i++) {
        char out[120];
        if (!mount_of(&small, 8 << (i * 3 / 4) << (i & 1), false)) skip(&small);
        (void)snprintf(out, sizeof(out), "%s/out.jsonl", small.state);
        struct script *s = script_open(RECORDS);
        struct watch w = {.small = &small, .script = s};
        struct ran ran = live(&w, small.state, out);
        if (ran.rc < 0 && (ran.rc != EDDY_EFULL && ran.rc != EDDY_EIO)) violation(&small, ran.err.message);
        if (ran.rc < 0 && !strstr(ran.err.message, small.state)) violation(&small, ran.err.message);
        ended += ran.rc < 0;
        cr_assert(mount_of(&small, 16384, true));
        ran = live(&w, small.state, out);
        if (ran.rc < 0) violation(&small, ran.err.message);
        if (strcmp(ran.hash, want.hash) != 0) violation(&small, "another state");
        if (wrong_lines(out, whole) != 0) violation(&small, "wrong or missing results");
        (void)umount2(small.state, MNT_DETACH);
    }
    world_row("disk too small, then enlarged", SIZES, small.violations, "%d runs ended with an error", ended);
    int violations = small.violations;
    small_close(&small);
    cr_assert_eq(violations, 0);
}

/* SQLite itself finds no room, though there was some when it was asked for. */
Test(fault_full, a_budget_of_bytes_that_runs_out_in_any_write)
{
    struct world w;
    struct eddy_error err;
    int trials = 0, ended = 0;
    world_open(&w);
    for (int i = 0; i < 2; i++) {
        w.background = i > 0;
        for (int64_t kib = 4; kib <= MOST_KIB; kib += world_full() ? 4 : 36, trials++) {
            world_begin(&w, "budget of %" PRId64 " KiB%s", kib, w.background ? ", storage thread" : "");
            shim_budget(kib << 10);
            eddy_status rc = world_life(&w, WORLD_EVENTS, 3, &err);
            world_named(&w, rc, &err);
            ended += rc < 0;
            if (rc < 0 && shim_refused() == 0) world_violation(&w, "ended with room: %s", err.message);
            shim_budget(-1);
            if (world_inspect(&w, w.acknowledged, &err) < 0) world_violation(&w, "with room: %s", err.message);
            world_finish(&w);
        }
    }
    world_row("budget of bytes used up, then freed", trials, w.violations, "4 to %d KiB; %d runs ended with an error",
              MOST_KIB, ended);
    int violations = w.violations;
    world_close(&w);
    cr_assert_gt(ended, 0);
    cr_assert_lt(ended, trials, "no budget was enough");
    cr_assert_eq(violations, 0);
}
