/* The inside of the driver, shared by driver.c (the loop), driver_assign.c (where partitions start), driver_lanes.c
 * (how they are saved and let go), driver_transaction.c (exactly_once) and driver_feed.c (one batch of records through
 * decode, lane, encode, send). */
#ifndef ENGINE_FLOW_DRIVER_PRIVATE_H
#define ENGINE_FLOW_DRIVER_PRIVATE_H

#include "engine/flow/driver.h"
#include "engine/flow/position_mark.h"
#include "engine/flow/topic_publish.h"
#include "engine/flow/topic_restore.h"

/* One assigned partition.  The lane is opened when the names of its values are known: from the command, the stored
 * state, or the first good record. */
struct driver_lane {
    char *topic;
    int32_t partition;
    char *path; /* state file */
    struct store *store;
    struct plan *plan;
    struct lane *lane;
    int64_t next;                /* next offset, while there is no lane yet */
    int64_t skipped;             /* while there is no lane: the next offset that was saved; -1 = none */
    int64_t started;             /* where it began when it was assigned */
    int64_t emit_from;           /* nothing is written of what lies before this: it was written already */
    struct sink_written written; /* results from there on that are written all the same; n 0 = none */
    int written_at;              /* the first of them that may still come */
    int64_t committed;           /* last position handed to the source, or committed in a transaction; -1 = none */
    struct position_mark mark;   /* what came with the position that the group had when it was assigned */
    char metadata[POSITION_MARK_BYTES]; /* of the position that is handed on */
    bool saving;                        /* a checkpoint is being written; its position has not been committed */
    bool claimed;                       /* no other driver of the process opens it before it is closed here */
    bool condemned; /* a row of its state cannot be worked on: nothing is saved, the file is set aside */
    bool refused;   /* a person has to decide about its state; it is not read (driver_assign.c) */
    bool gone;      /* revoked; freed when no batch of it is in hand */
    bool taken;     /* .. by the group, for another member */

    /* with a state topic: driver_topic.c */
    int look;  /* enum topic_look; not LOOK_NONE: it is not known what the topic has .. */
    bool held; /* .. and nothing is read before */
    int64_t look_since_ns, look_due_ns, heard_ns; /* heard_ns: when the topic's last record came */
    bool damaged;                                 /* its own state fails its checks */
    bool restored;                                /* its state is the copy as it was a moment ago */
    int64_t low, asked;                           /* first offset kept, and the group's, when the look began */
    int64_t group_end, end;      /* behind the last publication that the group knows; .. -1 = all is to be read */
    struct topic_known known;    /* what the topic has */
    struct restorer *restorer;   /* reading it */
    struct publisher *publisher; /* writing it; NULL = nothing is */
    bool unoffered;              /* since it is known what the topic has, no checkpoint was offered to it */
    int64_t publish_due_ns, taken_ns; /* when the publication in hand was taken */
};

enum topic_look {
    LOOK_NONE,
    LOOK_ASK,  /* the group is to be asked for the last publication */
    LOOK_FIND, /* its manifest is being read */
    LOOK_READ  /* all of it is */
};

/* What was found of a partition that is about to be assigned again. */
struct driver_looked {
    char *topic;
    int32_t partition;
    bool restored;
    struct topic_known known;
    int64_t at_ns;
};

enum publish_stage { PUBLISH_IDLE, PUBLISH_SENDING, PUBLISH_FLUSHING, PUBLISH_RECOVER };
struct driver_publication { /* the one that is being written: one at a time */
    struct driver_lane *lane;
    int stage;        /* enum publish_stage */
    int64_t end;      /* behind its last record, when it may have been committed; -1 = it cannot have been */
    int64_t retry_ns; /* nothing is tried before */
};

struct driver {
    struct driver_request request;
    const struct settings *settings;
    struct eddy_limits limits;
    void *source, *sink, *dead_letters, *incidents, *codec, *sink_codec, *context_codec;
    const struct eddy_codec *codec_type, *sink_codec_type;
    struct trainer *trainer;
    struct storage *storage; /* NULL: state that nobody keeps is written on the loop's thread */
    struct store_lock *lock;
    char *scratch_path;
    char instance[STORE_INSTANCE_DIGITS + 16]; /* the name of this process and worker; "" = none */

