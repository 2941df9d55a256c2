/* The files that a command reads and writes.  No two may be the same where one of them is written: they would destroy each
 * other; and what is written at the end of a long run is tried before it.
 * Memory   everything is borrowed until the check. */
#ifndef PLUGIN_FILE_USES_H
#define PLUGIN_FILE_USES_H

#include "connectors/files/file_source.h"

enum { FILE_USES_MAX = 16 };
struct file_uses {
    int n;
    struct file_use {
        const char *option; /* who names it: --metrics, CONFIG, f.yml:3: sink.file */
        const char *path;
        bool written;
    } item[FILE_USES_MAX];
    const char *inputs_option;
    struct file_source_settings inputs; /* counts when inputs_option is not NULL */
    char state[4096];                   /* nothing else may lie below this directory; "" = none is kept */
};

/* path NULL = the option was not given.  What is written to "-" goes to standard output. */
void file_uses_read(struct file_uses *, const char *option, const char *path);
void file_uses_write(struct file_uses *, const char *option, const char *path);
/* EDDY_ECONFIG naming both options when a file is two of them; *misused: one of these is of the command line. */
eddy_status file_uses_differ(const struct file_uses *, bool *misused, struct eddy_error *);
/* Can a file be written there?  Leaves what is there as it is and makes nothing.  EDDY_EIO, EDDY_EFULL with the reason. */
eddy_status file_can_write(const char *option, const char *path, struct eddy_error *);

#endif
