/* One batch of a partition: decode, fold, encode, send. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/failpoint.h"
#include "config/log.h"
#include "engine/flow/driver_private.h"

enum { STALL_MS = 20, PAUSE_AFTER = 25 /* stalls: half a second */, PLACE_BYTES = 512 };

/* ---- waiting ---- */

/* Stands still for a moment while the group is served.  After a while the partitions are paused as well, so that
 * nothing is fetched that nobody can take; *stalls counts. */
static eddy_status feed_stall(struct driver *d, int *stalls, struct eddy_error *err)
{
    const struct eddy_source *source = d->request.source;
    eddy_status rc = source->serve(d->source, err);
    if (rc >= 0 && ++*stalls == PAUSE_AFTER)
        for (int i = 0; i < d->n_lanes && rc >= 0; i++)
            if (!d->lanes[i]->gone) rc = source->pause(d->source, d->lanes[i], err);
    return rc;
}

static eddy_status feed_go_on(struct driver *d, int stalls, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    if (stalls >= PAUSE_AFTER)
        for (int i = 0; i < d->n_lanes && rc >= 0; i++)
            if (!d->lanes[i]->gone) rc = d->request.source->resume(d->source, d->lanes[i], err);
    return rc;
}

/* Sends all messages, however long the sink takes; stops early when the lane was revoked meanwhile.  A program that is
 * told to stop while the broker is away gives up: what was not sent lies behind the checkpoint and comes again. */
eddy_status driver_send(struct driver *d, const struct eddy_sink *type, void *sink,
                        const struct sink_message *messages, int n, struct eddy_error *err)
{
    int sent = 0, stalls = 0;
    eddy_status rc = n > 0 ? driver_begin(d, err) : EDDY_OK;
    while (rc >= 0 && sent < n && !d->in_hand->gone && !d->spoilt) {
        const int some = FAILPOINT_ARMED("half_sent") && sent == 0 ? (n + 1) / 2 : n - sent;
        rc = type->send(sink, messages + sent, some, err);
        if (rc < 0 && rc != EDDY_EAGAIN) break;
        sent += rc > 0 ? rc : 0;
        rc = EDDY_OK;
        if (sent == n) break;
        FAILPOINT("half_sent");
        rc = type->service(sink, STALL_MS, err);
        if (rc >= 0) rc = feed_stall(d, &stalls, err);
        if (rc >= 0 && driver_stopping(d)) rc = EDDY_EAGAIN;
        if (rc < 0) break;
    }
    eddy_status resumed = feed_go_on(d, stalls, err);
    return rc < 0 ? rc : resumed < 0 ? resumed : EDDY_OK;
}

/* ---- dead letters ---- */

static eddy_status feed_dead_letter(struct driver *d, const struct eddy_record *r, const struct eddy_error *why,
                                    struct eddy_error *err)
{
    char partition[16], offset[24], time[24];
    (void)snprintf(partition, sizeof(partition), "%d", (int)r->partition);
    (void)snprintf(offset, sizeof(offset), "%" PRId64, r->offset);
    (void)snprintf(time, sizeof(time), "%" PRId64, r->time_ns == EDDY_NO_TIME ? -1 : r->time_ns / 1000000);
    const char *code = why->reason && *why->reason ? why->reason : "bad_record";
    const struct sink_header headers[] = {
        {"__eddy.errors.topic", r->topic, strlen(r->topic)},
        {"__eddy.errors.partition", partition, strlen(partition)},
        {"__eddy.errors.offset", offset, strlen(offset)},
        {"__eddy.errors.timestamp", time, strlen(time)},
        {"__eddy.errors.stage", "decode", strlen("decode")},
        {"__eddy.errors.code", code, strlen(code)},
        {"__eddy.errors.message", why->message, strlen(why->message)},
    };
    const struct sink_message message = {.partition = -1,
                                         .key = r->key,
                                         .key_len = r->key_len,
                                         .payload = r->payload,
                                         .len = r->payload_len,
                                         .time_ns = r->time_ns,
                                         .headers = headers,
                                         .n_headers = sizeof(headers) / sizeof(headers[0])};
    const struct eddy_sink *type = (const struct eddy_sink *)(const void *)d->settings->errors.dead_letter.part;
    return driver_send(d, type, d->dead_letters, &message, 1, err);
}

/* A line of a file by its number, a record of a topic by its offset. */
static const char *feed_place(const struct eddy_record *r, char out[PLACE_BYTES])
{
    if (r->line > 0)
        (void)snprintf(out, PLACE_BYTES, "%s:%" PRId64, r->topic, r->line);
    else
        (void)snprintf(out, PLACE_BYTES, "%s[%d] offset %" PRId64, r->topic, (int)r->partition, r->offset);
    return out;
}