    void *transaction; /* of request.transactor; NULL = at_least_once */
    bool began;        /* it is open */
    bool sending;      /* results of a turn that is not over may be in it, or with the sink */
    bool spoilt;       /* it cannot be committed, and the lanes are ahead of it: driver_restart() */
    int failures;      /* transactions of the last minute that came to nothing */
    int64_t failed_ns, commit_due_ns, began_ns;
    int64_t longest_turn_ns; /* of all turns so far, in a lane alone */
    const char *state_path;

    void *topic;     /* of request.state_topic; NULL = none */
    bool topic_busy; /* there is more to do for it at once */
    struct driver_looked *looked;
    int n_looked;
    struct driver_publication publication;
    int64_t restore_started_ns,
        topic_log_ns; /* of the partition that is being restored; of the next log of progress */

    struct driver_lane **lanes; /* in order of topic and partition */
    int n_lanes;
    struct driver_lane *in_hand;        /* the lane whose batch is being worked on */
    bool unsettled;                     /* the source has not given yet all that it will give for now */
    bool taking;                        /* .. and takes partitions for others */
    struct eddy_error refusal;          /* why the last refused partition is not read; code 0 = none is */
    struct eddy_error revoke_error;     /* of a callback, reported by the loop */
    struct eddy_error checkpoint_error; /* why the last checkpoint failed; code 0 = it did not */
    int64_t revoke_by_ns;               /* deadline that partitions revoked together share */
    bool given_up;                      /* the sink will not confirm in time: revokes do not wait for it again */

    /* Scratch of a batch of `chunk` records. */
    int chunk;
    struct source_batch *batches; /* [MAX_BATCHES] tag NULL = revoked meanwhile */
    int n_batches;
    struct lane_event *events;
    struct eddy_result *results;
    struct sink_message *messages;
    size_t *starts;  /* where a message begins in `encoded` */
    double *x;       /* [chunk, n_values] */
    float *category; /* [chunk, n_categories] */
    size_t x_cap, category_cap;
    struct eddy_arena arena;
    struct eddy_buffer encoded, names;

    int64_t checkpoint_due_ns, tick_due_ns, started_ns;
    bool stages;
    struct driver_stats stats; /* totals; of lanes that left as well */
};

#define DRIVER_SKIPPED_META "skipped" /* in a store: the next offset of a partition without a lane, as text */

/* driver.c */
struct sink_request driver_sink_request(const struct driver *); /* what all its sinks are opened with */
int64_t driver_clock_ns(void);                                  /* monotonic */
void driver_stage(const struct driver *, double *stage,
                  double *since); /* adds CPU time since *since when asked for */
/* Waits for the sink for up to timeout_ms while the group is served; EDDY_EAGAIN when something is outstanding still. */
eddy_status driver_drain(struct driver *, int timeout_ms, struct eddy_error *);
bool driver_stopping(const struct driver *);
void driver_add_stats(struct driver_stats *total, const struct driver_lane *);

/* driver_assign.c */
/* Moves the state file of a lane that is shut to another name, and says why. */
eddy_status driver_set_aside(struct driver *, struct driver_lane *, const char *why, struct eddy_error *);
/* A person has to decide about a partition; the others go on, and the end of the process tells of it. */
void driver_refuse(struct driver *, const struct driver_lane *, const struct eddy_error *why);
int64_t driver_assign(void *driver, const struct source_partition *, void **tag, struct eddy_error *);
/* driver_written.c */
void driver_written_look(struct driver *, struct driver_lane *, const struct source_partition *);
bool driver_written_has(struct driver_lane *, int64_t offset, const void *payload, size_t n);
void driver_written_free(struct driver_lane *);

/* driver_lanes.c */
eddy_status driver_revoke(void *driver, void *tag, bool lost, struct eddy_error *);
eddy_status driver_open_lane(struct driver *, struct driver_lane *, const struct eddy_schema *, struct eddy_error *);
void driver_shut_lane(struct driver_lane *); /* what was opened for it; nothing is saved */
void driver_free_lane(struct driver *, struct driver_lane *);
/* Writes checkpoints of all lanes whose results are confirmed (drain first) and commits their positions. */
eddy_status driver_checkpoint(struct driver *, struct eddy_error *);
/* The same without standing still: begin, at the same point, then go_on every now and then until driver_saving() is false;
 * each lane's position is committed when its checkpoint is durable. */
