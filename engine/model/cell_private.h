/* Where things lie in the arrays of a recurrent cell: shared by cell.c (forward) and cell_back.c (backward). */
#ifndef ENGINE_MODEL_CELL_PRIVATE_H
#define ENGINE_MODEL_CELL_PRIVATE_H

#include "engine/model/cell.h"

/* In params; W lies at 0.  What the options leave out has no floats. */
struct cell_params {
    size_t u, b, c, norm_ih, norm_hh, extra, initial, decay_w, decay_b, end;
};
/* In packed; the first panels lie at 0. */
struct cell_packed {
    size_t of_h, plain, end;
    size_t biases; /* floats of b and c between the panels and the rest: with layer_norm */
};
/* In a row's tape, behind the gates' own blocks: raw sums of x and of h [G H] each, what their normalisation saved, the h
 * that met U, whether the key was new and d, the states after the decay. */
struct cell_tape {
    size_t sums, saved, dropped, enter, entered, end;
};
/* In work: sums first. */
struct cell_work {
    size_t width, x, h, dropped, tape, end;
};

bool cell_learns_start(const struct cell *);
struct cell_params cell_places(const struct cell *);
struct cell_tape cell_tape(const struct cell *);
size_t cell_back_floats(const struct cell *);                  /* n_back */
float cell_mask(const struct cell *, uint64_t draw, int unit); /* 0 or 1 / (1 - p) */

#endif
