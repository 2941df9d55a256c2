/* Files that were damaged, mixed up or exchanged while nobody ran: a start finds a checkpoint that was made, refuses the
 * file by name, or sets it aside and makes the state anew; wrong state never. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

enum { QUICK = 6, FULL = 34, MOST_BYTES = 4 << 20 };

struct file {
    unsigned char *bytes;
    size_t n;
};
/* A database and its log, as a crash may leave them. */
struct image {
    struct file main, log;
};
enum { CUTS = 12 }; /* places at which the emptying of a log was cut off */
enum { CLOSED, LOGGED, CUT, OLD = CUT + CUTS, OTHER, IMAGES };

struct images {
    struct image of[IMAGES];
};

/* ---- files ---- */

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x * UINT64_C(2685821657736338717);
}

static struct file file_read(const char *path, const char *suffix)
{
    char name[600];
    struct file f = {.bytes = malloc(MOST_BYTES)};
    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    FILE *in = fopen(name, "rb");
    cr_assert(f.bytes);
    if (in) {
        f.n = fread(f.bytes, 1, MOST_BYTES, in);
        (void)fclose(in);
    }
    return f;
}

static void file_write(const char *path, const char *suffix, const struct file *f)
{
    char name[600];
    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    FILE *out = fopen(name, "wb");
    cr_assert(out && fwrite(f->bytes, 1, f->n, out) == f->n);
    cr_assert_eq(fclose(out), 0);
}

static struct image image_take(const char *path)
{
    return (struct image){file_read(path, ""), file_read(path, "-wal")};
}

static void image_put(const struct world *w, const struct image *i)
{
    file_write(w->path, "", &i->main);
    if (i->log.n > 0) file_write(w->path, "-wal", &i->log);
}

static struct image image_copy(const struct image *i)
{
    struct image c = {{malloc(i->main.n + 1), i->main.n}, {malloc(i->log.n + 1), i->log.n}};
    cr_assert(c.main.bytes && c.log.bytes);
    memcpy(c.main.bytes, i->main.bytes, c.main.n);
    memcpy(c.log.bytes, i->log.bytes, c.log.n);
    return c;
}

static void image_free(struct image *i)
{
    free(i->main.bytes);
    free(i->log.bytes);
}

/* ---- images ---- */

/* Dies at the n-th step with all that was written: kill -9. */
static void image_of_a_kill(struct world *w, int64_t at, int log_every, struct image *out)
{
    struct eddy_error err;
    world_begin(w, "image");
    shim_power_watch();
    shim_power_cut_at(at);
    (void)world_life(w, WORLD_EVENTS / 2, log_every, &err);
    cr_assert(shim_power_is_cut());
    shim_power_lost(1, 1);
    *out = image_take(w->path);
    cr_assert_gt(out->main.n, 0);
}

static void other_partition(struct world *w, struct image *out)
{
    world_begin(w, "image");
    w->partition = 1;
    struct eddy_error err;
    cr_assert_eq(world_life(w, WORLD_EVENTS / 2, 0, &err), EDDY_OK, "%s", err.message);
    w->partition = 0;
    *out = image_take(w->path);
}

static void images_open(struct world *w, struct images *all)
{
    struct eddy_error err;
    world_begin(w, "image");
    cr_assert_eq(world_life(w, WORLD_EVENTS / 4, 0, &err), EDDY_OK, "%s", err.message);
    all->of[OLD] = image_take(w->path);
    cr_assert_eq(world_life(w, WORLD_EVENTS / 2, 0, &err), EDDY_OK, "%s", err.message);
    all->of[CLOSED] = image_take(w->path);
    world_begin(w, "image");
    shim_power_watch();
    cr_assert_eq(world_life(w, WORLD_EVENTS / 2, 2, &err), EDDY_OK, "%s", err.message);
    const int64_t from = w->steps_folded, n = shim_power_steps() - from; /* closing empties the log */
    cr_assert_gt(n, CUTS);
    image_of_a_kill(w, from, 2, &all->of[LOGGED]);
    for (int i = 0; i < CUTS; i++) image_of_a_kill(w, from + 1 + i * n / CUTS, 2, &all->of[CUT + i]);
    other_partition(w, &all->of[OTHER]);
    cr_assert_eq(all->of[CLOSED].log.n, 0);
    cr_assert_gt(all->of[LOGGED].log.n, 0);
    cr_assert_gt(all->of[CUT].log.n, 0);
    cr_assert_neq(memcmp(all->of[CUT + 1].main.bytes, all->of[CUT + CUTS / 2].main.bytes, all->of[CUT + 1].main.n), 0,
                  "nothing was moved between the cuts");
}

