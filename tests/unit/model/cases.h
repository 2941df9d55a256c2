/* Every layer, with the options that change its arithmetic: one row runs the rules of eddy_layer.h (layers_test.c) and
 * the numeric gradients (train/gradient_test.c).  Its golden values are made by tests/golden/layers_*.py. */
#ifndef TESTS_UNIT_MODEL_CASES_H
#define TESTS_UNIT_MODEL_CASES_H

/* What the numeric gradients (gradient_test.c) must take care of. */
enum case_care {
    SMOOTH,
    SMALL_WEIGHTS, /* a relu's kink stays out of reach of the differences */
    LARGE_BIASES,  /* the same where small weights one behind the other would leave no gradient */
    CURVED         /* differences need the digits of double precision */
};

struct layer_case {
    char layer[128]; /* YAML of one entry of `layers` */
    int n_in, n_rows;
    int n_categories; /* the last inputs are category numbers 0 .. 3 */
    int n_horizons;   /* 0 = 1 */
    int care;         /* enum case_care */
};

static struct layer_case layer_cases[] = {
    {"attention: {units: 1, heads: 1, window: 2}", 1, 2, 0, 0, CURVED},
    {"attention: {units: 6, heads: 2, window: 3}", 3, 26, 0, 0, SMOOTH},
    {"attention: {units: 20, heads: 4, window: 16, positions: time}", 2, 50, 0, 0, SMOOTH},
    {"attention: {units: 4, heads: 4, window: 5, positions: none}", 4, 7, 0, 0, SMOOTH},
    {"bidirectional: {layer: {gru: {units: 3}}, lag: 1, center: exclude}", 2, 5, 0, 0, SMOOTH},
    {"bidirectional: {layer: {gru: {units: 2}}, lag: 1}", 1, 3, 0, 0, SMOOTH},
    {"bidirectional: {layer: {lstm: {units: 17}}, lag: 4}", 3, 50, 0, 0, SMOOTH},
    {"bidirectional: {layer: {lstm: {units: 2}}, lag: 3, center: exclude}", 3, 25, 0, 0, SMOOTH},
    {"bidirectional: {layer: {gru: {units: 4}}, lag: 6}", 2, 7, 0, 0, SMOOTH},
    {"bidirectional: {layer: {gru: {units: 3, initial_state: learned, time_decay: true}}, lag: 3}", 2, 7, 0, 0,
     CURVED},
    {"bidirectional: {layer: {rnn: {units: 4, recurrent_dropout: 0.4}}, lag: 2, center: exclude}", 2, 7, 0, 0,
     CURVED},
    {"conv1d: {filters: 1, kernel: 2, activation: tanh}", 1, 2, 0, 0, SMOOTH},
    {"conv1d: {filters: 33, kernel: 3, activation: relu}", 2, 7, 0, 0, SMALL_WEIGHTS},
    {"conv1d: {filters: 5, kernel: 1, activation: sigmoid}", 3, 25, 0, 0, SMOOTH},
    {"conv1d: {filters: 16, kernel: 8, activation: identity}", 2, 50, 0, 0, SMOOTH},
    {"conv1d: {filters: 4, kernel: 3, stride: 3, activation: tanh}", 2, 25, 0, 0, SMOOTH},
    {"conv1d: {filters: 3, kernel: 5, stride: 2, activation: sigmoid}", 1, 60, 0, 0, SMOOTH},
    {"decoder: {layer: {gru: {units: 3}}}", 4, 50, 0, 4, SMOOTH},
    {"decoder: {layer: {gru: {units: 2}}}", 1, 3, 0, 1, SMOOTH},
    {"decoder: {layer: {lstm: {units: 4}}, teacher_forcing: 0.5}", 3, 25, 0, 5, SMOOTH},
    {"decoder: {layer: {lstm: {units: 17}}, teacher_forcing: 1}", 18, 7, 0, 3, SMOOTH},
    {"decoder: {layer: {rnn: {units: 4, recurrent_dropout: 0.3, time_decay: true}}}", 3, 7, 0, 3, CURVED},
    {"dense: {units: 1, activation: tanh}", 1, 1, 0, 0, SMOOTH},
    {"dense: {units: 33, activation: relu}", 5, 7, 0, 0, SMALL_WEIGHTS},
    {"dense: {units: 16, activation: sigmoid}", 3, 50, 0, 0, SMOOTH},
    {"dense: {units: 9, activation: identity}", 2, 3, 0, 0, SMOOTH},
    {"dense: {units: 5, activation: tanh, bias: false}", 3, 4, 0, 0, SMOOTH},
    {"embedding: {encoding: one_hot, buckets: 3}", 4, 7, 2, 0, SMOOTH},
    {"embedding: {encoding: learned, buckets: 5, units: 3}", 5, 13, 2, 0, SMOOTH},
    {"embedding: {encoding: learned, buckets: 2, units: 1}", 1, 2, 1, 0, SMOOTH},
    {"masked_encoder: {units: 4, heads: 2, blocks: 1, feed_forward: 3, window: 4, stride: 2, lag: 2, mask: 0.3}", 3,
     5, 0, 0, CURVED},
    {"masked_encoder: {units: 6, heads: 1, blocks: 2, feed_forward: 4, window: 7, stride: 3, lag: 4}", 2, 3, 0, 0,
     CURVED},
    {"masked_encoder: {units: 4, heads: 4, blocks: 1, feed_forward: 3, window: 3, stride: 1, lag: 1, mask: 0}", 1, 2,
     0, 0, CURVED},
    {"rnn: {units: 1}", 1, 2, 0, 0, SMOOTH},
    {"rnn: {units: 33}", 5, 30, 0, 0, CURVED},
    {"rnn: {units: 5, activation: relu}", 3, 26, 0, 0, CURVED},
    {"rnn: {units: 5, layer_norm: true}", 3, 4, 0, 0, CURVED},
    {"rnn: {units: 1, initial_state: learned}", 2, 3, 0, 0, CURVED},
    {"rnn: {units: 5, time_decay: true}", 3, 4, 0, 0, CURVED},
    {"rnn: {units: 17, recurrent_dropout: 0.4}", 3, 4, 0, 0, CURVED},
    {"rnn: {units: 5, initial_state: learned, time_decay: true, recurrent_dropout: 0.4}", 3, 4, 0, 0, CURVED},
    {"rnn: {units: 17, layer_norm: true, initial_state: learned, time_decay: true, recurrent_dropout: 0.3}", 2, 25, 0,
     0, CURVED},
    {"gru: {units: 1}", 1, 2, 0, 0, SMOOTH},
    {"gru: {units: 16}", 4, 25, 0, 0, SMOOTH},
    {"gru: {units: 33}", 7, 13, 0, 0, SMOOTH},
    {"gru: {units: 32}", 10, 256, 0, 0, SMOOTH},
    {"gru: {units: 5, bias: single}", 3, 4, 0, 0, SMOOTH},
    {"gru: {units: 17, layer_norm: true}", 3, 26, 0, 0, CURVED},
    {"gru: {units: 5, layer_norm: true, bias: single}", 3, 4, 0, 0, CURVED},
    {"gru: {units: 5, initial_state: learned}", 3, 4, 0, 0, SMOOTH},
    {"gru: {units: 33, time_decay: true}", 3, 4, 0, 0, SMOOTH},
    {"gru: {units: 5, recurrent_dropout: 0.4}", 3, 4, 0, 0, SMOOTH},
    {"gru: {units: 17, layer_norm: true, initial_state: learned, time_decay: true, recurrent_dropout: 0.3}", 2, 25, 0,
     0, CURVED},
    {"lstm: {units: 1}", 1, 2, 0, 0, SMOOTH},
    {"lstm: {units: 32}", 4, 50, 0, 0, SMOOTH},
    {"lstm: {units: 19}", 6, 13, 0, 0, SMOOTH},
    {"lstm: {units: 17, layer_norm: true}", 3, 26, 0, 0, CURVED},
    {"lstm: {units: 1, initial_state: learned}", 3, 4, 0, 0, CURVED},
    {"lstm: {units: 5, time_decay: true}", 3, 4, 0, 0, SMOOTH},
    {"lstm: {units: 17, recurrent_dropout: 0.4}", 3, 4, 0, 0, SMOOTH},
    {"lstm: {units: 33, layer_norm: true, initial_state: learned, time_decay: true, recurrent_dropout: 0.3}", 2, 25,
     0, 0, CURVED},
    {"transformer: {heads: 2, window: 4, feed_forward: 6}", 4, 26, 0, 0, CURVED},
    {"transformer: {heads: 1, window: 9, feed_forward: 17, norm: after, positions: time}", 3, 7, 0, 0, CURVED},
    {"wavenet: {channels: 1, layers: 1, skip: 1}", 1, 2, 0, 0, LARGE_BIASES},
    {"wavenet: {channels: 4, layers: 3, kernel: 3, skip: 5}", 2, 25, 0, 0, LARGE_BIASES},
    {"wavenet: {channels: 17, layers: 4, skip: 17}", 3, 50, 0, 0, LARGE_BIASES},
};

#endif
