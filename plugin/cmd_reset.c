/* eddy reset CONFIG: moves the group's offsets, and with them the local state.
 *
 * Offsets and state belong together: moving one without the other folds events twice or leaves them out.  So with
 * --execute the state directory is renamed (not deleted), a copy in a topic (state.topic), which the next start would
 * restore, is deleted, and then the offsets are committed, with a mark of where the output
 * ends: results before it are of lives before the reset and are written again, results behind it are not, whatever
 * happens until the next life commits a position itself (engine/flow/position_mark.h).  When one of the last two fails
 * the state is put back; without its copy, which the next run writes anew. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectors/codec/timestamp.h"
#include "connectors/kafka/kafka.h"
#include "connectors/kafka/kafka_admin.h"
#include "engine/state/topic_record.h"
#include "plugin/commands.h"
#include "plugin/pipeline.h"

struct args {
    struct command_list sets;
    const char *to_datetime;
    int64_t shift_by;
    bool to_earliest, execute;
};

enum { NO_SHIFT = 0, ASK_MS = 15000, SESSION_S = 60 };

static const struct command_option options[] = {
    {"to-earliest", COMMAND_FLAG, offsetof(struct args, to_earliest), NULL,
     "to the first record that the topics keep"},
    {"to-datetime", COMMAND_TEXT, offsetof(struct args, to_datetime), "T",
     "to the first record from T on (RFC 3339)"},
    {"shift-by", COMMAND_COUNT, offsetof(struct args, shift_by), "N",
     "by N records from where the group is; may be negative"},
    {"execute", COMMAND_FLAG, offsetof(struct args, execute), NULL, "do it; without it the plan is only printed"},
    COMMAND_SETS(struct args, sets),
    {0},
};

struct reset {
    const struct args *args;
    const struct settings *settings;
    struct kafka_admin *admin;
    struct kafka_group_position *positions; /* `committed` becomes the new one */
    int n;
    char *state, *aside; /* the state's directory and what it is renamed to */
};

static eddy_status reset_plan(struct reset *r, struct eddy_error *err)
{
    const struct kafka_source_settings *source = r->settings->source.settings;
    const struct args *a = r->args;
    const char *when = a->to_datetime ? a->to_datetime : "earliest";
    eddy_status rc = kafka_admin_positions(r->admin, r->settings->name, &source->topics, when, &r->positions, &r->n,
                                           err);
    if (rc < 0) return rc;
    printf("%-24s %10s %14s %14s %14s\n", "topic", "partition", "now", "new", "events to fold");
    for (int i = 0; i < r->n; i++) {
        struct kafka_group_position *p = &r->positions[i];
        int64_t now = p->committed, next = p->at;
        if (a->shift_by != NO_SHIFT && __builtin_add_overflow(now < 0 ? p->low : now, a->shift_by, &next))
            next = a->shift_by < 0 ? p->low : p->high;
        if (next < p->low) next = p->low;
        if (next > p->high) next = p->high;
        char was[24] = "-";
        if (now >= 0) (void)snprintf(was, sizeof(was), "%" PRId64, now);
        printf("%-24s %10d %14s %14" PRId64 " %14" PRId64 "\n", p->topic, (int)p->partition, was, next,
               p->high - next);
        p->committed = next;
    }
    return EDDY_OK;
}

