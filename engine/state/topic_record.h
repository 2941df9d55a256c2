/* A partition's state as records of a compacted Kafka topic, and back.
 *
 * Key      u8 format | u8 kind | u16 piece | i32 partition | u64 whose | name
 *              whose  XXH3 of the pipeline's name, NUL, the source topic's name
 *              name   kind R: the row's key; B: the blob's name; W: u64 version of the weights; M: nothing
 *          so that compaction keeps the newest record of everything, whichever pipeline and partition it is of.
 * Value    u64 sum | u64 generation | u64 number | u32 pieces | u32 0 | bytes of this piece;  no value at all: it is gone
 *              sum         XXH3 of the key and of what follows the sum
 *              generation  raised when a publication does not build on the one before: older records count no more
 *              number      of the publication, ascending
 *              pieces      a thing that is longer than a record's limit is cut; its pieces follow each other
 *          The bytes of all pieces together:
 *              R  row      u32 flags, u32 0, i64 next_off, i64 time_ns, i64 count, row
 *              B  blob     as in the table `meta` of the state file
 *              W  weights  i64 wall time in s, weights
 *              M  manifest i64 position, u64 n, u64 sum, u64 fingerprint, u32 length of the pipeline's name,
 *                          u32 versions of the weights that count: the newest ones, both names
 *          The manifest is the last record of a publication; n and sum are over all that the state holds at its
 *          position (store_sum).
 *          All numbers are little-endian; rows are bytes as they lie in memory (export.h).
 * Errors   name topic, partition and offset: EDDY_ECORRUPT, EDDY_EVERSION (a newer format), EDDY_EMISMATCH (of another
 *          pipeline, source topic or partition).  Whatever the bytes are, no more memory is taken than there are bytes.
 * Threads  one per writer and reader. */
#ifndef ENGINE_STATE_TOPIC_RECORD_H
#define ENGINE_STATE_TOPIC_RECORD_H

#include "engine/state/store.h"

enum {
    TOPIC_FORMAT = 1,
    TOPIC_KEY_BYTES = 16,  /* before the name */
    TOPIC_HEAD_BYTES = 32, /* of a value */
    TOPIC_PIECES_MOST = 0xffff
};
enum topic_kind { TOPIC_ROW = 'R', TOPIC_BLOB = 'B', TOPIC_MODEL = 'W', TOPIC_MANIFEST = 'M' };

struct topic_manifest {
    int64_t position;     /* the state is the fold of exactly the events before it */
    uint64_t n, sum;      /* store_sum() */
    uint64_t fingerprint; /* of schema, layout and networks */
    uint64_t generation, number;
    uint32_t n_models; /* the newest versions of the weights; older ones that are still there have gone */
};

/* ---- writing ---- */

struct topic_writer {
    struct store_identity id;    /* borrowed */
    uint64_t generation, number; /* of the publication in hand */
    size_t piece_bytes;          /* most bytes of a piece; > 0 */
    /* Takes one record, value NULL = gone.  Any negative status ends the put; the same put goes on from there when it is
     * repeated. */
    eddy_status (*emit)(void *context, const struct eddy_buffer *key, const struct eddy_buffer *value,
                        struct eddy_error *);
    void *context;
    uint32_t n_taken;                     /* pieces of the put in hand; 0 begins it anew */
    struct eddy_buffer key, value, thing; /* scratch */
};

eddy_status topic_put_row(struct topic_writer *, const struct stored_row *, bool gone, struct eddy_error *);
eddy_status topic_put_blob(struct topic_writer *, const char *name, const void *bytes, size_t n, struct eddy_error *);
eddy_status topic_put_model(struct topic_writer *, uint64_t version, int64_t wall_time_s, const void *bytes, size_t n,
                            struct eddy_error *);
eddy_status topic_drop_model(struct topic_writer *, uint64_t version, size_t n,
                             struct eddy_error *); /* had n bytes */
/* Generation and number are the writer's. */
eddy_status topic_put_manifest(struct topic_writer *, const struct topic_manifest *, struct eddy_error *);
void topic_writer_free(struct topic_writer *); /* what it allocated */

/* ---- reading ---- */

struct topic_reader {
    struct store_identity id;       /* borrowed; what is wanted */
    const char *topic;              /* borrowed; the state topic, for messages */
    bool any;                       /* a record has been taken */
    bool anew;                      /* a generation has begun, and nothing of it was whole yet */
    uint64_t generation;            /* the newest seen */
    struct eddy_buffer key, joined; /* of the thing whose pieces are being joined: its first piece's key; its bytes */
    uint64_t number;
    uint32_t n_joined, n_pieces; /* 0 of 0: none is */
};

/* Something that was read whole; pointers are borrowed until the next take. */
struct topic_thing {
    int kind; /* enum topic_kind */
    bool gone;
    bool anew;             /* a new generation begins with it: what was taken before counts no more */
    struct stored_row row; /* R */
    const char *name;      /* B; not NUL-terminated */
    size_t name_len;
    uint64_t version;    /* W */
    int64_t wall_time_s; /* W */
    const void *bytes;   /* B, W */
    size_t n;
    struct topic_manifest manifest; /* M */
};

/* One record as it stands at `offset`.  1: *out is whole; 0: more pieces are to come, or it counts no more. */
eddy_status topic_take(struct topic_reader *, int64_t offset, const void *key, size_t key_len, const void *value,
                       size_t n, struct topic_thing *out, struct eddy_error *);
void topic_reader_free(struct topic_reader *);

#endif
