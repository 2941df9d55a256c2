/* What the files of the report share: backtest.c collects, backtest_thin.c thins, backtest_write.c writes. */
#ifndef PLUGIN_BACKTEST_PRIVATE_H
#define PLUGIN_BACKTEST_PRIVATE_H

#include "plugin/backtest.h"

enum { ROW_ALERT = 1, ROW_INCIDENT = 2, ROW_KEEP = 4 }; /* kept whatever is thinned */
enum { FANS = 48, TRAINING = 512 };
enum { FAN_YHAT, FAN_LOWER, FAN_UPPER, FAN_PARTS };

/* A forecast several steps ahead as it was made in a row. */
struct backtest_fan {
    int64_t row, time_ns;
    float *y;    /* [V] the last values */
    float *part; /* [FAN_PARTS, n_horizons, V] */
};

enum { COLUMN_Y, COLUMN_YHAT, COLUMN_LOWER, COLUMN_UPPER, COLUMNS };
struct backtest_series {
    int64_t number; /* of the metrics */
    int64_t rows;   /* that came; n of them are kept */
    int n, cap;
    int64_t *time_ns;                   /* [n] */
    float *column;                      /* [n, COLUMNS, V] */
    float *score;                       /* [n] */
    unsigned char *flags;               /* [n] */
    const struct windows_series *truth; /* NULL = unknown */
    int64_t keep_until;                 /* rows before this one are near something that matters */
    int n_fans;
    int64_t fan_stride;
    struct backtest_fan fan[FANS];
    struct backtest_fan last;
};

struct backtest_training {
    int64_t events;
    double loss, grad_norm;
};

/* Mean weights of the experts over spans of the replay. */
struct backtest_weights {
    int n_experts;           /* 0: results do not tell */
    char **names;            /* [n_experts] */
    int64_t stride;          /* results per span */
    int n;                   /* spans */
    double *mean;            /* [TRAINING, n_experts] */
    int64_t until[TRAINING]; /* events at each span's end */
    int64_t results;         /* of the span in hand */
    int64_t *count;          /* [n_experts] */
    double *sum;             /* [n_experts] */
};

struct backtest {
    const struct windows *labels;
    int64_t max_bytes, bytes, omitted; /* omitted: rows of series without room */
    bool failed;
    int n_values, n_horizons;
    char **names;  /* [n_values] */
    int *horizons; /* [n_horizons] */
    int n_series, cap_series;
    struct backtest_series **series; /* [n_series] */
    int64_t *slot;                   /* [cap_slots] by the metrics' number: index into series, -1 = none */
    int64_t cap_slots;
    int64_t events, train_stride;
    int n_training;
    struct backtest_training training[TRAINING];
    struct backtest_weights weights;
};

/* backtest_experts.c */
bool backtest_experts_shape(struct backtest *, const struct eddy_result *); /* false: out of memory */
void backtest_experts_free(struct backtest_weights *);
void backtest_experts_add(struct backtest *, const struct eddy_result *);
void backtest_experts_write(const struct backtest *, struct json_out *);

/* Of each `bucket` rows those that show its shape stay. */
void backtest_thin(const struct backtest *, struct backtest_series *, int bucket);
int64_t backtest_row_bytes(const struct backtest *);
int backtest_bucket(const struct backtest *); /* rows of which about half stay */

/* The page, as the assembler took it in; PAGE_DATA marks where the JSON goes. */
#define BACKTEST_DATA "@DATA@"
extern const char backtest_html[];
size_t backtest_html_bytes(void);

#endif
