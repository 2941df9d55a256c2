/* Fuzzes what a lane finds in its state file behind the checksums: a checkpoint in which one blob, or one key's row, was
 * changed is refused with a message or goes on, and then folds events.
 *
 * Input    u8 which blob (then the model, then the rows) | u8 how | u16 where | bytes
 *          how: 0 overwrite, 1 cut off and append, 2 insert; 3 overwrite with one of `numbers`, which the first of the
 *          bytes names, at 4 times `where`
 *          Numbers are taken modulo what there is.  A model gets a right checksum again.  Of a row only the bytes can be
 *          changed, not their number: the store itself refuses that. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "config/config.h"
#include "config/little_endian.h"
#include "config/log.h"
#include "engine/flow/lane.h"
#include "engine/flow/lane_store.h"
#include "engine/state/store.h"
#include "plugin/registry.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_BLOBS = 24, INPUT_HEAD = 4, N_EVENTS = 400, N_AFTER = 12, HOW = 4 };

/* What a number in a hostile state may be, as 4 or 8 bytes. */
static const struct {
    int n;
    uint64_t bits;
} numbers[] = {
    {4, 0xffffffff},         {4, 0x7fffffff},         {4, 0x80000000},         {4, 0x7f800000},
    {4, 0xff800000},         {4, 0x7fc00000},         {4, 0x7f7fffff},         {4, 0xff7fffff},
    {4, 0x00000000},         {4, 0xbf800000},         {4, 0x00010000},         {8, 0xffffffffffffffff},
    {8, 0x7fffffffffffffff}, {8, 0x8000000000000000}, {8, 0x7ff0000000000000}, {8, 0xfff0000000000000},
    {8, 0x7ff8000000000000}, {8, 0x7fefffffffffffff}, {8, 0xffefffffffffffff}, {8, 0},
    {8, 0xbff0000000000000}, {8, 0x43e0000000000000}, {8, 0x7ffffffffffffff0},
};

static const char text[] =
    "name: fuzz\n"
    "forecast: {experts: [fleet, network, {arima: {p: 2}}, holt, {holt_winters: {season: 6}},\n"
    "  {rls: {lags: 2}}, {seasonal_naive: {season: 6}}, ses, wma],\n"
    "  season: auto, volatility: ewma, mix: {kind: both}, horizons: [1, 4],\n"
    "  network: {layers: [{lstm: {units: 2}}]}}\n"
    "detect: {silence: {keys: 8}, warmup: 5, detectors: [exceedance, machine, chart, stuck, missing,\n"
    "  drift, level_shift, committee]}\n"
    "state: {ttl: 90d}\n"
    "train: {mode: inline, every: 1, window: 8, epoch: 64, lag: 2, windows: 8}\n";
static const struct store_identity identity = {"fuzz", "topic", 0};
static const char *const value_names[] = {"a", "b"};

struct blob {
    char *name; /* NULL: the model */
    char *bytes;
    size_t n;
};

static struct world {
    struct config *config;
    struct plan *plan;
    struct trainer *trainer;
    uint64_t model;
    int n_blobs;
    struct blob blob[MOST_BLOBS];
    int n_rows;
    struct stored_row row[8];
} world;

static void must(eddy_status rc, const struct eddy_error *err)
{
    if (rc >= 0) return;
    (void)fprintf(stderr, "fuzz: %s\n", err->message);
    abort();
}

static void fold(struct lane *lane, int64_t from, int n, bool all)
{
    struct eddy_error err = {0};
    for (int64_t i = from; i < from + n; i++) {
        static const char *const keys[] = {"p", "q", "r"};
        double x[] = {sin((double)i), (double)(i % 5)};
        const struct lane_event event = {
            LANE_EVENT, i, {.key = keys[i % 3], .key_len = 1, .time_ns = i * 1000000000, .x = x}, NULL};
        struct eddy_result result;
        const eddy_status taken = lane_turn(lane, &event, 1, &result, &err);
        if (all) must(taken, &err);
        if (taken < 0) {
            if (!err.message[0]) abort();
            lane_abort(lane);
            return;
        }
        lane_commit(lane);
    }
}

static eddy_status lane_on(struct store *store, struct lane **lane, struct eddy_error *err)
{
    const struct lane_request request = {world.plan, "topic", 0, store, world.trainer, 8, NULL, NULL};
    return lane_open(&request, lane, err);
}

static void keep_blob(const char *name, const void *bytes, size_t n)
{
    if (world.n_blobs == MOST_BLOBS) abort();
    struct blob *b = &world.blob[world.n_blobs++];
    *b = (struct blob){name ? strdup(name) : NULL, malloc(n + 1), n};
    if (!b->bytes || (name && !b->name)) abort();
    memcpy(b->bytes, bytes, n);
}

static eddy_status keep_meta(void *context, const char *name, const void *bytes, size_t n, struct eddy_error *err)
{
    (void)context, (void)err;
    keep_blob(name, bytes, n);
    return EDDY_OK;
}

static eddy_status keep_row(void *context, const struct stored_row *row, struct eddy_error *err)
{
    (void)context, (void)err;
    struct stored_row *to = &world.row[world.n_rows++];
    *to = *row;
    char *key = malloc(row->key_len + 1);
    unsigned char *bytes = malloc(row->row_bytes + 1);
    if (!key || !bytes) abort();
    memcpy(key, row->key, row->key_len);
    memcpy(bytes, row->row, row->row_bytes);
    to->key = key;
    to->row = bytes;
    return EDDY_OK;
}

