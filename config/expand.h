/* ${VAR}, ${VAR:-default} and ${file:path} in scalars; $$ is one $.  A $ before anything else stands for itself.
 *
 * The default is taken when the variable is unset or empty, and may hold further ${..}.  One line end is cut from the
 * end of a file.  Nothing of what a variable or a file holds appears in an error.
 * Threads  reads the environment, as getenv() does. */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include "eddy_buffer.h"

#include <stdbool.h>

/* Appends the expanded text and a NUL to the empty buffer `out`.  Sets *secret when a file or a variable with a name
 * such as DB_PASSWORD was read, and leaves it alone otherwise.
 * EDDY_ECONFIG: a variable is not set, a file cannot be read, or the form is wrong; EDDY_ENOMEM. */
eddy_status expand_text(const char *text, struct eddy_buffer *out, bool *secret, struct eddy_error *);

#endif
