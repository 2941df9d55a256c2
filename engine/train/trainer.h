/* Weights snapshots and the trainer that makes new ones, for all networks of a pipeline together (model.h).
 *
 * A `struct weights` is immutable and reference-counted; it holds all that training needs to go on from it.  A job is a
 * pure function: (base weights, windows) -> new weights, so a job that is run again gives the same bits, and inline and
 * background training agree.  Jobs of one trainer run in the order of submission; a job's base is the result of the
 * job before it (`after`) or a snapshot.
 *
 * Threads  weights_ref/unref are atomic; a trainer may serve several lanes; each lane calls from its own thread. */
#ifndef ENGINE_TRAIN_TRAINER_H
#define ENGINE_TRAIN_TRAINER_H

#include "eddy_buffer.h"
#include "engine/model/model.h"
#include "engine/train/optimiser.h"

/* How far the training of one network has come. */
struct train_progress {
    int64_t steps;          /* optimiser steps so far */
    int64_t refused;        /* steps refused so far */
    double loss, grad_norm; /* of the last accepted step, NaN before */
    struct train_pace pace; /* of train.schedule plateau */
};

struct weights {
    uint64_t version; /* 0 = initial; base->version + 1 for each job */
    size_t n_params;
    const float *master, *moment, *variance, *ema; /* [n_params] */
    const float *packed; /* [n_packed] serving order of ema (or of master when train.ema is 0) */
    int n_networks;
    const struct train_progress *progress; /* [n_networks] */
    int n_tensors;
    const struct train_health *health; /* [n_tensors] network by network, as tensors.h walks them */
};

eddy_status weights_initial(const struct model *, uint64_t seed, struct weights **, struct eddy_error *);
/* Of these params [n_params]: master and average alike, nothing learned yet. */
eddy_status weights_given(const struct model *, const float *params, uint64_t version, struct weights **,
                          struct eddy_error *);
struct weights *weights_ref(struct weights *);
void weights_unref(struct weights *); /* NULL is fine */
/* As bytes for the store: versioned, little-endian, with its own checksum; decode checks size, sum and finiteness. */
eddy_status weights_encode(const struct weights *, struct eddy_buffer *, struct eddy_error *);
eddy_status weights_decode(const struct model *, const void *bytes, size_t n, struct weights **, struct eddy_error *);

enum { TRAIN_HELD_MOST = 32 };

/* Windows of all networks that learn in a job: n + n_held of the first one after another, then those of the second, .. */
struct train_windows {
    const struct window_shape
        *shapes; /* [model->n]; n_steps 0: this network does not learn here and has no windows */
    const float *data;
    int n;      /* of each network */
    int n_held; /* of each network, behind these n: never trained on, the result is judged by them */
};
size_t train_windows_floats(const struct model *, const struct window_shape *shapes); /* one of each network */

struct train_job; /* one candidate in the making */
struct trainer;

/* mode TRAIN_INLINE runs jobs inside trainer_submit(); TRAIN_BACKGROUND starts one thread. */
eddy_status trainer_open(int mode, struct trainer **, struct eddy_error *);
/* Finishes the job in hand; the rest counts as done with its base as the result.  NULL is fine. */
void trainer_close(struct trainer *);

/* From the return on, no job uses this model any more: the one in hand stops before its next optimiser step, it and
 * those in the queue count as done with their base as the result.  To be called before a model is closed while its
 * trainer lives on. */
void trainer_forget(struct trainer *, const struct model *); /* trainer NULL is fine */

/* Queues a job over windows, which are copied.  The base is `after`'s result if given, else `base`.  With n = 0 the
 * result equals the base but for its version; so it does when the candidate is refused (train.champion): then its
 * steps count as refused ones.  The model and settings must outlive the job. */
eddy_status trainer_submit(struct trainer *, const struct model *, const struct train_settings *,
                           struct weights *base, struct train_job *after, const struct train_windows *,
                           struct train_job **out, struct eddy_error *);
bool train_job_done(const struct train_job *);
/* Waits until it is done (or timeout_ms passed: EDDY_EAGAIN); a negative timeout waits for as long as it takes. */
eddy_status train_job_wait(struct train_job *, int timeout_ms);
/* The result, borrowed from the job; NULL while it runs.  A job that failed (out of memory) returns its base. */
struct weights *train_job_result(struct train_job *);
/* The windows it was given, for checkpoints. */
struct train_windows train_job_windows(const struct train_job *);
void train_job_release(struct train_job *); /* NULL is fine; a job still queued is skipped */

#endif