static eddy_status feed_bad(struct driver *d, const struct eddy_record *r, const struct eddy_error *why,
                            struct eddy_error *err)
{
    char place[PLACE_BYTES];
    if (d->settings->errors.tolerance == TOLERANCE_NONE)
        return eddy_fail(err, EDDY_EDATA, "%s: %.700s (errors.tolerance: none stops here)", feed_place(r, place),
                         why->message);
    d->stats.bad++;
    if (r->offset < d->in_hand->emit_from) return EDDY_OK;
    eddy_status rc = EDDY_OK;
    FAILPOINT("before_dead_letter");
    if (d->dead_letters && !FAILPOINT_BREAK("drop_letter"))
        rc = feed_dead_letter(d, r, why, err);
    else
        log_warn("bad_record", "%s: %.700s", feed_place(r, place), why->message);
    if (rc >= 0 && d->request.on_bad) d->request.on_bad(d->request.context, r, why);
    return rc;
}

/* ---- decode ---- */

/* The first good record of a partition tells the names of its values. */
static eddy_status feed_discover(struct driver *d, struct driver_lane *dl, const struct eddy_codec *type, void *codec,
                                 const struct eddy_record *r, struct eddy_error *err)
{
    d->names.len = 0;
    eddy_status n = type->discover(codec, r, &d->names, err);
    if (n < 0) return n;
    const char **names = (const char **)calloc((size_t)n, sizeof(*names));
    if (!names) return eddy_fail(err, EDDY_ENOMEM, "%s[%d]: out of memory", dl->topic, (int)dl->partition);
    const char *at = d->names.data;
    for (int i = 0; i < n; i++, at += strlen(at) + 1) names[i] = at;
    dl->next = r->offset;
    eddy_status rc = driver_open_lane(d, dl, &(struct eddy_schema){.n_values = n, .names = names}, err);
    free((void *)names);
    return rc;
}

static eddy_status feed_room_for_values(struct driver *d, const struct eddy_schema *s, struct eddy_error *err)
{
    size_t values = (size_t)d->chunk * (size_t)s->n_values, categories = (size_t)d->chunk * (size_t)s->n_categories;
    if (values > d->x_cap) {
        free(d->x);
        d->x = calloc(values, sizeof(*d->x));
        d->x_cap = d->x ? values : 0;
    }
    if (categories > d->category_cap) {
        free(d->category);
        d->category = calloc(categories, sizeof(*d->category));
        d->category_cap = d->category ? categories : 0;
    }
    if (values <= d->x_cap && categories <= d->category_cap) return EDDY_OK;
    return eddy_fail(err, EDDY_ENOMEM, "out of memory for %d values and %d categories a record", s->n_values,
                     s->n_categories);
}

/* Where the i-th event's values and categories go; a codec that knows no categories leaves them missing. */
static void feed_give_room(struct driver *d, const struct eddy_schema *s, int i, struct eddy_event *event)
{
    event->x = d->x + (size_t)i * (size_t)s->n_values;
    event->category = s->n_categories ? d->category + (size_t)i * (size_t)s->n_categories : NULL;
    for (int k = 0; k < s->n_categories; k++) event->category[k] = EDDY_NO_CATEGORY;
}

/* Decodes one record into an event.  A bad one becomes LANE_SKIP, and EDDY_EDATA says why it has to go to the dead
 * letters. */
static eddy_status feed_decode(struct driver *d, struct driver_lane *dl, const struct eddy_record *r, int i,
                               struct lane_event *out, struct eddy_error *err)
{
    eddy_status rc = EDDY_OK;
    *out = (struct lane_event){.kind = LANE_SKIP, .offset = r->offset, .topic = r->topic};
    if (!r->payload) {
        d->stats.tombstones++;
        if (d->request.forget_tombstones && r->key && r->key_len <= (size_t)d->limits.key && dl->lane)
            *out = (struct lane_event){LANE_FORGET, r->offset, {.key = r->key, .key_len = r->key_len}, NULL};
        return EDDY_OK;
    }
    bool context = r->context && d->context_codec;
    const struct eddy_codec *type = context ? d->request.context_codec : d->codec_type;
    void *codec = context ? d->context_codec : d->codec;

    if (!dl->lane) rc = feed_discover(d, dl, type, codec, r, err);
    if (rc >= 0) rc = feed_room_for_values(d, &dl->plan->schema, err);
    if (rc >= 0) {
        feed_give_room(d, &dl->plan->schema, i, &out->event);
        rc = type->decode(codec, &dl->plan->schema, r, &d->arena, &out->event, err);
    }
    if (rc < 0) return rc;
    out->kind = LANE_EVENT;
    d->stats.events++;
    return EDDY_OK;
}

