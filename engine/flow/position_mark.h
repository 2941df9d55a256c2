/* What eddy keeps with a position that a group has committed, as text in its metadata: "eddy start=S output=N".
 *
 * start   the first offset that was ever folded: a state that is made anew begins there.
 * output  where the output ended when the group was last moved by hand.  Results before that place are of lives before the
 *         move: they do not stand for those that are wanted again.  `eddy reset` leaves it without a start, for no life
 *         has committed anything since; whoever commits hands it on. */
#ifndef ENGINE_FLOW_POSITION_MARK_H
#define ENGINE_FLOW_POSITION_MARK_H

#include <stdint.h>

enum { POSITION_MARK_BYTES = 64 };

struct position_mark {
    int64_t start, output; /* -1 = it says nothing of it */
};

/* Other people's text, and none, say nothing. */
struct position_mark position_mark_read(const char *text);
void position_mark_write(struct position_mark, char text[POSITION_MARK_BYTES]);

#endif
