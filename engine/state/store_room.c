/* Disk space, asked for before it is needed.
 *
 * SQLite appends changed pages to the log <path>-wal, some when its cache overflows, the rest at the commit, and rolls
 * the whole transaction back when a write fails.  fallocate() with KEEP_SIZE lays the log's next blocks on the disk
 * without changing the file, so a full disk shows here, where nothing has been touched and all can be tried again.
 * A scratch file has no log; what is free on its disk must do.
 *
 *   still to be written  <=  dirty pages now  +  pages made dirty later
 *   dirty pages now      <=  min(page cache, what was asked for in this transaction) */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "engine/state/store_private.h"

enum {
    ROOM_CHUNK_BYTES = 8 << 20,  /* asked for at once: a call takes up to 0.3 ms */
    ROOM_SPARE_BYTES = 128 << 10 /* for the log's index, which grows 32 KiB at a time, and the header */
};

static int log_open(const struct store *s)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s-wal", s->path);
    if (n < 0 || (size_t)n >= sizeof(path)) return -1;
    return open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_no_room(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

/* 0 when `bytes` beyond the log's end are on the disk, else an errno. */
static int log_extend(const struct store *s, int64_t bytes)
{
    struct stat st;
    struct statvfs fs;
    struct rlimit limit;
    int64_t free_bytes = INT64_MAX;

    if (statvfs(s->path, &fs) == 0) free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (s->log_fd >= 0 && fstat(s->log_fd, &st) == 0) {
        int failed = 0;
        if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < (rlim_t)(st.st_size + bytes)) return EFBIG;
        while (fallocate(s->log_fd, FALLOC_FL_KEEP_SIZE, st.st_size, bytes) != 0 && (failed = errno) == EINTR) {}
        if (is_no_room(failed)) return failed;
        /* The blocks may have been laid down by an earlier call, so `bytes` must not be counted again. */
        if (!failed) return free_bytes < ROOM_SPARE_BYTES ? ENOSPC : 0;
    }
    /* A file system that cannot reserve: what is free now is the best answer there is. */
    return free_bytes - ROOM_SPARE_BYTES < bytes ? ENOSPC : 0;
}

eddy_status store_reserve(struct store *s, int64_t bytes, struct eddy_error *err)
{
    int cached = 0, peak = 0;
    if (s->mode != STORE_WRITE && s->mode != STORE_SCRATCH) return EDDY_OK;
    if (bytes && s->room_bytes >= bytes) {
        s->room_bytes -= bytes;
        s->dirty_bytes += bytes;
        return EDDY_OK;
    }
    if (s->log_fd < 0 && s->mode == STORE_WRITE) s->log_fd = log_open(s);

    sqlite3_db_status(s->db, SQLITE_DBSTATUS_CACHE_USED, &cached, &peak, 0);
    int64_t dirty = s->dirty_bytes < cached ? s->dirty_bytes : cached;
    int64_t more = bytes > ROOM_CHUNK_BYTES ? bytes : bytes ? ROOM_CHUNK_BYTES : 0;
    int failed = log_extend(s, dirty + more + ROOM_SPARE_BYTES);
    if (failed && more > bytes) {
        more = bytes;
        failed = log_extend(s, dirty + more + ROOM_SPARE_BYTES);
    }
    if (failed)
        return eddy_fail(err, EDDY_EFULL,
                         "state file %s: no room for %lld bytes more: %s; the last checkpoint stands", s->path,
                         (long long)(dirty + bytes), strerror(failed));
    s->dirty_bytes = dirty + bytes;
    s->room_bytes = more - bytes;
    return EDDY_OK;
}
