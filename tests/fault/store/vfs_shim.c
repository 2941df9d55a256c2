#include "vfs_shim.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512, MOST_FILES = 64 };

/* A change of a file that no sync has confirmed. */
struct change {
    int64_t at;
    int64_t n; /* -1 = truncated to `at` */
    unsigned char *bytes;
};

struct disk_file {
    char *path;
    unsigned char *durable; /* as synced */
    int64_t n_durable;
    struct change *changes;
    size_t n_changes, cap_changes;
    bool deleted, delete_synced;
    int64_t size; /* as the program sees it */
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    struct shim_fault fault;
    bool armed, fired;
    int64_t count[SHIM_OPS];
    int64_t budget, refused;
    bool watching, lies, cut;
    int64_t steps, cut_at;
    struct disk_file files[MOST_FILES];
    int n_files;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .budget = -1};

struct shim_file {
    sqlite3_file base;
    struct disk_file *on; /* NULL: a temporary file */
    sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim_file *)f)->real;
}

static void lock(void)
{
    (void)pthread_mutex_lock(&disk.lock);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&disk.lock);
}

static void *must_have(void *p)
{
    if (!p) abort();
    return p;
}

/* ---- the image of a file ---- */

static struct disk_file *file_of(const char *path)
{
    for (int i = 0; i < disk.n_files; i++)
        if (strcmp(disk.files[i].path, path) == 0) return &disk.files[i];
    return NULL;
}

static void forget_changes(struct disk_file *f)
{
    for (size_t i = 0; i < f->n_changes; i++) free(f->changes[i].bytes);
    f->n_changes = 0;
}

static void image_resize(struct disk_file *f, int64_t n)
{
    if (n > f->n_durable) {
        f->durable = must_have(realloc(f->durable, (size_t)n + 1));
        memset(f->durable + f->n_durable, 0, (size_t)(n - f->n_durable));
    }
    f->n_durable = n;
}

static void image_write(struct disk_file *f, int64_t at, const unsigned char *bytes, int64_t n)
{
    if (at + n > f->n_durable) image_resize(f, at + n);
    memcpy(f->durable + at, bytes, (size_t)n);
}

static void image_load(struct disk_file *f)
{
    FILE *in = fopen(f->path, "rb");
    f->n_durable = 0;
    if (!in) return;
    (void)fseek(in, 0, SEEK_END);
    image_resize(f, ftell(in));
    rewind(in);
    if (f->n_durable > 0 && fread(f->durable, 1, (size_t)f->n_durable, in) != (size_t)f->n_durable) abort();
    (void)fclose(in);
    f->size = f->n_durable;
}

static struct disk_file *file_enter(const char *path)
{
    struct disk_file *f = file_of(path);
    if (f && !f->deleted) return f;
    if (!f) {
        assert(disk.n_files < MOST_FILES);
        f = &disk.files[disk.n_files++];
        *f = (struct disk_file){.path = must_have(strdup(path))};
        image_load(f);
        return f;
    }
    /* Made anew after it was deleted: should the deletion have been lost, the old bytes are under the new ones. */
    f->deleted = false;
    f->size = 0;
    return f;
}

static void note_change(struct disk_file *f, int64_t at, const void *bytes, int64_t n)
{
    if (!f || !disk.watching) return;
    if (f->n_changes == f->cap_changes) {
        f->cap_changes = f->cap_changes ? 2 * f->cap_changes : 64;
        f->changes = must_have(realloc(f->changes, f->cap_changes * sizeof(*f->changes)));
    }
    struct change *c = &f->changes[f->n_changes++];
    *c = (struct change){.at = at, .n = n};
    if (n > 0) c->bytes = memcpy(must_have(malloc((size_t)n)), bytes, (size_t)n);
}

static void note_sync(struct disk_file *f)
{
    if (!f || !disk.watching || disk.lies) return;
    for (size_t i = 0; i < f->n_changes; i++) {
        const struct change *c = &f->changes[i];
        if (c->n < 0)
            image_resize(f, c->at);
        else
            image_write(f, c->at, c->bytes, c->n);
    }
    forget_changes(f);
}

/* ---- what a call meets ---- */

/* Under the lock.  True when this call must fail. */
static bool fails(int op)
{
    int64_t n = ++disk.count[op];
    bool is_step = op == SHIM_WRITE || op == SHIM_SYNC || op == SHIM_TRUNCATE;
    if (disk.watching && is_step && ++disk.steps == disk.cut_at) disk.cut = true;
    if (disk.cut) return true;
    if (!disk.armed || op != disk.fault.op || n < disk.fault.at || (n > disk.fault.at && !disk.fault.lasting))
        return false;
    disk.fired = true;
    return true;
}

static bool call_fails(int op)
{
    lock();
    bool failed = fails(op);
    unlock();
    return failed;
}

