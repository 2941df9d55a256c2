#include "engine/flow/lane_triggers.h"

#include <math.h>
#include <string.h>

#include "eddy_codec.h"
#include "engine/math/precise.h"

static const double LOSS_LIMIT = 16, LOSS_UNIT = 1 << 16; /* sums of 2^43 errors fit */
static const double LATE = 4, LONG = 128;                 /* epochs */
static const double GROWN = .405, SPREADS = 3;            /* by half, and so many usual deviations of one epoch */
enum { SETTLED = 24 };                                    /* epochs that only say what is usual */

void triggers_error(struct lane_triggers *t, double error, double sigma)
{
    const double loss = fabs(error) / sigma;
    if (!isfinite(error) || !(sigma > 0) || !isfinite(loss)) return;
    t->loss_sum += (int64_t)(fmin(loss, LOSS_LIMIT) * LOSS_UNIT + .5);
    t->losses++;
}

bool triggers_epoch(struct lane_triggers *t, const struct train_settings *s, int64_t boundary)
{
    if (t->losses == 0) return false;
    const double y = precise_log((double)t->loss_sum / LOSS_UNIT / (double)t->losses + 1 / LOSS_UNIT);
    t->loss_sum = t->losses = 0;
    const double first = 1 / (double)++t->epochs, gain = fmax(first, 1 / LONG);
    t->late += fmax(first, 1 / LATE) * (y - t->late);
    if (boundary < t->pressing_until) return false;
    if (t->pressing_until > 0) t->usual = t->late; /* what is left then is the new normal */
    t->pressing_until = 0;
    if (t->epochs > SETTLED && t->late - t->usual > fmax(GROWN, SPREADS * t->spread)) {
        t->pressing_until = boundary + s->drift_epochs;
        return true;
    }
    t->spread += gain * (fabs(y - t->usual) - t->spread);
    t->usual = fmin(t->usual + gain * (y - t->usual), t->late); /* what has been learnt counts at once */
    return false;
}

bool triggers_due(const struct lane_triggers *t, const struct train_settings *s, int64_t boundary, int64_t now)
{
    if (s->every_time == 0 || boundary < t->pressing_until) return true;
    if (now == EDDY_NO_TIME) return false;
    return t->trained_at == EDDY_NO_TIME || (uint64_t)now - (uint64_t)t->trained_at >= (uint64_t)s->every_time;
}

int triggers_rounds(const struct lane_triggers *t, const struct train_settings *s, int64_t boundary)
{
    return boundary < t->pressing_until ? 1 + (int)s->drift_rounds : 1;
}

/* ---- checkpoints ---- */

enum { N_REALS = 3 };

static eddy_status blob_real(struct eddy_buffer *b, double x, eddy_status before)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return blob_u64(b, bits, before);
}

static bool blob_get_real(struct blob_reader *r, double *x)
{
    uint64_t bits;
    if (!blob_get_u64(r, &bits)) return false;
    memcpy(x, &bits, sizeof(bits));
    return isfinite(*x);
}

eddy_status triggers_blob(const struct lane_triggers *t, struct eddy_buffer *b, eddy_status before)
{
    const double reals[N_REALS] = {t->late, t->usual, t->spread};
    const int64_t counts[] = {t->trained_at, t->loss_sum, t->losses, t->pressing_until, t->epochs};
    eddy_status rc = before;
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) rc = blob_i64(b, counts[i], rc);
    for (int i = 0; i < N_REALS; i++) rc = blob_real(b, reals[i], rc);
    return rc;
}

bool triggers_get(struct lane_triggers *t, struct blob_reader *b)
{
    struct lane_triggers in = {0};
    double *reals[N_REALS] = {&in.late, &in.usual, &in.spread};
    int64_t *counts[] = {&in.trained_at, &in.loss_sum, &in.losses, &in.pressing_until, &in.epochs};
    bool good = true;
    for (size_t i = 0; good && i < sizeof(counts) / sizeof(*counts); i++) good = blob_get_i64(b, counts[i]);
    for (int i = 0; good && i < N_REALS; i++) good = blob_get_real(b, reals[i]);
    good = good && in.loss_sum >= 0 && in.losses >= 0 && in.epochs >= 0;
    if (good) *t = in;
    return good;
}
