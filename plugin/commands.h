/* The subcommands, each in a file of its own: cmd_NAME.c holds command_NAME.  A new one is a row here, a row in
 * command_table.c, and its file. */
#ifndef PLUGIN_COMMANDS_H
#define PLUGIN_COMMANDS_H

#include "plugin/command.h"

extern const struct command command_run;
extern const struct command command_replay;
extern const struct command command_train;
extern const struct command command_filter;
extern const struct command command_demo; /* plugin/demo/demo.c */
extern const struct command command_check;
extern const struct command command_options;
extern const struct command command_estimate;
extern const struct command command_state;
extern const struct command command_model;
extern const struct command command_reset;
extern const struct command command_version;

#endif
