/* A state file made from the state topic: records go into a file of their own beside it, which takes its place when it is
 * known to be whole.
 *
 * Errors   those of topic_record.h and store.h; EDDY_ECORRUPT also when what was read is not what was published. */
#ifndef ENGINE_FLOW_TOPIC_RESTORE_H
#define ENGINE_FLOW_TOPIC_RESTORE_H

#include "engine/flow/state_topic.h"
#include "engine/flow/topic_publish.h"

struct restorer_request {
    struct store_identity id; /* borrowed */
    const char *topic;        /* the state topic; borrowed */
    const char *path;         /* the state file; borrowed; NULL: only to find the last manifest */
    bool damaged;             /* what lies there fails its checks, and is kept under another name */
};

struct restorer;
eddy_status restorer_open(const struct restorer_request *, struct restorer **, struct eddy_error *);
eddy_status restorer_take(struct restorer *, const struct state_topic_record *, struct eddy_error *);
/* After the last record.  With a path: checks, and puts the file in its place.  What was found is in *out, without an
 * error also when there is no whole publication (out->any false; nothing was put in place). */
eddy_status restorer_end(struct restorer *, struct topic_known *out, struct eddy_error *);
/* Of what has been read so far: nothing may be published in an older generation. */
void restorer_known(const struct restorer *, struct topic_known *out);
int64_t restorer_rows(const struct restorer *);
void restorer_close(struct restorer *); /* leaves nothing unfinished behind; NULL is fine */

#endif
