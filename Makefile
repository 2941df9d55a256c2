# eddy: `make demo` shows it, `make test` proves it; `make help` lists the rest.
#
# Each directory becomes an archive of its own, so that a test links the parts it tests and what lies left of them, and
# nothing else.  Every kind of build has a directory of its own below build/: SAN=asan, SAN=tsan, FAILPOINTS=1 (places
# where tests make the program fail, config/failpoint.h), or BUILD=build/NAME.
# V=1 shows the commands.

ifeq ($(origin CC),default)
CC      = gcc
endif
SAN    ?=
WERROR ?=
V      ?=
FAILPOINTS ?=
BUILD  ?= build$(if $(SAN),/$(SAN))$(if $(FAILPOINTS),/fault)

PACKAGES = rdkafka openblas sqlite3 yaml-0.1 jansson zlib libxxhash
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
OPT      = $(if $(SAN),-O1 -g -fno-omit-frame-pointer,-O2 -g)
HARDEN   = $(if $(SAN),,-D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
SAN_asan = -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_tsan = -fsanitize=thread
SAN_fuzz = $(SAN_asan) -fsanitize=fuzzer-no-link
# -fno-math-errno and -fno-trapping-math change no result: they say that nobody looks at errno after sqrt() or at the
# processor's floating point exception flags.
CFLAGS_  = -std=c11 -D_GNU_SOURCE -I. -Iconfig -Iengine -Iplugin -fPIC -fvisibility=hidden -ffp-contract=off \
           -fno-math-errno -fno-trapping-math \
           -MMD -MP $(WARN) $(OPT) $(HARDEN) $(SAN_$(SAN)) $(if $(FAILPOINTS),-DEDDY_FAILPOINTS) \
           $(PACKAGES_CFLAGS) $(CFLAGS)
LDLIBS_  = $(PACKAGES_LIBS) -lpthread -ldl -lm
LDFLAGS_ = $(SAN_$(SAN)) -rdynamic -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack $(LDFLAGS)

# Asked once, and only when a recipe needs the answer: `make test` must start on a machine without pkg-config.
PACKAGES_CFLAGS = $(eval PACKAGES_CFLAGS := $(PACKAGES_CHECK)$(shell pkg-config --cflags $(PACKAGES)))$(PACKAGES_CFLAGS)
PACKAGES_LIBS   = $(eval PACKAGES_LIBS := $(PACKAGES_CHECK)$(shell pkg-config --libs $(PACKAGES)))$(PACKAGES_LIBS)
PACKAGES_CHECK  = $(if $(shell pkg-config --exists --print-errors $(PACKAGES) && echo yes),,\
                  $(error a library is missing, `make setup` installs it))

# Two jobs at once and so on, unless the caller has chosen.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# Shows a command as two words, or with V=1 as it is.
say = $(if $(V),,@echo "  $(1) $(2)"; )

# ---- The program ----------------------------------------------------------------------------------------------------

# Right to left, so that each archive finds what it needs in a later one.
DIRS = plugin/demo plugin connectors/kafka connectors/files connectors/codec engine/flow engine/train engine/detect \
       engine/forecast engine/model engine/state engine/math config
lib      = $(BUILD)/$(subst /,_,$(1)).a
objects  = $(patsubst %.c,$(BUILD)/%.o,$(filter-out plugin/main.c tests/bench/bench_%.c tests/fault/fault_%.c,$(wildcard $(1)/*.c)))
LIBS     = $(foreach d,$(DIRS),$(call lib,$(d)))
link     = $(call say,link,$@)$(CC) $(LDFLAGS_) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS_)

all: $(BUILD)/eddy ## build/eddy, build/libeddy.so, build/libeddy.a

define archive
$(call lib,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D) && rm -f $$@
	$$(call say,ar  ,$$@)$$(AR) rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call archive,$(d))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc  ,$<)$(CC) $(CFLAGS_) -c $< -o $@

# The maths are loops over floats: they are worth the vectoriser.
$(BUILD)/engine/math/%.o: OPT := $(if $(SAN),-O1 -g,-O3 -g)
$(BUILD)/engine/forecast/fleet%.o $(BUILD)/engine/forecast/season%.o: OPT := $(if $(SAN),-O1 -g,-O3 -g)
# So is what every event goes through: it takes 2 % less.
$(foreach d,engine/detect engine/flow connectors/codec,$(BUILD)/$(d)/%.o): OPT := $(if $(SAN),-O1 -g,-O3 -g)
# The same loops for wider vectors, chosen at run time (engine/math/kernels.c).
ifeq ($(shell uname -m),x86_64)
$(BUILD)/engine/math/kernels_avx2.o: OPT += -mavx2 -mfma
$(BUILD)/engine/math/kernels_avx512.o: OPT += -mavx512f -mprefer-vector-width=512
$(BUILD)/connectors/codec/number_lanes_avx2.o: OPT += -mavx2
$(BUILD)/connectors/codec/number_lanes_avx512.o: OPT += -mavx512f -mavx512bw -mprefer-vector-width=512
endif

$(BUILD)/eddy: $(BUILD)/plugin/main.o $(LIBS)
	$(link)

# The pages of the reports are taken in by the assembler (.incbin), which -MMD does not see.
$(BUILD)/plugin/demo/page.o $(BUILD)/plugin/backtest_page.o: $(wildcard plugin/page/* plugin/demo/page.html plugin/demo/page.js)

# ---- The library, the examples, installing ----------------------------------------------------------------------------

# Everything but the commands; the mock broker is for tests and the demo alone.
LIBRARY  = $(filter-out %/kafka_mock.o,$(foreach d,$(filter-out plugin plugin/demo,$(DIRS)),$(call objects,$(d)))) \
           $(patsubst %,$(BUILD)/plugin/%.o,embed embed_save registry loader schema)
VERSION  = $(shell awk '/define EDDY_VERSION_/ { v = v dot $$3; dot = "." } END { print v }' plugin/eddy.h)
SONAME   = libeddy.so.$(firstword $(subst ., ,$(VERSION)))
EXAMPLES = $(addprefix $(BUILD)/examples/,embed codec_kv.so detector_limit.so expert_drift.so layer_leaky.so)
HEADERS  = plugin/eddy.h plugin/eddy_plugin.h $(wildcard config/eddy_*.h engine/eddy_*.h)
PREFIX  ?= /usr/local
INTO     = $(DESTDIR)$(PREFIX)

all: $(BUILD)/libeddy.so $(BUILD)/libeddy.a
everything: examples
$(BUILD)/test-plugin: | examples

$(BUILD)/$(SONAME): $(LIBRARY) plugin/libeddy.map
	$(call say,link,$@)$(CC) -shared $(SAN_$(SAN)) -Wl,-soname,$(SONAME),--version-script=plugin/libeddy.map,-z,relro,-z,now,-z,noexecstack \
	    -o $@ $(filter %.o,$^) $(LDLIBS_)
$(BUILD)/libeddy.so: $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $@

# One object whose only global names are eddy_*, so that a static eddy clashes with nobody's names.
$(BUILD)/libeddy.a: $(LIBRARY)
	@rm -f $@
	$(call say,ar  ,$@)$(LD) -r -o $(BUILD)/libeddy.o $^ && objcopy --localize-hidden $(BUILD)/libeddy.o && $(AR) rcs $@ $(BUILD)/libeddy.o

$(BUILD)/eddy.pc: plugin/eddy.pc.in plugin/eddy.h
	@mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@PRIVATE@|$(LDLIBS_)|' $< > $@

examples: $(EXAMPLES) ## eddy.h and loadable parts in use: build/examples/
$(BUILD)/examples/%.so: plugin/examples/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(call say,link,$@)$(CC) $(CFLAGS_) -shared -o $@ $< -lm
	@chmod go-w $@
$(BUILD)/examples/embed: plugin/examples/embed.c $(BUILD)/libeddy.so
	@mkdir -p $(@D)
	$(call say,link,$@)$(CC) $(CFLAGS_) -o $@ $< -L$(BUILD) -leddy -lm -Wl,-rpath,'$$ORIGIN/..'

options: $(BUILD)/eddy ## rewrites config/OPTIONS.md from the option tables
	$(BUILD)/eddy options --markdown > config/OPTIONS.md

install: all $(BUILD)/eddy.pc ## PREFIX, DESTDIR: program, library, headers, pkg-config file, man page, samples, systemd unit
	install -d $(INTO)/bin $(INTO)/lib/pkgconfig $(INTO)/include/eddy $(INTO)/share/man/man1 $(INTO)/share/eddy \
	           $(INTO)/lib/systemd/system
	install -m 755 $(BUILD)/eddy $(INTO)/bin/eddy
	install -m 755 $(BUILD)/$(SONAME) $(INTO)/lib/$(SONAME)
	ln -sf $(SONAME) $(INTO)/lib/libeddy.so
	install -m 644 $(BUILD)/libeddy.a $(INTO)/lib/libeddy.a
	install -m 644 $(BUILD)/eddy.pc $(INTO)/lib/pkgconfig/eddy.pc
	install -m 644 $(HEADERS) $(INTO)/include/eddy
	install -m 644 $(wildcard config/*.yml) $(INTO)/share/eddy
	install -d $(INTO)/share/eddy/networks
	install -m 644 $(wildcard config/networks/*.yml) $(INTO)/share/eddy/networks
	plugin/man.sh $(BUILD)/eddy > $(INTO)/share/man/man1/eddy.1
	sed 's|@PREFIX@|$(PREFIX)|' plugin/eddy@.service.in > $(INTO)/lib/systemd/system/eddy@.service

.PHONY: examples options install

# ---- Test programs --------------------------------------------------------------------------------------------------

# tests/unit/GROUP/*.c become one Criterion program; NEEDS_GROUP names the directories that it links, WITH_GROUP what it
# takes from another group.
NEEDS_config   = config
NEEDS_codec    = connectors/codec config
NEEDS_files    = connectors/files connectors/codec config
NEEDS_kafka    = connectors/kafka engine/flow config
NEEDS_model    = engine/model engine/math config
NEEDS_forecast = engine/forecast engine/math config
NEEDS_detect   = engine/detect engine/math config
NEEDS_train    = engine/train engine/model engine/math config
WITH_train     = tests/unit/model/fixture.c tests/unit/model/probe.c
NEEDS_state    = engine/state config
NEEDS_flow     = engine/flow engine/train engine/detect engine/forecast engine/model engine/state engine/math \
                 connectors/codec connectors/files config
NEEDS_plugin   = $(DIRS)
GROUPS = config codec files kafka model forecast detect train state flow plugin

define unit
$(BUILD)/test-$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/$(1)/*.c) $(WITH_$(1))) $(foreach d,$(NEEDS_$(1)),$(call lib,$(d)))
	$$(link) -lcriterion
unit-$(1): $(BUILD)/test-$(1)
	$$<
endef
$(foreach g,$(GROUPS),$(eval $(call unit,$(g))))

# Gradients once more, to six digits: maths, layers and training compiled as they are but with float defined as double
# (activations from the C library, dgemm for sgemm; -w because headers that name float complain).
DOUBLE = $(filter-out engine/math/kernels_avx%.c,$(wildcard engine/math/*.c engine/model/*.c)) \
         $(addprefix engine/train/,tbptt.c batch.c optimiser.c schedule.c scratch.c window.c) \
         $(addprefix tests/unit/model/,fixture.c loss_test.c) $(addprefix tests/unit/train/,fixture.c gradient_test.c golden_test.c golden_layers_test.c optimiser_test.c)
$(BUILD)/double/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc  ,$< (double))$(CC) $(CFLAGS_) -w -Dfloat=double -DMATH_DOUBLE -c $< -o $@
$(BUILD)/test-gradient: $(patsubst %.c,$(BUILD)/double/%.o,$(DOUBLE)) $(call lib,config)
	$(link) -lcriterion
unit-gradient: $(BUILD)/test-gradient
	$<

# State on a disk that fails, fills up and loses power (FAULT_FULL=1: every trial; FAULT_TABLE=FILE: what came of them).
FAULT_STORE = $(wildcard tests/fault/store/*.c) $(addprefix tests/unit/flow/,fixture.c fixture_script.c fixture_topic.c)
$(BUILD)/test-fault-store: $(patsubst %.c,$(BUILD)/%.o,$(FAULT_STORE)) $(foreach d,$(NEEDS_flow),$(call lib,$(d)))
	$(link) -lcriterion
unit-fault-store: $(BUILD)/test-fault-store
	$<

# Each of these files is a program of its own, with a plain main(); what the benchmarks share is an archive.
PROGRAMS = $(wildcard tests/race/*.c tests/bench/bench_*.c tests/kafka/*.c tests/fault/fault_*.c tests/accuracy/*.c)
program  = $(BUILD)/$(notdir $(1:.c=))
define plain_program
$(call program,$(1)): $(BUILD)/$(1:.c=.o) $(if $(filter tests/bench/% tests/fault/%,$(1)),$(call lib,$(patsubst %/,%,$(dir $(1))))) $(LIBS)
	$$(link)
endef
$(eval $(call archive,tests/bench))
$(eval $(call archive,tests/fault))
$(foreach p,$(PROGRAMS),$(eval $(call plain_program,$(p))))
$(BUILD)/workers_race: $(BUILD)/tests/unit/flow/fixture_shards.o

# A fuzz target is a program that replays its corpus, or with SAN=fuzz and clang one for libFuzzer.
FUZZERS = $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_SHARED = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_fuzz.c tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
define fuzz_program
$(call program,$(1)): $(BUILD)/$(1:.c=.o) $(FUZZ_SHARED) $(if $(filter fuzz,$(SAN)),,$(BUILD)/tests/fuzz/replay.o) $(LIBS)
	$$(link) $(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer)
endef
$(foreach p,$(FUZZERS),$(eval $(call fuzz_program,$(p))))

# ---- Goals: each `setup` comes first, the rest runs in a make of its own that sees what was installed ----------------

UNIT  = $(addprefix $(BUILD)/test-,$(GROUPS) gradient fault-store)
RACE  = $(foreach p,$(wildcard tests/race/*.c),$(call program,$(p)))
BENCH = $(foreach p,$(wildcard tests/bench/bench_*.c),$(call program,$(p)))
CHECK = $(foreach p,$(wildcard tests/kafka/*.c),$(call program,$(p)))
LAB   = $(foreach p,$(wildcard tests/fault/fault_*.c),$(call program,$(p)))
FUZZ  = $(foreach p,$(FUZZERS),$(call program,$(p)))
FLOW  = $(sort $(wildcard tests/flow/[0-9]*.sh))
KAFKA = $(sort $(wildcard tests/kafka/[0-9]*.sh))
FAULT = $(sort $(wildcard tests/fault/[0-9]*.sh))
SELF  = @$(MAKE) --no-print-directory $(JOBS)
RUN   = @BUILD=$(BUILD) tests/run.sh

setup: ## installs what is missing from Debian
	@tests/setup.sh

demo: setup ## the main job without a broker: a simulated plant, scored over the Kafka protocol
	$(SELF) all
	@$(BUILD)/eddy demo --report $(BUILD)/demo.html

test: setup ## everything that a contributor needs to trust a change
	$(SELF) all examples $(UNIT) $(FUZZ) $(CHECK)
	$(fault_all)
	$(RUN) $(UNIT) $(FUZZ) $(FLOW) $(KAFKA); rc=$$?; $(subst @,,$(fault_run)) && exit $$rc

test-unit: setup ## the Criterion groups and the fuzz targets' corpus; one group: make unit-config
	$(SELF) $(UNIT) $(FUZZ)
	$(RUN) $(UNIT) $(FUZZ)

test-flow: setup ## the program's commands, without Kafka
	$(SELF) all examples
	$(RUN) $(FLOW)

test-kafka: setup ## the program against a real Apache Kafka, which is fetched and started
	$(SELF) all $(CHECK)
	$(RUN) $(KAFKA)

# Suites that need a build with failpoints; the table is printed at the end.
fault_run = @BUILD=$(BUILD)/fault FAULT_TABLE=$(BUILD)/fault/table tests/fault/run.sh $(1) $(FAULT)
fault_all = $(SELF) FAILPOINTS=1 BUILD=$(BUILD)/fault all $(subst $(BUILD)/,$(BUILD)/fault/,$(CHECK) $(LAB))

test-fault: setup ## crashes, broken brokers and networks, a full disk; FAULT_FULL=1 for the whole (up to 90 minutes)
	$(fault_all) $(BUILD)/fault/test-fault-store
	$(call fault_run,$(BUILD)/fault/test-fault-store)

test-asan: setup ## unit and flow tests under address and undefined-behaviour sanitizers
	$(SELF) SAN=asan BUILD=$(BUILD)/asan all examples $(subst $(BUILD)/,$(BUILD)/asan/,$(UNIT) $(FUZZ))
	@BUILD=$(BUILD)/asan tests/run.sh $(subst $(BUILD)/,$(BUILD)/asan/,$(UNIT) $(FUZZ)) $(FLOW)

test-race: setup ## threads under the thread sanitizer
	$(SELF) SAN=tsan BUILD=$(BUILD)/tsan $(subst $(BUILD)/,$(BUILD)/tsan/,$(RACE))
	@BUILD=$(BUILD)/tsan tests/run.sh $(subst $(BUILD)/,$(BUILD)/tsan/,$(RACE))

SECONDS ?= 60
fuzz: setup ## each fuzz target under libFuzzer for SECONDS=60 (clang and libclang-rt-NN-dev); what it finds stays in build/fuzz
	$(SELF) SAN=fuzz CC=clang BUILD=$(BUILD)/fuzz $(subst $(BUILD)/,$(BUILD)/fuzz/,$(FUZZ))
	@for p in $(patsubst %_fuzz,%,$(notdir $(FUZZ))); do \
	    mkdir -p $(BUILD)/fuzz/corpus/$$p && \
	    $(BUILD)/fuzz/$${p}_fuzz -max_total_time=$(SECONDS) -timeout=20 -artifact_prefix=$(BUILD)/fuzz/$$p- -print_final_stats=1 \
	        $(BUILD)/fuzz/corpus/$$p tests/fuzz/corpus/$$p || exit 1; \
	done

bench: setup ## speed and memory: a table, and build/bench.json; PEERS=1 installs rivals from PyPI and Maven into build/peers
	$(SELF) $(BENCH)
	@BUILD=$(BUILD) PEERS=$(PEERS) tests/bench/bench.sh $(BENCH)

profile: setup ## where an event's CPU time goes, stage by stage: build/bench_kafka under perf
	$(SELF) $(BUILD)/bench_kafka
	@BUILD=$(BUILD) tests/bench/profile.sh

accuracy: setup ## forecasts and detection on real data beside what they must reach: ROWS=nab,ett SEEDS=1 for a quick look
	$(SELF) all $(BUILD)/charts
	@BUILD=$(BUILD) ROWS=$(ROWS) SEEDS=$(SEEDS) python3 -B tests/accuracy/accuracy.py

lint: strict ## warnings as errors with gcc and clang, layout of the sources, syntax of the scripts
	@tests/lint.sh

strict:
	$(SELF) WERROR=1 CC=gcc BUILD=$(BUILD)/gcc everything
	$(SELF) WERROR=1 CC=clang BUILD=$(BUILD)/clang everything

everything: all $(UNIT) $(FUZZ) $(foreach p,$(PROGRAMS),$(call program,$(p)))

layers: ## the include rule: config <- engine <- connectors <- plugin
	@tests/layers.sh

format: ## rewrites the layout
	@clang-format -i $(shell git ls-files '*.c' '*.h')

clean: ## removes build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

-include $(shell find $(addprefix $(BUILD)/,config engine connectors plugin tests double) -name '*.d' 2>/dev/null)
.PHONY: all setup demo test test-unit test-flow test-kafka test-fault test-asan test-race fuzz bench profile accuracy lint strict \
        everything layers format clean help $(addprefix unit-,$(GROUPS) gradient fault-store)