static int64_t used_bytes(void)
{
    int64_t n = 0;
    for (int i = 0; i < disk.n_files; i++)
        if (!disk.files[i].deleted) n += disk.files[i].size;
    return n;
}

static int do_write(struct shim_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    int rc = n > 0 ? f->real->pMethods->xWrite(f->real, bytes, n, at) : SQLITE_OK;
    if (rc != SQLITE_OK || !f->on) return rc;
    note_change(f->on, at, bytes, n);
    if (at + n > f->on->size) f->on->size = at + n;
    return rc;
}

/* ---- the methods of a file ---- */

static int shim_close(sqlite3_file *f)
{
    int rc = real_of(f)->pMethods ? real_of(f)->pMethods->xClose(real_of(f)) : SQLITE_OK;
    f->pMethods = NULL;
    return rc;
}

static int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return call_fails(SHIM_READ) ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int shim_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    struct shim_file *f = (struct shim_file *)file;
    int rc;
    lock();
    if (fails(SHIM_WRITE)) {
        const int how = disk.cut ? SHIM_FAILS : disk.fault.how;
        if (how != SHIM_FAILS) (void)do_write(f, bytes, n / 2, at);
        rc = how == SHIM_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    } else if (f->on && disk.budget >= 0 && at + n > f->on->size &&
               used_bytes() + at + n - f->on->size > disk.budget) {
        disk.refused++;
        (void)do_write(f, bytes, n / 2, at);
        rc = SQLITE_FULL;
    } else {
        rc = do_write(f, bytes, n, at);
    }
    unlock();
    return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 n)
{
    struct shim_file *f = (struct shim_file *)file;
    int rc = SQLITE_IOERR_TRUNCATE;
    lock();
    if (!fails(SHIM_TRUNCATE)) rc = f->real->pMethods->xTruncate(f->real, n);
    if (rc == SQLITE_OK && f->on) {
        note_change(f->on, n, NULL, -1);
        f->on->size = n;
    }
    unlock();
    return rc;
}

static int shim_sync(sqlite3_file *file, int flags)
{
    struct shim_file *f = (struct shim_file *)file;
    int rc = SQLITE_IOERR_FSYNC;
    (void)flags; /* the disk is simulated: nothing needs to wait for the real one */
    lock();
    if (!fails(SHIM_SYNC)) {
        rc = SQLITE_OK;
        note_sync(f->on);
    }
    unlock();
    return rc;
}

static int shim_file_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), n);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_check_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int what, void *argument)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), what, argument);
}

