/* What the option tables cannot say: rules about one option's form, and between several options. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/node.h"
#include "config/settings.h"

/* Reports what is wrong; an option that already has a problem is left alone. */
void settings_check(struct reading *, const struct node *root, const struct settings *);

#endif
