/* A lane over a store on a disk that fails: the same events every time, and what an undisturbed run made of them.
 *
 * A life is one process: it opens what is on the disk, folds events from there on, writes checkpoints at multiples of
 * WORLD_STEP, and ends at the last event or with an error.  Whatever happened, state must be a checkpoint that was made,
 * and every result equal to the reference's; what is not is a violation, counted and logged. */
#ifndef TESTS_FAULT_STORE_WORLD_H
#define TESTS_FAULT_STORE_WORLD_H

#include "tests/unit/flow/fixture.h"
#include "vfs_shim.h"

enum {
    WORLD_EVENTS = 240,
    WORLD_STEP = 24,
    WORLD_CHUNK = 8,
    WORLD_RESIDENT = 4,
    WORLD_CUTS = WORLD_EVENTS / WORLD_STEP
};

struct world {
    char *dir, *path; /* the state file of partition 0 */
    struct config *config;
    struct plan *plan;
    bool background;                 /* checkpoints by a storage thread, while the events go on */
    int32_t partition;               /* who the file belongs to; 0 */
    uint64_t result[WORLD_EVENTS];   /* the reference: a digest of each result, */
    char hash[WORLD_CUTS + 1][33];   /* and the state hash with positions at each checkpoint; [0] unused */
    int64_t acknowledged, attempted; /* of all lives of this trial: newest checkpoints confirmed, and begun */
    int64_t steps_folded; /* shim_power_steps() when the last life had folded everything and was about to close */
    int64_t set_aside;    /* files that were quarantined in this trial */
    int violations;       /* of this test */
    char what[200];       /* the trial, for messages */
};

void world_open(struct world *);
void world_close(struct world *);
void world_begin(struct world *, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* a new, empty trial */
void world_violation(struct world *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One life; the error that ended it, or EDDY_OK when it came to event `until`.  `log_every`: the log is emptied into the
 * file after every so many checkpoints; 0 = as the store does it. */
eddy_status world_life(struct world *, int64_t until, int log_every, struct eddy_error *);
/* An error must have a code and name the file. */
void world_named(struct world *, eddy_status, const struct eddy_error *);
/* Looks at the file with a disk that is whole again: a checkpoint that was begun, not older than `oldest`, with exactly
 * the reference's hash; else it must be refused by name or is set aside.  Returns what opening said. */
eddy_status world_inspect(struct world *, int64_t oldest, struct eddy_error *);
/* What is left of the events, on a whole disk; to the very end. */
void world_finish(struct world *);

void world_remove_files(const struct world *);
/* A line of the table (tests/fault/run.sh). */
void world_row(const char *fault, int trials, int violations, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool world_full(void); /* FAULT_FULL=1: all trials */

#endif