static int shim_sector_size(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

/* Nothing is promised: no atomic write, no order, no append that is safe. */
static int shim_characteristics(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static int shim_shm_map(sqlite3_file *f, int page, int n, int extend, void volatile **out)
{
    if (call_fails(SHIM_SHM)) return SQLITE_IOERR_SHMMAP;
    return real_of(f)->pMethods->xShmMap(real_of(f), page, n, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int delete)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static const sqlite3_io_methods methods = {
    2,
    shim_close,
    shim_read,
    shim_write,
    shim_truncate,
    shim_sync,
    shim_file_size,
    shim_lock,
    shim_unlock,
    shim_check_reserved,
    shim_control,
    shim_sector_size,
    shim_characteristics,
    shim_shm_map,
    shim_shm_lock,
    shim_shm_barrier,
    shim_shm_unmap,
    NULL,
    NULL,
};

/* ---- the methods of the file system ---- */

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
    struct shim_file *f = (struct shim_file *)file;
    const int kept = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    (void)vfs;
    *f = (struct shim_file){.real = (sqlite3_file *)(f + 1)};
    f->real->pMethods = NULL;
    lock();
    int rc = SQLITE_CANTOPEN;
    if (!fails(SHIM_OPEN)) {
        if (path && flags & kept) f->on = file_enter(path);
        rc = disk.real->xOpen(disk.real, path, f->real, flags, out_flags);
    }
    if (rc == SQLITE_OK) f->base.pMethods = &methods;
    unlock();
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    (void)vfs;
    int rc = SQLITE_IOERR_DELETE;
    lock();
    if (!fails(SHIM_DELETE)) rc = disk.real->xDelete(disk.real, path, 0);
    struct disk_file *f = rc == SQLITE_OK ? file_of(path) : NULL;
    if (f) {
        f->deleted = true;
        f->delete_synced = sync_directory && !disk.lies;
        if (f->delete_synced) {
            forget_changes(f);
            image_resize(f, 0);
        }
    }
    unlock();
    return rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    return disk.real->xAccess(disk.real, path, flags, out);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int n, char *out)
{
    (void)vfs;
    return disk.real->xFullPathname(disk.real, path, n, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    return disk.real->xRandomness(disk.real, n, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return disk.real->xSleep(disk.real, us);
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    return disk.real->xCurrentTime(disk.real, out);
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs, (void)n, (void)out;
    return 0;
}

void shim_install(void)
{
    if (disk.real) return;
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = (sqlite3_vfs){.iVersion = 1,
                             .szOsFile = (int)sizeof(struct shim_file) + disk.real->szOsFile,
                             .mxPathname = disk.real->mxPathname,
                             .zName = "shim",
                             .xOpen = vfs_open,
                             .xDelete = vfs_delete,
                             .xAccess = vfs_access,
                             .xFullPathname = vfs_full_path,
                             .xRandomness = vfs_randomness,
                             .xSleep = vfs_sleep,
                             .xCurrentTime = vfs_time,
                             .xGetLastError = vfs_last_error};
    if (sqlite3_vfs_register(&disk.vfs, 1) != SQLITE_OK) abort();
}

/* ---- orders ---- */

const char *shim_op_name(int op)
{
    static const char *const names[SHIM_OPS] = {"read", "write", "sync", "truncate", "open", "delete", "shm map"};
    return names[op];
}

void shim_arm(const struct shim_fault *fault)
{
    lock();
    disk.armed = fault != NULL;
    if (fault) disk.fault = *fault;
    disk.fired = false;
    memset(disk.count, 0, sizeof(disk.count));
    unlock();
}

int64_t shim_count(int op)
{
    lock();
    int64_t n = disk.count[op];
    unlock();
    return n;
}

bool shim_fired(void)
{
    lock();
    bool fired = disk.fired;
    unlock();
    return fired;
}

void shim_budget(int64_t bytes)
{
    lock();
    disk.budget = bytes;
    disk.refused = 0;
    unlock();
}

int64_t shim_refused(void)
{
    lock();
    int64_t n = disk.refused;
    unlock();
    return n;
}

void shim_power_watch(void)
{
    shim_power_forget();
    lock();
    disk.watching = true;
    disk.steps = disk.cut_at = 0;
    unlock();
}

void shim_power_lies(bool lies)
{
    lock();
    disk.lies = lies;
    unlock();
}

void shim_power_cut_at(int64_t n)
{
    lock();
    disk.cut_at = n > 0 ? disk.steps + n : 0;
    unlock();
}

void shim_power_cut(void)
{
    lock();
    disk.cut = true;
    unlock();
}

bool shim_power_is_cut(void)
{
    lock();
    bool cut = disk.cut;
    unlock();
    return cut;
}

int64_t shim_power_steps(void)
{
    lock();
    int64_t n = disk.steps;
    unlock();
    return n;
}

void shim_power_forget(void)
{
    lock();
    for (int i = 0; i < disk.n_files; i++) {
        forget_changes(&disk.files[i]);
        free(disk.files[i].changes);
        free(disk.files[i].durable);
        free(disk.files[i].path);
    }
    disk.n_files = 0;
    disk.watching = disk.cut = false;
    unlock();
}

/* ---- the power is back ---- */

static uint64_t draw(uint64_t *x)
{
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    return *x * UINT64_C(2685821657736338717);
}

static bool is_kept(uint64_t *x, double keep)
{
    return (double)(draw(x) >> 11) * 0x1p-53 < keep;
}

static void lose_some(struct disk_file *f, uint64_t *x, double keep)
{
    for (size_t i = 0; i < f->n_changes; i++) {
        const struct change *c = &f->changes[i];
        if (c->n < 0) {
            if (is_kept(x, keep)) image_resize(f, c->at);
            continue;
        }
        for (int64_t from = c->at; from < c->at + c->n;) {
            int64_t to = (from / SECTOR + 1) * SECTOR;
            if (to > c->at + c->n) to = c->at + c->n;
            if (is_kept(x, keep)) image_write(f, from, c->bytes + (from - c->at), to - from);
            from = to;
        }
    }
}

static void put_on_disk(struct disk_file *f, uint64_t *x, double keep)
{
    if (f->deleted && (f->delete_synced || is_kept(x, .5))) {
        (void)unlink(f->path);
        return;
    }
    lose_some(f, x, keep);
    FILE *out = fopen(f->path, "wb");
    if (!out) abort();
    if (f->n_durable > 0 && fwrite(f->durable, 1, (size_t)f->n_durable, out) != (size_t)f->n_durable) abort();
    (void)fclose(out);
}

void shim_power_lost(uint64_t seed, double keep)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 88172645463325252u;
    char index[4096];
    lock();
    for (int i = 0; i < disk.n_files; i++) {
        struct disk_file *f = &disk.files[i];
        put_on_disk(f, &x, keep);
        (void)snprintf(index, sizeof(index), "%s-shm", f->path);
        (void)unlink(index); /* shared memory ends with the machine */
    }
    unlock();
    shim_power_forget();
}