/* ---- fold, encode, send ---- */

/* Results of the events taken, from emit_from on and not written yet, as messages. */
static eddy_status feed_encode(struct driver *d, struct driver_lane *dl, const struct lane_event *events, int n,
                               int *n_messages, struct eddy_error *err)
{
    d->encoded.len = 0;
    *n_messages = 0;
    for (int i = 0; i < n; i++) {
        if (events[i].kind != LANE_EVENT) continue;
        if (events[i].offset < dl->emit_from) {
            d->stats.silent++;
            FAILPOINT("silent_replay");
            continue;
        }
        const struct eddy_result *r = &d->results[i];
        if (d->request.on_result) d->request.on_result(d->request.context, r);
        d->stats.results++;
        if (!d->sink) continue;
        d->starts[*n_messages] = d->encoded.len;
        struct eddy_result plain;
        if (d->request.incidents_apart && r->n_incidents > 0) {
            plain = *r;
            plain.n_incidents = 0;
            r = &plain;
        }
        eddy_status rc = d->sink_codec_type->encode(d->sink_codec, r, &d->encoded, err);
        if (rc < 0) return rc;
        const size_t start = d->starts[*n_messages];
        if (dl->written.n > 0 &&
            driver_written_has(dl, events[i].offset, d->encoded.data + start, d->encoded.len - start)) {
            d->encoded.len = start;
            d->stats.results--;
            d->stats.silent++;
            FAILPOINT("silent_replay");
            continue;
        }
        d->messages[(*n_messages)++] = (struct sink_message){
            .partition = r->partition, .key = r->key, .key_len = r->key_len, .time_ns = EDDY_NO_TIME};
    }
    d->starts[*n_messages] = d->encoded.len;
    for (int i = 0; i < *n_messages; i++) {
        d->messages[i].payload = d->encoded.data + d->starts[i];
        d->messages[i].len = d->starts[i + 1] - d->starts[i];
    }
    if (FAILPOINT_BREAK("drop_output") || FAILPOINT_BREAK("swap_outputs") || FAILPOINT_BREAK("repeat_output"))
        *n_messages = driver_break_outputs(d, *n_messages);
    return EDDY_OK;
}

/* Waits for the candidate that the lane needs; the group is served meanwhile. */
static eddy_status feed_wait(struct driver *d, struct driver_lane *dl, struct eddy_error *err)
{
    int stalls = 0;
    d->stats.waits++;
    eddy_status rc = lane_wait(dl->lane, STALL_MS), served = EDDY_OK;
    while (rc == EDDY_EAGAIN && served >= 0 && !dl->gone && !d->spoilt && !driver_stopping(d)) {
        served = feed_stall(d, &stalls, err);
        if (served >= 0) served = driver_transaction_tick(d, err);
        if (served >= 0 && !dl->gone) rc = lane_wait(dl->lane, STALL_MS);
    }
    eddy_status resumed = feed_go_on(d, stalls, err);
    if (served < 0) return served;
    if (resumed < 0) return resumed;
    return dl->gone || d->spoilt ? EDDY_OK
                                 : rc; /* EDDY_EAGAIN: told to stop; the windows are saved and trained again */
}

/* `bad`, with `why`: the one event is a record that could not be decoded; NULL = all are good. */
static eddy_status feed_fold(struct driver *d, struct driver_lane *dl, int n, const struct eddy_record *bad,
                             const struct eddy_error *why, double *cpu, struct eddy_error *err)
{
    int done = 0, n_messages;
    while (done < n && !dl->gone && !d->spoilt) {
        struct lane_event *events = d->events + done;
        eddy_status taken = driver_transaction_room(d, err);
        if (taken < 0) return taken;
        if (dl->gone || d->spoilt) break;
        FAILPOINT("before_turn");
        const int64_t begun_ns = d->transaction ? driver_clock_ns() : 0;
        taken = lane_turn(dl->lane, events, n - done, d->results, err);
        if (taken < 0) {
            lane_abort(dl->lane);
            dl->condemned = taken == EDDY_ECORRUPT;
            return taken;
        }
        FAILPOINT("after_turn");
        if (d->transaction && driver_clock_ns() - begun_ns > d->longest_turn_ns)
            d->longest_turn_ns = driver_clock_ns() - begun_ns;
        driver_stage(d, &d->stats.cpu_lane, cpu);
        if (taken == 0) {
            eddy_status rc = feed_wait(d, dl, err);
            if (rc < 0) return rc;
            continue;
        }
        eddy_status rc = feed_encode(d, dl, events, taken, &n_messages, err);
        driver_stage(d, &d->stats.cpu_encode, cpu);
        FAILPOINT("before_send");
        d->sending = true;
        if (rc >= 0 && bad) rc = feed_bad(d, bad, why, err);
        if (rc >= 0 && d->sink) rc = driver_send(d, d->request.sink, d->sink, d->messages, n_messages, err);
        FAILPOINT("after_send");
        if (rc >= 0 && !dl->gone && !d->spoilt) rc = driver_send_incidents(d, dl, events, taken, err);
        if (rc >= 0 && d->request.flush_each && d->sink) rc = d->request.sink->service(d->sink, 0, err);
        driver_stage(d, &d->stats.cpu_send, cpu);
        if (rc < 0) return rc;
        FAILPOINT("before_lane_commit");
        if (!dl->gone) lane_commit(dl->lane);
        if (!d->spoilt) d->sending = false;
        driver_stage(d, &d->stats.cpu_lane, cpu);
        done += taken;
    }
    return EDDY_OK;
}

