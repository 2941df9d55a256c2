/* A walk over the weight tensors of a network, layer by layer from the bottom up, as the layers name them. */
#ifndef ENGINE_MODEL_TENSORS_H
#define ENGINE_MODEL_TENSORS_H

#include "engine/model/network.h"

struct tensors { /* begins as {net} */
    const struct network *net;
    int layer, next;              /* where the current one stands, and its number in the layer plus 1 */
    struct eddy_tensor_info info; /* the current one; `first` counts from the start of the network's params */
};

bool tensors_next(struct tensors *);                     /* false behind the last */
size_t tensors_floats(const struct tensors *);           /* of the current one */
int tensors_count(const struct network *);               /* of all layers */
bool tensors_is_weight(const struct eddy_tensor_info *); /* not a bias, a normalisation or an initial state */

#endif
