#include "plugin/commands.h"

/* The order of `eddy help`. */
const struct command *const command_table[] = {
    &command_run,   &command_replay, &command_train,   &command_filter,
    &command_demo,  &command_check,  &command_options, &command_estimate,
    &command_state, &command_model,  &command_reset,   &command_version,
    NULL,
};
