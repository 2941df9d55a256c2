/* A training job: the pure function (base weights, windows) -> new weights, and who waits for it.  Private to
 * engine/train.
 *
 * Memory   reference-counted: its owner, the trainer's queue and the job after it hold one each.
 * Threads  one thread runs it; `result` is set once, before `done`. */
#ifndef ENGINE_TRAIN_JOB_H
#define ENGINE_TRAIN_JOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/train/trainer.h"

struct train_job {
    atomic_int refs;
    const struct model *model;
    const struct train_settings *settings;
    struct weights *base;         /* used when there is no `after` */
    struct train_job *after;      /* dropped when the job is done */
    struct train_windows windows; /* the job's own copy, in `memory` */
    void *memory;
    struct train_job *next_in_queue;
    atomic_bool unwanted; /* its lane is closing: stops before the next optimiser step, the base is the result */

    struct weights *result;
    atomic_bool done;
    pthread_mutex_t lock; /* with `finished`: for those who wait */
    pthread_cond_t finished;
};

struct train_job *job_new(const struct model *, const struct train_settings *, struct weights *base,
                          struct train_job *after, const struct train_windows *);
struct train_job *job_ref(struct train_job *);
/* Only the queue still knows of it: nobody will ask for the result. */
bool job_forgotten(const struct train_job *);
void job_run(struct train_job *, struct train_scratch *);
/* Done without having run: its result is its base. */
void job_skip(struct train_job *);

#endif
