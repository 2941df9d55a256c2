/* Categories, such as a machine's type, as inputs that the layers above can weigh: it stands at the bottom of a network,
 * where the last C columns of x hold category numbers n_1 .. n_C.
 *
 *   y = [the other columns | E_1 | .. | E_C]
 *   one_hot   E_c = 1 at bucket(n_c), 0 elsewhere, [buckets]          bucket(n) = n mod buckets; 0 for what is
 *   learned   E_c = row bucket(n_c) of the table W_c, [units]         negative or no finite number
 *   backward  d_W_c[bucket(n_c)] += d_E_c;  d_x of the other columns is d_y;  a number's neighbours say nothing: d_x 0
 *
 * Parameters  learned: weight.0 .. weight.C-1 W_c [buckets, units]        State  none        Tape  none: x says it all */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/math/kernels.h"
#include "engine/model/initial.h"
#include "engine/model/layers.h"

enum embedding_encoding { ENCODING_ONE_HOT, ENCODING_LEARNED }; /* the order of the option's words */
enum { MAX_BUCKETS = 16384, MAX_UNITS = 1024, MAX_CATEGORIES = 32 };

struct embedding_settings {
    int encoding; /* enum embedding_encoding */
    int64_t buckets, units;
};

static const struct eddy_option embedding_options[] = {
    {"encoding", EDDY_OPT_ENUM, offsetof(struct embedding_settings, encoding), "learned", 0, 0, "one_hot|learned",
     "What stands for a category: a 1 among zeros, or a vector that is trained.", NULL, 0, false},
    {"buckets", EDDY_OPT_INT, offsetof(struct embedding_settings, buckets), "32", 2, MAX_BUCKETS, "",
     "Categories are told apart modulo this number: a few times the count of different ones.", NULL, 0, false},
    {"units", EDDY_OPT_INT, offsetof(struct embedding_settings, units), "4", 1, MAX_UNITS, "",
     "Encoding learned: width of the vector that stands for a category.", NULL, 0, false},
    {0}};

static bool embedding_learns(const struct embedding_settings *s)
{
    return s->encoding == ENCODING_LEARNED;
}

/* Columns of y for one category. */
static int embedding_width(const struct embedding_settings *s)
{
    return (int)(embedding_learns(s) ? s->units : s->buckets);
}

static eddy_status embedding_place(const struct eddy_layer_place *place, struct eddy_error *err)
{
    if (place->above)
        return eddy_fail(err, EDDY_ECONFIG,
                         "embedding: it reads the categories among the network's own inputs, so it must be the "
                         "network's first layer");
    if (place->n_categories < 1)
        return eddy_fail(err, EDDY_ECONFIG,
                         "embedding: this network reads no categories: the codec's option `categories` names them, "
                         "and the network's `inputs`, if given, must list them");
    if (place->n_categories > place->n_in || place->n_categories > MAX_CATEGORIES)
        return eddy_fail(err, EDDY_ECONFIG, "embedding: %d categories among %d inputs cannot be, at most %d can",
                         place->n_categories, place->n_in, MAX_CATEGORIES);
    return EDDY_OK;
}

static eddy_status embedding_plan(const void *settings, const struct eddy_layer_place *place,
                                  struct eddy_layer_plan *out, struct eddy_error *err)
{
    const struct embedding_settings *s = settings;
    eddy_status rc = embedding_place(place, err);
    if (rc < 0) return rc;
    const long long buckets = s->buckets, units = s->units;
    if (buckets < 2 || buckets > MAX_BUCKETS || units < 1 || units > MAX_UNITS)
        return eddy_fail(err, EDDY_ECONFIG, "embedding: %lld buckets of %lld units cannot be", buckets, units);
    const size_t n_tables = embedding_learns(s) ? (size_t)place->n_categories : 0;
    const size_t n_weights = n_tables * (size_t)s->buckets * (size_t)s->units;
    *out = (struct eddy_layer_plan){
        .n_in = place->n_in,
        .n_out = place->n_in + place->n_categories * (embedding_width(s) - 1),
        .n_params = n_weights,
        .n_packed = n_weights,
        .stride = 1,
        .multiply_adds = n_tables * (size_t)s->units, /* one row of each table */
        .settings = settings,
    };
    return EDDY_OK;
}