/* A checkpoint in the middle of an epoch, made once. */
static void world_open(void)
{
    static const struct eddy_schema schema = {.n_values = 2, .names = value_names};
    struct registry *registry;
    struct eddy_error err = {0};
    struct store *store = NULL;
    struct lane *lane = NULL;
    struct lane_position at;
    struct eddy_buffer model = {0};
    log_set_level(LOG_LEVEL_ERROR);
    must(registry_open(&registry, &err), &err);
    const struct config_request request = {
        .text = text, .parts = registry_parts(registry), .source_optional = true, .sink_optional = true};
    must(config_open(&request, &world.config, &err), &err);
    must(plan_open(config_settings(world.config), &schema, &world.plan, &err), &err);
    must(trainer_open(TRAIN_INLINE, &world.trainer, &err), &err);
    must(store_open("", &identity, STORE_MEMORY, &store, &err), &err);
    must(lane_on(store, &lane, &err), &err);
    fold(lane, 0, N_EVENTS, true);
    must(lane_checkpoint(lane, &err), &err);
    must(store_list_meta(store, keep_meta, NULL, &err), &err);
    must(store_scan(store, keep_row, NULL, &err), &err);
    must(lane_stored_position(store, &at, &err), &err);
    world.model = at.model;
    must(store_get_model(store, at.model, &model, &err), &err);
    keep_blob(NULL, model.data, model.len);
    eddy_buffer_free(&model);
    lane_close(lane);
    store_close(store);
}

static void put_number(const uint8_t *input, size_t n_input, unsigned char *to, size_t n)
{
    const size_t which = (n_input > INPUT_HEAD ? input[INPUT_HEAD] : 0) % (sizeof(numbers) / sizeof(*numbers));
    const size_t size = (size_t)numbers[which].n;
    if (n < size) return;
    unsigned char bits[8];
    le_put_u64(bits, numbers[which].bits);
    memcpy(to + 4 * ((size_t)input[2] | (size_t)input[3] << 8) % (n - size + 1), bits, size);
}

/* Puts the rows into the store; the one that the input names is changed. */
static void put_rows(struct store *store, const uint8_t *input, size_t n_input, int which, struct eddy_error *err)
{
    for (int i = 0; i < world.n_rows; i++) {
        struct stored_row row = world.row[i];
        unsigned char *copy = i == which ? malloc(row.row_bytes + 1) : NULL;
        if (copy) {
            const size_t given = n_input - INPUT_HEAD, at = (input[2] | (size_t)input[3] << 8) % (row.row_bytes + 1);
            memcpy(copy, row.row, row.row_bytes);
            if (input[1] % HOW == 3)
                put_number(input, n_input, copy, row.row_bytes);
            else
                memcpy(copy + at, input + INPUT_HEAD, given < row.row_bytes - at ? given : row.row_bytes - at);
            row.row = copy;
        }
        must(store_put_row(store, &row, err), err);
        free(copy);
    }
}

/* The changed copy of a blob; *n is its size. */
static char *changed(const struct blob *b, const uint8_t *input, size_t n_input, size_t *n)
{
    const uint8_t *bytes = input + INPUT_HEAD;
    const size_t given = n_input - INPUT_HEAD, at = ((size_t)input[2] | (size_t)input[3] << 8) % (b->n + 1);
    char *out = malloc(b->n + given + 1);
    if (!out) abort();
    memcpy(out, b->bytes, b->n);
    *n = b->n;
    if (input[1] % HOW == 3) {
        put_number(input, n_input, (unsigned char *)out, b->n);
    } else {
        memcpy(out + at, bytes, given);
        *n = at + given;
    }
    if (input[1] % HOW == 0 && *n < b->n) *n = b->n;
    if (input[1] % HOW == 2) {
        memcpy(out + at + given, b->bytes + at, b->n - at);
        *n = b->n + given;
    }
    if (!b->name && *n >= 8) le_put_u64((unsigned char *)out + *n - 8, XXH3_64bits(out, *n - 8));
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (!world.plan) world_open();
    if (n < INPUT_HEAD) return 0;
    struct eddy_error err = {0};
    struct store *store = NULL;
    struct lane *lane = NULL;
    const int which = bytes[0] % (world.n_blobs + world.n_rows);
    must(store_open("", &identity, STORE_MEMORY, &store, &err), &err);
    for (int i = 0; i < world.n_blobs; i++) {
        const struct blob *b = &world.blob[i];
        size_t size = b->n;
        char *copy = i == which ? changed(b, bytes, n, &size) : NULL;
        const char *put = copy ? copy : b->bytes;
        must(b->name ? store_put_meta(store, b->name, put, size, &err)
                     : store_put_model(store, world.model, put, size, &err),
             &err);
        free(copy);
    }
    put_rows(store, bytes, n, which - world.n_blobs, &err);
    must(store_commit(store, &err), &err);
    err = (struct eddy_error){0};
    const eddy_status rc = lane_on(store, &lane, &err);
    if (rc < 0 && !err.message[0]) abort();
    if (rc >= 0 && lane_next(lane) < INT32_MAX) fold(lane, lane_next(lane), N_AFTER, false);
    lane_close(lane);
    store_close(store);
    return 0;
}
