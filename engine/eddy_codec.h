/* Codecs: bytes of a record <-> an event, and a result -> bytes.
 *
 * Memory   records are borrowed from the source until their chunk is released; decode() may point into the record and
 *          into the arena, both of which live until then.  No call on the hot path allocates, except to grow a buffer
 *          or arena that is kept.
 * Threads  one open codec belongs to one thread.
 * Errors   a bad record: eddy_fail_record(err, reason, ..), reason one of: empty, too_large, not_utf8, not_json,
 *          not_csv, too_deep, too_many_fields, missing_key, missing_time, bad_time, key_too_long, wrong_type,
 *          not_finite, duplicate_field, no_values.  Anything else is a failure of the pipeline. */
#ifndef EDDY_CODEC_H
#define EDDY_CODEC_H

#include "eddy_buffer.h"
#include "eddy_part.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDDY_NO_TIME INT64_MIN

/* One input record, borrowed. */
struct eddy_record {
    const char *topic; /* topic, or path of the file */
    int32_t partition;
    int64_t offset;  /* Kafka offset, or row number */
    int64_t time_ns; /* the broker's timestamp, ns since 1970; EDDY_NO_TIME when there is none */
    const char *key; /* NULL = none */
    size_t key_len;
    const char *payload; /* NULL = tombstone */
    size_t payload_len;
    int64_t line;        /* line of a file for messages, 0 = none */
    const void *context; /* what the source tells the codec about this record (columns of a CSV file); may be NULL */
    void *handle;        /* the source's own */
};

/* The values of a series and its categories, each in their fixed order. */
struct eddy_schema {
    int n_values;
    const char *const *names; /* [n_values] */
    int n_categories;
    const char *const *categories; /* [n_categories] fields that hold a word or a code, such as a machine's type */
};

/* A category's text as a number: XXH3_64bits(text) mod 2^20, which every float holds exactly; layers reduce it further,
 * modulo their buckets.  Missing counts as the empty text, so that it has a number of its own. */
EDDY_API float eddy_category(const char *text, size_t len);
#define EDDY_NO_CATEGORY 234690.0f /* eddy_category("", 0) */

/* Labels say what class an event was of.  They come with the event, or later, in a record of the same topic and
 * partition that has the key, the time and the label of the event, but none of its values: then `label_only` is set and
 * x is missing throughout.  Such a record is folded where it stands, like any other: a lane's state depends on what the
 * partition holds in which order, and on nothing else. */

struct eddy_event {
    const char *key;
    size_t key_len;
    int64_t time_ns;       /* event time, ns since 1970 UTC */
    const char *time_text; /* the time as it was written, for `time_format: as_input`; NULL when not from text */
    size_t time_text_len;
    double *x; /* [n_values] given by the caller, filled by decode; NaN = missing, never infinite */
    /* [n_categories] given by the caller with EDDY_NO_CATEGORY throughout, filled by decode with eddy_category() of the
     * texts; NULL = not wanted. */
    float *category;
    const char *label; /* the label's text, of at least one byte; NULL = none.  The engine finds the class */
    size_t label_len;
    /* A late label: there is a label, and no value at all.  A JSON value that is null counts as there, and so does a
     * CSV cell that says NA, NaN or null; an empty cell does not. */
    bool label_only;
};

enum eddy_key_state { EDDY_STATE_WARMUP, EDDY_STATE_OK, EDDY_STATE_FROZEN, EDDY_STATE_STALE };

/* What the smoother, looking back, makes of an event of the key that lies some steps behind. */
struct eddy_smoothed {
    const double *y;      /* [n_values] its values, smoothed; NaN = unknown; NULL: nothing is smoothed */
    const double *actual; /* [n_values] its values as they came; NaN = missing */
    bool known;           /* false: there is no such event yet, and what y, actual and the rest hold means nothing */
    int64_t time_ns;      /* of that event */
    double score;         /* its score in the light of what followed, 0..1; NaN = unknown */
};

/* What class the event is of, as told before its own label was used; with a late label, what was told of the event that
 * it labels, as far as that is still known. */
struct eddy_classes {
    int n_classes;            /* 0: no network classifies */
    const char *const *names; /* [n_classes] */
    const double *p;          /* [n_classes] probabilities, sum 1; NaN throughout while unknown */
    const char *label;        /* name of the most probable one; NULL while unknown */
};

/* Each expert for itself, where its forecasts are mixed: only when a replay measures, else n is 0. */
struct eddy_experts {
    int n;
    const char *const *names; /* [n] */
    const double *errors;     /* [n, n_horizons, n_values] of what each had said of this event; NaN = nothing */
    const double *weights;    /* [n, n_horizons, n_values] in the forecasts made now; NaN = none are made */
};

/* A span of trouble of one key, as told when it opens, now and then while it goes on, and when it closes.  Where two
 * incidents of a key would differ in kind only, they are two. */