/* x is [others | categories] wide, y [others | categories * width]. */
struct embedding_columns {
    int others, categories, width, buckets;
    size_t table; /* weights of one */
};

static struct embedding_columns embedding_columns(const struct eddy_layer_plan *plan)
{
    const struct embedding_settings *s = plan->settings;
    const size_t table = (size_t)s->buckets * (size_t)s->units;
    const int buckets = (int)s->buckets;
    const int categories = embedding_learns(s) ? (int)(plan->n_params / table)
                                               : (plan->n_out - plan->n_in) / (buckets - 1);
    return (struct embedding_columns){plan->n_in - categories, categories, embedding_width(s), buckets, table};
}

/* fmod is exact, so it gives the same bits everywhere. */
static int embedding_bucket(float number, int buckets)
{
    return number > 0 && isfinite(number) ? (int)fmod((double)number, (double)buckets) : 0;
}

/* One weight moves a unit as one of a dense layer with a single input does. */
static void embedding_init(const struct eddy_layer_plan *plan, uint64_t seed, float *params)
{
    initial_weights(seed, 0, plan->n_params, 1, params);
}

static void embedding_pack(const struct eddy_layer_plan *plan, const float *params, float *packed)
{
    if (plan->n_params > 0) memcpy(packed, params, plan->n_params * sizeof(float));
}

static void embedding_step(const struct eddy_layer_plan *plan, const float *packed, const struct eddy_rows *rows,
                           float *work)
{
    (void)work;
    const struct embedding_columns at = embedding_columns(plan);
    const size_t width = (size_t)at.width;
    for (int b = 0; b < rows->n; b++) {
        float *y = rows->y[b] + at.others;
        memcpy(rows->y[b], rows->x[b], (size_t)at.others * sizeof(float));
        for (int c = 0; c < at.categories; c++, y += width) {
            const size_t bucket = (size_t)embedding_bucket(rows->x[b][at.others + c], at.buckets);
            if (plan->n_params > 0) {
                memcpy(y, packed + (size_t)c * at.table + bucket * width, width * sizeof(float));
            } else {
                memset(y, 0, width * sizeof(float));
                y[bucket] = 1;
            }
        }
    }
}

static void embedding_backward(const struct eddy_layer_plan *plan, const float *params, const struct eddy_tape *tape,
                               float *d_params, float *back)
{
    (void)params, (void)back;
    const struct kernels *k = kernels_best();
    const struct embedding_columns at = embedding_columns(plan);
    const size_t cells = (size_t)tape->n_steps * (size_t)tape->n_rows, n_in = (size_t)plan->n_in;
    const size_t width = (size_t)at.width, others = (size_t)at.others, categories = (size_t)at.categories;
    for (size_t cell = 0; cell < cells; cell++) {
        const float *x = tape->x + cell * n_in, *d_y = tape->d_y + cell * (size_t)plan->n_out;
        for (size_t c = 0; c < categories && plan->n_params > 0; c++) {
            const size_t bucket = (size_t)embedding_bucket(x[others + c], at.buckets);
            k->add(width, d_y + others + c * width, d_params + c * at.table + bucket * width);
        }
        if (!tape->d_x) continue;
        memcpy(tape->d_x + cell * n_in, d_y, others * sizeof(float));
        memset(tape->d_x + cell * n_in + others, 0, categories * sizeof(float));
    }
}

static bool embedding_tensor(const struct eddy_layer_plan *plan, int i, struct eddy_tensor_info *out)
{
    const struct embedding_columns at = embedding_columns(plan);
    if (plan->n_params == 0 || i < 0 || i >= at.categories) return false;
    *out = (struct eddy_tensor_info){.first = (size_t)i * at.table, .rows = at.buckets, .cols = at.width};
    (void)snprintf(out->name, sizeof(out->name), "weight.%d", i);
    return true;
}

const struct eddy_layer layer_embedding = {
    .part = {.struct_size = sizeof(struct eddy_layer),
             .kind = EDDY_PART_LAYER,
             .name = "embedding",
             .summary = "Categories as ones among zeros or as trained vectors; the first layer of a network.",
             .options = embedding_options,
             .settings_size = sizeof(struct embedding_settings)},
    .plan = embedding_plan,
    .init = embedding_init,
    .pack = embedding_pack,
    .step = embedding_step,
    .backward = embedding_backward,
    .tensor = embedding_tensor,
};
