# eddy: `make demo` shows it, `make test` proves it; the other targets are in `make help`.
#
# Each directory below becomes an archive of its own, so that a test links the parts it tests and what lies left of
# them, and nothing else.  SAN=asan and SAN=tsan build into directories of their own.

CC      ?= gcc
SAN     ?=
WERROR  ?=
BUILD   ?= build$(if $(SAN),/$(SAN))

PACKAGES = rdkafka openblas sqlite3 yaml-0.1 jansson zlib libxxhash
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
OPT      = $(if $(SAN),-O1 -g -fno-omit-frame-pointer,-O2 -g)
HARDEN   = $(if $(SAN),,-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
SAN_asan = -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_tsan = -fsanitize=thread
CFLAGS_  = -std=c11 -D_GNU_SOURCE -I. -Iconfig -Iengine -Iplugin -fPIC -fvisibility=hidden -ffp-contract=off \
           -MMD -MP $(WARN) $(OPT) $(HARDEN) $(SAN_$(SAN)) $(shell pkg-config --cflags $(PACKAGES)) $(CFLAGS)
LDLIBS_  = $(shell pkg-config --libs $(PACKAGES)) -lpthread -ldl -lm
LDFLAGS_ = $(SAN_$(SAN)) -rdynamic -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack $(LDFLAGS)

# Right to left, so that each archive finds what it needs in a later one.
DIRS = plugin/demo plugin connectors/kafka connectors/files connectors/codec engine/flow engine/train engine/detect engine/forecast engine/model \
       engine/state engine/math config
lib      = $(BUILD)/$(subst /,_,$(1)).a
objects  = $(patsubst %.c,$(BUILD)/%.o,$(filter-out plugin/main.c,$(wildcard $(1)/*.c)))
LIBS     = $(foreach d,$(DIRS),$(call lib,$(d)))

all: $(BUILD)/eddy

define archive
$(call lib,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D) && rm -f $$@
	$$(AR) rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call archive,$(d))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_) -c $< -o $@

# The maths are loops over floats: they are worth the vectoriser.
$(BUILD)/engine/math/%.o: OPT := $(if $(SAN),-O1 -g,-O3 -g)

$(BUILD)/eddy: $(BUILD)/plugin/main.o $(LIBS)
	$(CC) $(LDFLAGS_) -o $@ $< -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS_)

# tests/unit/GROUP/*.c become one Criterion program; NEEDS_GROUP names the directories that it links.
NEEDS_config = config
NEEDS_codec  = connectors/codec config
NEEDS_files  = connectors/files connectors/codec config
NEEDS_kafka  = connectors/kafka config
NEEDS_model  = engine/train engine/model engine/math config
NEEDS_state  = engine/state config
NEEDS_flow   = engine/flow engine/train engine/detect engine/forecast engine/model engine/state engine/math connectors/codec connectors/files config
NEEDS_plugin = $(DIRS)
GROUPS = config codec files kafka model state flow plugin

define unit
$(BUILD)/test-$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/$(1)/*.c)) $(foreach d,$(NEEDS_$(1)),$(call lib,$(d)))
	$$(CC) $$(LDFLAGS_) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LDLIBS_) -lcriterion
unit-$(1): $(BUILD)/test-$(1)
	$$<
endef
$(foreach g,$(GROUPS),$(eval $(call unit,$(g))))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all
