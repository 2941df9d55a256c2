/* A scripted source and sink: what a broker may do to the driver, step by step and without a broker. */
#ifndef TESTS_UNIT_FLOW_FIXTURE_SCRIPT_H
#define TESTS_UNIT_FLOW_FIXTURE_SCRIPT_H

#include "config/config.h"
#include "engine/flow/driver.h"

enum { SCRIPT_RECORDS = 20000 };

/* The "topic": partition 0 of "t", and what has come of it. It survives drivers, as a broker would. */
struct script {
    int n_records;
    char *payload[SCRIPT_RECORDS]; /* NULL = tombstone */
    const char *key[SCRIPT_RECORDS];
    int64_t low, committed;
    char metadata[64];
    int64_t start;
    int batch;   /* records a poll */
    int slow_us; /* that a poll takes besides */
    int late_us; /* .. and once, before a partition is assigned again */
    int64_t topic_patience;

    /* What the source does. */
    int64_t end_at;          /* ended() when the position is here; 0 = n_records */
    int64_t revoke_in_serve; /* revoke the partition at the k-th serve(); 0 = never */
    bool lost;
    volatile sig_atomic_t *stop; /* the source never ends, this does; NULL = it ends */
    /* What the sink does. */
    int capacity;          /* messages it holds unconfirmed; 0 = any number */
    int confirm;           /* messages that a service() call confirms; 0 = all */
    int64_t deaf_services; /* so many service() calls confirm nothing: the broker is away */
    bool broken;           /* service() fails */
    bool remembers;        /* it can say what was written */

    /* What happened. */
    int64_t position, polls, serves, pauses, resumes, polls_paused, revokes, restarts, commits, outstanding, sent;
    bool assigned, paused;
    void *tag;
    struct source_listener listener;
    struct eddy_record records[256];
    void (*on_poll)(const struct script *);                 /* NULL = nobody looks */
    void (*on_commit)(const struct script *, int64_t next); /* the same */
    int64_t n_confirmed_at_commit;                          /* results sent and confirmed when the last commit came */
    char *out[4 * SCRIPT_RECORDS];                          /* everything the sink was given, in order */
    int64_t out_partition_errors;
    int n_letters;
    char *letters[SCRIPT_RECORDS]; /* payloads of dead letters */
    char codes[SCRIPT_RECORDS][32];
    int64_t letter_offsets[SCRIPT_RECORDS];
};

extern const struct eddy_source script_source;
extern const struct eddy_sink script_sink, script_letters;
extern const struct eddy_state_topic script_topic; /* fixture_topic.h; used where the settings say state.topic */
extern const struct eddy_parts script_parts;

/* The script that the parts above act out; one at a time, each test runs in a process of its own. */
extern struct script *script_now;

struct script *script_open(int n_records); /* good records of 5 keys */
void script_replace(struct script *, int i, const char *payload);
void script_close_all(void); /* the `fini` of every test */
struct config *script_config(const char *yaml);

struct script_run {
    struct config *config;
    struct driver *driver;
    struct eddy_error err;
    eddy_status opened, ran;
    struct driver_stats stats;
    char hash[33];
};
/* One life of the program: opens, runs to the end (or failure), closes; `state_path` is kept. */
struct script_run script_live(const char *yaml, const char *state_path);
/* The same without the orderly end: after `polls` turns the process is gone, as by kill -9. */
void script_die(const char *yaml, const char *state_path, int64_t at_position);

/* One row of a state file, key "a", says that it has seen fewer than no values; its sums are right. */
void script_spoil_row(const char *path);

char *script_dir(void); /* a new directory for state */
void script_remove(const char *dir);

#endif
