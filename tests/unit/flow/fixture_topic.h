/* A scripted state topic: partition 0 of a compacted topic with transactions, which may fail at any call. */
#ifndef TESTS_UNIT_FLOW_FIXTURE_TOPIC_H
#define TESTS_UNIT_FLOW_FIXTURE_TOPIC_H

#include "engine/flow/state_topic.h"

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
    int calls, failures, commits, sends;
    /* reading */
    int at;
    int64_t to;
} copy;

void copy_open(void);        /* at the start of a test */
void copy_close(void);       /* at its end */
void copy_compact(int keep); /* all but the newest record of a key goes, among all but the last `keep` records */

#endif