/* A dead letter goes out with its own turn, behind the results of the n events before it, so that whatever has been sent at
 * any moment belongs to the events before one offset. */
static eddy_status feed_one_bad(struct driver *d, struct driver_lane *dl, int n, const struct eddy_record *r,
                                const struct eddy_error *why, double *cpu, struct eddy_error *err)
{
    driver_stage(d, &d->stats.cpu_decode, cpu);
    struct lane_event skipped = {.kind = LANE_SKIP, .offset = r->offset, .topic = r->topic};
    eddy_status rc = n > 0 ? feed_fold(d, dl, n, NULL, NULL, cpu, err) : EDDY_OK;
    if (rc < 0 || dl->gone || d->spoilt) return rc;
    if (dl->lane) {
        d->events[0] = skipped;
        return feed_fold(d, dl, 1, r, why, cpu, err);
    }
    d->sending = true;
    rc = feed_bad(d, r, why, err);
    if (!d->spoilt) d->sending = false;
    if (rc >= 0 && !dl->gone) dl->next = r->offset + 1;
    return rc;
}

static eddy_status feed_batch(struct driver *d, struct driver_lane *dl, const struct source_batch *b,
                              struct eddy_error *err)
{
    struct eddy_error why = {
        0}; /* of the record in hand; clearing it all each time costs half as much as reading one */
    double cpu = 0;
    int n = 0;
    if (FAILPOINT_BREAK("early_offset")) driver_break_commit(d, dl, b->records[b->n - 1].offset + 1);
    driver_stage(d, NULL, &cpu);
    for (int i = 0; i < b->n && !dl->gone && !d->spoilt; i++) {
        if (b->records[i].offset < driver_next(dl)) continue; /* read again after a seek */
        d->stats.records++;
        why.reason = NULL;
        why.message[0] = '\0';
        eddy_status rc = feed_decode(d, dl, &b->records[i], n, &d->events[n], &why);
        if (rc == EDDY_EDATA) {
            rc = feed_one_bad(d, dl, n, &b->records[i], &why, &cpu, err);
            n = 0;
        } else if (rc < 0 && err) {
            *err = why;
        } else if (dl->lane) {
            n++;
        } else {
            dl->next = b->records[i].offset + 1;
        }
        if (rc < 0) return rc;
    }
    driver_stage(d, &d->stats.cpu_decode, &cpu);
    FAILPOINT("after_decode");
    return feed_fold(d, dl, n, NULL, NULL, &cpu, err);
}

eddy_status driver_feed(struct driver *d, const struct source_batch *batch, struct eddy_error *err)
{
    struct driver_lane *dl = batch->tag;
    if (!dl) return EDDY_OK; /* revoked while an earlier batch was in hand */
    if (dl->refused || dl->held) return d->request.source->pause(d->source, dl, err);

    d->in_hand = dl;
    eddy_status rc = EDDY_OK;
    for (int first = 0; first < batch->n && rc >= 0 && !dl->gone && !d->spoilt; first += d->chunk) {
        struct source_batch part = {dl, batch->n - first < d->chunk ? batch->n - first : d->chunk,
                                    batch->records + first};
        eddy_arena_reset(&d->arena);
        rc = feed_batch(d, dl, &part, err);
    }
    if (rc < 0 && dl->lane) lane_abort(dl->lane);
    d->in_hand = NULL;
    if (dl->gone) driver_free_lane(d, dl);
    return rc; /* EDDY_EAGAIN: told to stop while the sink is full; nothing of this lane may follow */
}
