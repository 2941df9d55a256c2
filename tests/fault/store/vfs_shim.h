/* A disk that can fail, fill up and lose power: a SQLite VFS between SQLite and the system's.
 *
 * Failing  the n-th call of a kind fails, once or from then on.
 * Full     the files may hold `budget` bytes together; what would grow beyond it gets SQLITE_FULL, a part written.
 * Power    what was written and not synced is only a list of writes.  At the cut every call fails; shim_power_lost()
 *          then leaves on the disk what was synced and, sector by sector at random, some of the list: late writes
 *          without early ones, half a page, an older state of a sector.  A disk that lies syncs nothing.
 * Threads  any; one shim per process. */
#ifndef TESTS_FAULT_STORE_VFS_SHIM_H
#define TESTS_FAULT_STORE_VFS_SHIM_H

#include <stdbool.h>
#include <stdint.h>

enum shim_op { SHIM_READ, SHIM_WRITE, SHIM_SYNC, SHIM_TRUNCATE, SHIM_OPEN, SHIM_DELETE, SHIM_SHM, SHIM_OPS };
enum shim_how {
    SHIM_FAILS, /* nothing is done */
    SHIM_SHORT, /* a write ends half-way */
    SHIM_FULL   /* the same, for want of room */
};

struct shim_fault {
    int op, how;
    int64_t at;   /* the at-th call from now on, from 1 */
    bool lasting; /* and all later ones */
};

void shim_install(void); /* becomes the default VFS */
const char *shim_op_name(int op);

void shim_arm(const struct shim_fault *); /* counts from 0 again; NULL = nothing fails */
int64_t shim_count(int op);               /* calls since shim_arm() */
bool shim_fired(void);

void shim_budget(int64_t bytes); /* -1 = no limit */
int64_t shim_refused(void);      /* writes refused for want of room since shim_budget() */

void shim_power_watch(void); /* from here on, for files that are opened later */
void shim_power_lies(bool);
void shim_power_cut_at(int64_t n); /* at the n-th write, sync or truncation from now on; 0 = not by itself */
void shim_power_cut(void);
bool shim_power_is_cut(void);
int64_t shim_power_steps(void); /* writes, syncs and truncations since shim_power_watch() */
/* After everything was closed: what the disk holds when the power is back.  `keep`: the share of unsynced sectors that
 * reached it. */
void shim_power_lost(uint64_t seed, double keep);
void shim_power_forget(void); /* watches no longer */

#endif