enum eddy_incident_state { EDDY_INCIDENT_OPEN, EDDY_INCIDENT_ONGOING, EDDY_INCIDENT_CLOSED };
/* Drivers: whoever is woken by an incident looks at two or three values first, and each named takes 40 bytes of every key
 * and kind of incident; the record has the share of every value in `attribution`. */
enum { EDDY_INCIDENT_ID = 17, EDDY_INCIDENT_DRIVERS = 3 };

struct eddy_driver {
    int value;                              /* index in the schema */
    double share;                           /* of the evidence, 0..1 */
    double y, yhat, yhat_lower, yhat_upper; /* at the peak; NaN = unknown */
};

struct eddy_incident {
    char id[EDDY_INCIDENT_ID]; /* 16 hexadecimal digits: of key, kind, and the event that opened it */
    const char *kind;          /* one of a detector's own, or what fault the score saw; "anomaly": nobody knows */
    int state;                 /* enum eddy_incident_state */
    bool new_normal;           /* closed because it has lasted too long to be a fault */
    int repeats;               /* alerts that opened it again soon after it had closed */
    int64_t start_ns, end_ns;  /* event time; end: of the last event that belongs to it */
    int64_t peak_ns;
    double peak;    /* evidence there, 0..1; NaN = the detector says none */
    int64_t events; /* of the key since it opened */
    int n_drivers;
    struct eddy_driver drivers[EDDY_INCIDENT_DRIVERS]; /* largest share first */
};

/* What eddy says about one event; everything borrowed until the encode call returns.  NaN stands for null. */
struct eddy_result {
    const char *key;
    size_t key_len;
    int64_t time_ns;
    const char *time_text;
    size_t time_text_len;
    const char *topic;
    int32_t partition;
    int64_t offset;
    const struct eddy_schema *schema;
    const double *y;                     /* [n_values] the event's own values */
    const double *yhat;                  /* [n_values] what was forecast for this event, one step ahead */
    const double *yhat_lower;            /* [n_values] its widest band */
    const double *yhat_upper;            /* [n_values] */
    double score, evidence, score_ratio; /* 0..1, 0..1, score / threshold */
    bool anomaly;
    int state;                /* enum eddy_key_state */
    uint64_t model;           /* version of the weights in use, written as "vN" */
    const float *attribution; /* [n_values] shares of the score, sum 1 or all 0; used when n_values > 1 */
    int n_horizons;
    const int *horizons;    /* [n_horizons] steps ahead */
    const double *forecast; /* [n_horizons, n_values] */
    const double *lower;    /* [n_horizons, n_values] widest band */
    const double *upper;    /* [n_horizons, n_values] */
    int n_bands;
    const double *coverages;  /* [n_bands] ascending; the last one is the widest band above */
    const double *band_lower; /* [n_bands, n_horizons, n_values] */
    const double *band_upper; /* [n_bands, n_horizons, n_values] */
    struct eddy_smoothed smoothed;
    struct eddy_classes classes;
    const char *label; /* the event's own label; NULL = none.  For measuring; it is not written out */
    size_t label_len;
    bool label_only; /* a late label, not an event: numbers are NaN or 0, and only the classes mean something */
    struct eddy_experts experts;
    const char *fault;    /* what kind of fault the score speaks of; NULL = none, or nobody knows */
    const char *incident; /* id of the incident that is open for the key after this event; NULL = none */
    int n_incidents;
    const struct eddy_incident *incidents; /* [n_incidents] what there is to tell of incidents at this event */
    const double *moves; /* [3, n_horizons, n_values] probabilities: down, flat, up; NULL = not asked for */
};

struct eddy_limits {
    int64_t record, key, depth, fields; /* bytes, bytes, levels, count */
};

struct eddy_codec {
    struct eddy_part part; /* kind EDDY_PART_CODEC */
    eddy_status (*open)(const void *settings, const struct eddy_limits *, void **codec, struct eddy_error *);
    /* The values of a series from its first good record (or, where the settings list them, from the settings).
     * The names are written as consecutive NUL-terminated strings into `names`; returns their count (> 0). */
    eddy_status (*discover)(void *codec, const struct eddy_record *, struct eddy_buffer *names, struct eddy_error *);
    eddy_status (*decode)(void *codec, const struct eddy_schema *, const struct eddy_record *, struct eddy_arena *,
                          struct eddy_event *out, struct eddy_error *);
    /* Appends one result, without a line end. */
    eddy_status (*encode)(void *codec, const struct eddy_result *, struct eddy_buffer *out, struct eddy_error *);
    void (*close)(void *codec); /* NULL is fine */
    /* The categories that the settings name, written as discover() writes names; returns their count, 0 = none.  May be
     * NULL: none. */
    eddy_status (*categories)(void *codec, struct eddy_buffer *names, struct eddy_error *);
    /* Appends the i-th incident of a result as a record of its own, without a line end.  May be NULL: then incidents
     * have no sink of their own. */
    eddy_status (*encode_incident)(void *codec, const struct eddy_result *, int i, struct eddy_buffer *out,
                                   struct eddy_error *);
};

#ifdef __cplusplus
}
#endif
#endif
