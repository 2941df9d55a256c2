/* One partition's publications: what of its state goes into the state topic, in slices.
 *
 * A publication is taken right after a checkpoint: the rows that changed since the one before (a log, engine/state/store.h),
 * the named blobs and weights that differ, and at the end the manifest.  It stays as it was taken until it is in the topic,
 * however often that is tried; the next one follows then.
 *
 * Threads  the loop's, between checkpoints. */
#ifndef ENGINE_FLOW_TOPIC_PUBLISH_H
#define ENGINE_FLOW_TOPIC_PUBLISH_H

#include "engine/flow/state_topic.h"
#include "engine/state/topic_record.h"

/* What is known of a partition's copy. */
struct topic_known {
    bool nowhere; /* the topic has no partition of that number */
    bool any;     /* there is a whole publication .. */
    bool more;    /* .. and something that does not belong to it: the next one builds on nothing */
    int64_t end;
    int64_t
        group_end; /* behind the last publication that the group knows, whether it could be read or not; -1 = none */
    bool outlived; /* group_end is of a topic that has gone: offsets of the one that took its place may lie before */
    struct topic_manifest manifest; /* generation and number are right even when there is no copy to go on from */
};

struct publisher_request {
    struct store_identity id; /* borrowed, as is the store; both outlive the publisher */
    struct store *store;
    size_t row_bytes;
    uint64_t fingerprint; /* of schema, layout and networks */
    int64_t position;     /* of the checkpoint that the store was opened at; -1 = none */
    bool forgets;         /* keys may be forgotten by a tombstone: at an offset */
    bool sweeps;          /* keys may be forgotten by their age: at some checkpoint */
    size_t piece_bytes;
};

struct publisher;
/* Follows the store's changes from now on. */
eddy_status publisher_open(const struct publisher_request *, struct publisher **, struct eddy_error *);
void publisher_close(struct publisher *); /* before the store; NULL is fine */

/* What the topic has is known now.  What it lacks of the state as it was opened, or all of it, is to be prepared. */
void publisher_learn(struct publisher *, const struct topic_known *);
bool publisher_prepares(const struct publisher *); /* NULL is fine */
/* Looks at `rows` rows of the store.  1: all is prepared; 0: call again.  After an error everything is prepared anew, once
 * publisher_take() has been asked. */
eddy_status publisher_prepare(struct publisher *, int rows, struct eddy_error *);

/* Right after a commit of the store: 1: there is something to publish now; 0: nothing new, or it would be older than the
 * topic's, or it is not known yet, or not prepared. */
eddy_status publisher_take(struct publisher *, struct eddy_error *);
bool publisher_has(const struct publisher *); /* taken, and not done */
/* At most `rows` rows, or the rest.  1: everything is sent; 0: call again.  EDDY_ELIMIT: something is too long. */
eddy_status publisher_send(struct publisher *, const struct eddy_state_topic *, void *topic, int rows,
                           struct eddy_error *);
void publisher_again(struct publisher *); /* from its beginning once more */
/* What was taken is given up, and the next one builds on nothing; the group knows that end now, as in topic_known.  As after
 * publisher_learn(), the store is left alone until publisher_prepare(): a saver may be writing to it. */
void publisher_drop(struct publisher *, int64_t group_end, bool outlived);
void publisher_done(struct publisher *, int64_t end); /* it is in the topic, before that offset */
const struct topic_known *publisher_known(const struct publisher *);
int64_t publisher_rows(const struct publisher *); /* of the one in hand, sent since its beginning */

#endif
