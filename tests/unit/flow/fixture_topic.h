/* A scripted state topic: partition 0 of a compacted topic with transactions, which may fail at any call. */
#ifndef TESTS_UNIT_FLOW_FIXTURE_TOPIC_H
#define TESTS_UNIT_FLOW_FIXTURE_TOPIC_H

#include "engine/flow/state_topic.h"
#include "fixture_script.h"

enum { COPY_RECORDS = 20000 };

struct copy_record {
    int64_t offset;
    char *key, *value; /* value NULL: a tombstone */
    size_t key_len, n;
};

/* The topic as a broker keeps it: it survives drivers, and an open transaction that nobody ends. */
extern struct copy {
    struct copy_record record[COPY_RECORDS];
    int n, n_committed; /* records; of which so many can be read */
    int64_t next;       /* offset */
    int64_t end;        /* that the group knows; -1 = none */
    int64_t stolen_end; /* > 0: another process commits this behind every failure */
    bool open, claimed; /* a transaction; by the process that lives */
    size_t piece_bytes;
    int full_every;   /* every so many sends find no room; 0 = none */
    int fail_at;      /* the call that fails, counted from 1; 0 = none */
    bool answer_lost; /* .. which, when it is a commit, has happened */
    bool vanishes;    /* .. and with which the topic is made anew, empty */
    int vanish_at;    /* the transaction before which that happens, and nobody notices */
    bool remembers;   /* the group knows its old end all the same */
    bool too_long;    /* every send says so */
    bool nowhere;     /* it has no place for the partition */
    int silent_seeks; /* so many times nothing can be read of it */
    int leaves;
    int calls, failures, begins, commits, sends;
    int64_t began;  /* the turn of the source in which the transaction began .. */
    int most_turns; /* .. and the most that one has lasted */
    /* reading */
    int at;
    int64_t to;
    bool silent;
} copy;

void copy_open(void);        /* at the start of a test */
void copy_close(void);       /* at its end */
void copy_lose(int i);       /* a record */
void copy_compact(int keep); /* all but the newest record of a key goes, among all but the last `keep` records */

/* ---- lives of a pipeline with that topic ---- */

#define LEARNING "train: {mode: inline, every: 4, window: 8, epoch: 64, windows: 8, batch: 4}\n"
#define COPIED   "state: {topic: copy, topic_interval: 100ms}\n" LEARNING
enum { RECORDS = 1000, CUT = 600 };

/* What a pipeline without a topic makes of all records in one life. */
extern struct script *topic_whole;
extern struct script_run topic_reference;

void topic_setup(void), topic_teardown(void); /* of every suite */
/* Lives up to each of these places, over one directory. */
struct script *lived(const char *dir, const char *yaml, const int64_t *until, int n);
struct script_run lives_to(struct script *, const char *dir, const char *yaml, int64_t until);
void wipe(const char *dir);
/* Everything that is left of the stream is scored, and nothing is different from the reference. */
struct script_run goes_on(struct script *, const char *yaml, const char *dir);
void is_restored(struct script *, char *dir); /* the directory is gone for the last time */

#endif