static void images_close(struct images *all)
{
    for (int i = 0; i < IMAGES; i++) image_free(&all->of[i]);
}

/* ---- damage ---- */

static void flip(struct file *f, uint64_t *x, int bits)
{
    while (bits-- > 0 && f->n > 0) f->bytes[draw(x) % f->n] ^= (unsigned char)(1u << draw(x) % 8);
}

static void cut_off(struct file *f, uint64_t *x)
{
    if (f->n > 0) f->n = draw(x) % f->n;
}

static void garbage(struct file *f, uint64_t *x)
{
    size_t from = f->n ? draw(x) % f->n : 0, n = 1 + draw(x) % 5000;
    for (size_t i = from; i < f->n && i < from + n; i++) f->bytes[i] = (unsigned char)draw(x);
}

/* Whole pages in wrong places, or never written. */
static void pages(struct file *f, uint64_t *x)
{
    size_t n = f->n / 4096, a = draw(x) % n, b = draw(x) % n;
    if (draw(x) % 2)
        memset(f->bytes + a * 4096, 0, 4096);
    else
        memmove(f->bytes + a * 4096, f->bytes + b * 4096, 4096);
}

static void a_flip_in_the_file(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    flip(&i->main, x, 1);
}

static void flips_in_the_file(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    flip(&i->main, x, 2 + (int)(draw(x) % 7));
}

static void flips_in_the_log(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    flip(&i->log, x, 1 + (int)(draw(x) % 3));
}

static void log_cut_off(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    cut_off(&i->log, x);
}

static void log_deleted(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all, (void)x;
    i->log.n = 0;
}

static void log_garbage(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    garbage(&i->log, x);
}

static void file_cut_off(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    cut_off(&i->main, x);
}

static void pages_exchanged(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    pages(&i->main, x);
}

static void replace(struct file *f, const struct file *by)
{
    free(f->bytes);
    f->bytes = malloc(by->n + 1);
    cr_assert(f->bytes);
    memcpy(f->bytes, by->bytes, by->n);
    f->n = by->n;
}

static void an_old_copy(const struct images *all, struct image *i, uint64_t *x)
{
    (void)x;
    replace(&i->main, &all->of[OLD].main);
    i->log.n = 0;
}

static void an_old_file_under_the_log(const struct images *all, struct image *i, uint64_t *x)
{
    (void)x;
    replace(&i->main, &all->of[OLD].main);
}

static void a_log_of_another_time(const struct images *all, struct image *i, uint64_t *x)
{
    replace(&i->log, &all->of[draw(x) % 2 ? LOGGED : CUT + (int)(draw(x) % CUTS)].log);
}

static void another_partition(const struct images *all, struct image *i, uint64_t *x)
{
    (void)x;
    replace(&i->main, &all->of[OTHER].main);
    i->log.n = 0;
}

static void another_program(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    if (draw(x) % 2)
        memcpy(i->main.bytes + 68, "\0\0\0\1", 4); /* application id */
    else
        memcpy(i->main.bytes, "#!/bin/sh\necho hello\n", 21);
    i->log.n = 0;
}

static void a_newer_format(const struct images *all, struct image *i, uint64_t *x)
{
    (void)all;
    i->main.bytes[63] = (unsigned char)(2 + draw(x) % 200); /* user version */
    i->log.n = 0;
}

