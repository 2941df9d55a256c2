/* The weights of a model as a file with PyTorch's names and shapes, so that they can go both ways.
 *
 *   layers.N.TENSOR   of the N-th layer from the bottom      head.TENSOR   of the head
 *   NAME.layers.N.TENSOR, NAME.head.TENSOR                   when there are several networks
 *
 * TENSOR is what the layer calls it; weight_ih, weight_hh, bias_ih and bias_hh get "_l0" behind them.  So the layers of a
 * torch.nn.ModuleList called `layers` and an nn.Linear called `head` have the names of a network's state_dict.
 * nn.LSTM and nn.RNN have two biases where eddy's lstm and rnn have their sum: one is written as zeros, and both are
 * added on reading, also within a layer that wraps such a cell.  The same goes for a gru with one bias, where it is right
 * only if the second one's part for the new gate is 0: other files are refused.
 *
 * Errors   each names `path`: those of safetensors.h, and EDDY_EMISMATCH with all that does not fit. */
#ifndef ENGINE_MODEL_MODEL_FILE_H
#define ENGINE_MODEL_MODEL_FILE_H

#include "engine/model/model.h"
#include "engine/model/safetensors.h"

/* Appends the file; params [n_params]. */
eddy_status model_file_encode(const struct model *, const float *params, const struct safetensors_text *metadata,
                              int n_metadata, struct eddy_buffer *out, struct eddy_error *);
/* Every tensor must be there with its shape and finite numbers, and nothing else; params [n_params] are written. */
eddy_status model_file_decode(const struct model *, const char *path, const void *bytes, size_t n, float *params,
                              struct eddy_error *);

/* The whole file; EDDY_EIO, EDDY_ENOTFOUND, or EDDY_ELIMIT above MODEL_FILE_MAX bytes. */
#define MODEL_FILE_MAX ((size_t)1 << 30)
eddy_status model_file_load(const char *path, struct eddy_buffer *out, struct eddy_error *);
/* Writes it beside `path` and then puts it in its place. */
eddy_status model_file_save(const char *path, const struct eddy_buffer *bytes, struct eddy_error *);

#endif