static eddy_status reset_paths(struct reset *r, struct eddy_error *err)
{
    char when[32];
    struct tm tm;
    time_t now = time(NULL);
    (void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    if (asprintf(&r->state, "%s/%s", r->settings->state.path, r->settings->name) < 0) r->state = NULL;
    if (r->state && asprintf(&r->aside, "%s.reset-%s", r->state, when) < 0) r->aside = NULL;
    return r->aside ? EDDY_OK : eddy_fail(err, EDDY_ENOMEM, "reset: out of memory");
}

static eddy_status reset_members(struct reset *r, struct eddy_error *err)
{
    eddy_status n = kafka_admin_members(r->admin, r->settings->name, err);
    if (n <= 0) return n;
    return eddy_fail(err, EDDY_EBUSY, "group %s has %d member%s: stop eddy before its offsets are moved",
                     r->settings->name, n, n == 1 ? "" : "s");
}

/* Members that are alive, or a pipeline that holds the state, would go on from where they are.  A process that was
 * stopped stays a member until its session ends (source.kafka.instance_id); when nobody holds the state that is waited
 * for. */
static eddy_status reset_alone(struct reset *r, struct store_lock **lock, struct eddy_error *err)
{
    const bool held_here = access(r->state, F_OK) == 0;
    struct eddy_error busy;
    eddy_status rc = reset_members(r, err);
    if (rc < 0 && rc != EDDY_EBUSY) return rc;
    if (!held_here) return rc; /* no state, nothing to hold */
    if (store_lock_open(r->settings->state.path, r->settings->name, lock, &busy) < 0) {
        if (rc >= 0 && err) *err = busy;
        return rc < 0 ? rc : busy.code;
    }
    if (!r->args->execute) return EDDY_OK;
    if (rc == EDDY_EBUSY)
        fprintf(stderr, "waiting up to %d s for the session of a stopped process to end\n", SESSION_S);
    for (int s = 0; rc == EDDY_EBUSY && s < SESSION_S; s++) {
        (void)sleep(1);
        rc = reset_members(r, err);
    }
    return rc;
}

/* A damaged value is nobody else's as long as its key is ours. */
static eddy_status reset_whose(void *context, int32_t partition, const struct state_topic_record *record,
                               struct eddy_error *err)
{
    const struct reset *r = context;
    const struct kafka_source_settings *source = r->settings->source.settings;
    struct topic_reader reader = {.id = {r->settings->name, source->topics.item[0], partition},
                                  .topic = r->settings->state.topic};
    struct topic_thing thing;
    struct eddy_error why = {0};
    eddy_status rc = topic_take(&reader, record->offset, record->key, record->key_len, NULL, 0, &thing, &why);
    topic_reader_free(&reader);
    return rc >= 0 ? EDDY_OK : eddy_fail(err, EDDY_EMISMATCH, "%s; it is not deleted", why.message);
}

/* Only a copy of this pipeline's state goes.  The brokers forget the group's offsets with it. */
static eddy_status reset_topic(struct reset *r, struct eddy_error *err)
{
    const char *topic = pipeline_state_topic(r->settings);
    if (!topic) return EDDY_OK;
    char policy[64];
    const struct state_topic_request request = {r->settings->name, topic, &r->settings->source, NULL};
    eddy_status rc = kafka_state_topic_check(r->settings->source.settings, topic, err);
    if (rc >= 0) rc = kafka_admin_topic(r->admin, topic, err);
    if (rc == EDDY_ENOTFOUND) return EDDY_OK;
    const int n_partitions = rc;
    if (rc >= 0) rc = kafka_admin_topic_setting(r->admin, topic, "cleanup.policy", policy, sizeof(policy), err);
    if (rc >= 0 && strcmp(policy, "compact") != 0)
        rc = eddy_fail(err, EDDY_ECONFIG,
                       "state.topic: %s has cleanup.policy=%s: it is no copy of a state and is not deleted", topic,
                       policy);
    if (rc >= 0) rc = kafka_state_topic_firsts(&request, n_partitions, reset_whose, r, err);
    if (rc >= 0) rc = kafka_admin_delete(r->admin, topic, err);
    if (rc >= 0) printf("deleted the copy of the state, topic %s\n", topic);
    return rc;
}

/* A sink's topic that is not there yet has none of the results. */
static eddy_status reset_mark(struct reset *r, struct eddy_error *err)
{
    const struct kafka_source_settings *source = r->settings->source.settings;
    if (r->settings->sink.part != &sink_kafka.part) return EDDY_OK;
    const struct kafka_sink_settings *sink = r->settings->sink.settings;
    struct eddy_strings topic = {1, &sink->topic};
    struct kafka_admin *admin = NULL;
    struct kafka_group_position *output = NULL;
    int n = 0;
    eddy_status rc = kafka_admin_open(r->settings->name, sink->properties.n ? &sink->properties : &source->properties,
                                      ASK_MS, &admin, err);
    if (rc >= 0) rc = kafka_admin_positions(admin, r->settings->name, &topic, "latest", &output, &n, err);
    if (rc == EDDY_ENOTFOUND) rc = EDDY_OK;
    for (int i = 0; i < r->n && rc >= 0; i++) {
        struct kafka_group_position *p = &r->positions[i];
        position_mark_write((struct position_mark){-1, p->partition < n ? output[p->partition].high : 0},
                            p->metadata);
    }
    free(output);
    kafka_admin_close(admin);
    return rc;
}

static eddy_status reset_execute(struct reset *r, struct eddy_error *err)
{
    bool moved = access(r->state, F_OK) == 0;
    if (moved && rename(r->state, r->aside) != 0)
        return eddy_fail(err, EDDY_EIO, "%s: cannot be renamed to %s: %s", r->state, r->aside, strerror(errno));
    eddy_status rc = reset_topic(r, err);
    if (rc >= 0) rc = kafka_admin_set_positions(r->admin, r->settings->name, r->positions, r->n, err);
    if (rc < 0 && moved && rename(r->aside, r->state) != 0)
        return eddy_fail(err, rc, "the offsets could not be moved, and the state lies in %s", r->aside);
    if (rc >= 0 && moved) printf("the old state lies in %s\n", r->aside);
    if (rc >= 0) printf("moved the offsets of %d partitions of group %s\n", r->n, r->settings->name);
    return rc;
}

static eddy_status reset_all(struct reset *r, struct eddy_error *err)
{
    struct store_lock *lock = NULL;
    const struct kafka_source_settings *source = r->settings->source.settings;
    eddy_status rc = reset_paths(r, err);
    if (rc >= 0) rc = kafka_admin_open(r->settings->name, &source->properties, ASK_MS, &r->admin, err);
    if (rc >= 0) rc = reset_plan(r, err);
    if (rc >= 0) rc = reset_alone(r, &lock, err);
    if (rc >= 0 && r->args->execute) rc = reset_mark(r, err);
    if (rc >= 0 && r->args->execute) rc = reset_execute(r, err);
    if (rc >= 0 && !r->args->execute) {
        printf("state      %s would be renamed to %s\n", r->state, r->aside);
        const char *copy = pipeline_state_topic(r->settings);
        if (copy) printf("copy       topic %s would be deleted\n", copy);
        puts("nothing was changed; --execute does it");
    }
    store_lock_close(lock);
    return rc;
}

static int cmd_reset(struct command_context *c, int argc, char **argv)
{
    struct args args = {0};
    int rc = command_parse(c, argc, argv, &args);
    if (rc != COMMAND_GO) return rc;
    if (args.to_earliest + (args.to_datetime != NULL) + (args.shift_by != NO_SHIFT) != 1)
        return command_usage(c, "give one of --to-earliest, --to-datetime T, --shift-by N (N not 0)");
    int64_t ns;
    if (args.to_datetime && !timestamp_parse(args.to_datetime, strlen(args.to_datetime), &ns))
        return command_usage(c, "--to-datetime takes RFC 3339, such as 2026-03-01T07:15:00Z, not \"%s\"",
                             args.to_datetime);
    struct config *config;
    rc = command_config(c, c->positional[0], &args.sets, COMMAND_BRINGS_SINK, &config);
    if (rc != COMMAND_GO) return rc;

    struct eddy_error err = {0};
    struct reset reset = {.args = &args, .settings = config_settings(config)};
    eddy_status done;
    if (reset.settings->source.part != &source_kafka.part)
        done = eddy_fail(&err, EDDY_EUNSUPPORTED, "reset moves the offsets of a Kafka group, the source is %s",
                         reset.settings->source.part->name);
    else
        done = reset_all(&reset, &err);
    rc = done < 0 ? command_fail(c, &err) : COMMAND_DONE;
    kafka_admin_close(reset.admin);
    free(reset.positions);
    free(reset.state);
    free(reset.aside);
    config_close(config);
    return rc;
}

const struct command command_reset = {
    "reset",
    "CONFIG (--to-earliest | --to-datetime T | --shift-by N)",
    1,
    1,
    "moves the group's offsets and the local state together",
    "Prints the plan; only --execute changes anything.  Refuses while the group has members or the state is in use;\n"
    "waits for the session of a process that was stopped a moment ago.\n"
    "The old state is renamed, not deleted; a copy in a topic (state.topic) is deleted.  The next start builds the "
    "state\n"
    "anew from what the source's topics keep, silently up to the new offset; from there on results are written "
    "(again).",
    options,
    cmd_reset,
};
