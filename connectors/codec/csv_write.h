/* A result as a line of cells, in the order of csv_header():
 *   key, ts, y.., yhat.., yhat_lower.., yhat_upper.., score, evidence, score_ratio, anomaly, state, model, incident,
 *   attribution.., and per horizon yhat.., yhat_lower.., yhat_upper..,
 *   with a smoother smoothed_ts, smoothed.., smoothed_score, with a network that classifies class and per class p_NAME,
 *   then topic, partition, offset
 * where .. is one column, or one per value whose name ends in _NAME; horizons add _hH.  Missing is an empty cell. */
#ifndef CONNECTORS_CODEC_CSV_WRITE_H
#define CONNECTORS_CODEC_CSV_WRITE_H

#include "eddy_codec.h"

eddy_status csv_write(const struct eddy_result *, int time_format, struct eddy_buffer *out, struct eddy_error *);

#endif