eddy_status driver_checkpoint_begin(struct driver *, struct eddy_error *);
eddy_status driver_checkpoint_go_on(struct driver *, struct eddy_error *);
bool driver_saving(const struct driver *);
eddy_status driver_checkpoint_end(struct driver *, struct eddy_error *); /* waits for those that have begun */
int64_t driver_next(const struct driver_lane *);
/* The lane's position as it is committed; good until the lane is asked again. */
struct source_position driver_position(struct driver_lane *, int64_t next);

/* driver_feed.c */
eddy_status driver_feed(struct driver *, const struct source_batch *, struct eddy_error *);
/* Sends all messages of the lane in hand, however long the sink takes. */
eddy_status driver_send(struct driver *, const struct eddy_sink *, void *sink, const struct sink_message *, int n,
                        struct eddy_error *);

/* driver_break.c */
int driver_break_outputs(struct driver *, int n); /* spoils the n messages in hand; how many there are then */
void driver_break_commit(struct driver *, struct driver_lane *,
                         int64_t next); /* an offset whose results are not sent */
/* driver_transaction.c: nothing without a transactor */
eddy_status driver_transaction_open(struct driver *, struct eddy_error *);
void driver_transaction_close(struct driver *);
eddy_status driver_begin(struct driver *, struct eddy_error *); /* before anything is sent */
/* Commits what is open, with the positions of all lanes.  EDDY_EAGAIN: it is spoilt. */
eddy_status driver_settle(struct driver *, struct eddy_error *);
eddy_status driver_transaction_tick(struct driver *, struct eddy_error *);
eddy_status driver_transaction_room(struct driver *, struct eddy_error *);
void driver_spoil(struct driver *, const char *why);
/* After it was spoilt, between turns; EDDY_EAGAIN when told to stop meanwhile. */
eddy_status driver_restart(struct driver *, struct eddy_error *);
int driver_patience_ms(const struct driver *, int most_ms);

/* driver_topic.c: nothing without a state topic */
eddy_status driver_topic_open(struct driver *, struct eddy_error *);
void driver_topic_close(struct driver *);
eddy_status driver_topic_tick(struct driver *, struct eddy_error *); /* between turns */
bool driver_topic_holding(const struct driver *);                    /* a partition waits for its copy */

/* driver_topic_look.c */
/* What was found and has waited for its partition too long counts no more: the partition may have been another's since. */
void driver_topic_expire(struct driver *);
/* Its state was set aside, and what is known of its copy has the same fault: it is made anew from the source. */
eddy_status driver_topic_mistrust(struct driver *, struct driver_lane *, struct eddy_error *);
/* What the copy has is to be looked for: true: first, the partition is held, and assigned again when it is known. */
bool driver_topic_holds(struct driver *, struct driver_lane *, const struct source_partition *);
void driver_topic_hold(struct driver_lane *, const struct source_partition *);
/* Its place among those that are about to be assigned again; -1 = it is none. */
int driver_topic_looked(const struct driver *, const char *topic, int32_t partition);
struct driver_lane *driver_topic_wanted(const struct driver *, int64_t now_ns);
eddy_status driver_topic_look(struct driver *, struct driver_lane *, struct eddy_error *);

/* driver_topic_publish.c */
eddy_status driver_topic_follow(struct driver *, struct driver_lane *, struct eddy_error *); /* its lane runs */
void driver_topic_learn(struct driver_lane *);                          /* what the topic has is known */
eddy_status driver_topic_prepare(struct driver *, struct eddy_error *); /* 1: something was; 0: nothing is to be */
eddy_status driver_topic_offer(struct driver *, struct driver_lane *, struct eddy_error *); /* its checkpoint holds */
void driver_topic_forget(struct driver *, const struct driver_lane *);                      /* it is about to go */
eddy_status driver_topic_publish(struct driver *, struct eddy_error *);
bool driver_topic_publishing(const struct driver *);
eddy_status driver_topic_finish(struct driver *, struct eddy_error *); /* at the end, for a moment */

/* driver_incidents.c */
eddy_status driver_open_incidents(struct driver *, struct eddy_error *);
/* What the results of n events tell of incidents; their records must have been sent: it uses the same scratch. */
eddy_status driver_send_incidents(struct driver *, const struct driver_lane *, const struct lane_event *, int n,
                                  struct eddy_error *);

#endif