enum expected { ANY, RIGHT, REFUSED };
static const struct damage {
    const char *name;
    void (*act)(const struct images *, struct image *, uint64_t *);
    int of;       /* image; -1 = one after the other */
    int expected; /* RIGHT: it must open; REFUSED: by name, and left alone */
    eddy_status refusal;
} damages[] = {
    {"a bit of a closed file flipped", a_flip_in_the_file, CLOSED, ANY, 0},
    {"a bit of a file with a log flipped", a_flip_in_the_file, LOGGED, ANY, 0},
    {"several bits flipped", flips_in_the_file, -1, ANY, 0},
    {"bits of the log flipped", flips_in_the_log, LOGGED, ANY, 0},
    {"bits of a log that was being emptied flipped", flips_in_the_log, CUT, ANY, 0},
    {"log torn", log_cut_off, LOGGED, ANY, 0},
    {"log torn that was being emptied", log_cut_off, CUT, ANY, 0},
    {"log deleted", log_deleted, LOGGED, ANY, 0},
    {"log deleted that was being emptied", log_deleted, CUT, ANY, 0},
    {"garbage in the log", log_garbage, CUT, ANY, 0},
    {"file cut off", file_cut_off, -1, ANY, 0},
    {"pages exchanged or zero", pages_exchanged, -1, ANY, 0},
    {"an old copy restored", an_old_copy, -1, RIGHT, 0},
    {"an old file under a newer log", an_old_file_under_the_log, -1, ANY, 0},
    {"a log of another time", a_log_of_another_time, -1, ANY, 0},
    {"a file of another partition", another_partition, -1, REFUSED, EDDY_EMISMATCH},
    {"a file of another program", another_program, CLOSED, REFUSED, EDDY_EVERSION},
    {"a newer format", a_newer_format, CLOSED, REFUSED, EDDY_EVERSION},
};
enum { DAMAGES = sizeof(damages) / sizeof(damages[0]) };

/* ---- trials ---- */

struct outcome {
    int trials, right, refused, set_aside;
};

static void trial(struct world *w, const struct images *all, const struct damage *d, int seed, struct outcome *o)
{
    uint64_t x = (uint64_t)(seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct eddy_error err;
    world_begin(w, "%s, seed %d", d->name, seed);
    int of = d->of >= 0 ? d->of : seed % 3;
    struct image i = image_copy(&all->of[of == CUT ? CUT + (seed / (d->of == CUT ? 1 : 3)) % CUTS : of]);
    d->act(all, &i, &x);
    image_put(w, &i);
    image_free(&i);
    w->attempted = WORLD_EVENTS / 2;

    eddy_status rc = world_inspect(w, 0, &err);
    o->trials++;
    o->right += rc == EDDY_OK;
    o->set_aside += rc == EDDY_ECORRUPT;
    o->refused += rc < 0 && rc != EDDY_ECORRUPT;
    if (d->expected == RIGHT && rc < 0) world_violation(w, "%s", err.message);
    if (d->expected == REFUSED && rc != d->refusal) world_violation(w, "not refused: %d %s", rc, err.message);
    if (rc == EDDY_OK || rc == EDDY_ECORRUPT) world_finish(w);
}

Test(fault_damage, starts_right_or_refuses_or_begins_anew)
{
    struct world w;
    struct images all;
    int violations = 0;
    world_open(&w);
    images_open(&w, &all);
    for (int k = 0; k < DAMAGES; k++) {
        struct outcome o = {0};
        w.violations = 0;
        for (int seed = 0; seed < (world_full() ? FULL : QUICK); seed++) trial(&w, &all, &damages[k], seed, &o);
        world_row(damages[k].name, o.trials, w.violations, "%d right, %d refused by name, %d set aside", o.right,
                  o.refused, o.set_aside);
        violations += w.violations;
    }
    images_close(&all);
    world_close(&w);
    cr_assert_eq(violations, 0);
}
