# SPDX-License-Identifier: Apache-2.0
# KubeMarla. One Makefile, not recursive; `make` alone lists the targets.
# V=1 shows commands. SAN=address,undefined or SAN=thread builds a separate, sanitized flavour.

# make's own default, cc, is no choice of the caller's.
ifeq ($(origin CC),default)
CC       := gcc
endif
CLANG    ?= clang
PREFIX   ?= /usr/local
DESTDIR  ?=
DATASET  ?= ../shared/data/nginx-pcm
V        ?= 0
SAN      ?=
WERROR   ?= 0

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $(2);)

# A newcomer's plain `make demo` uses all cores too; any -j of the caller's wins.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

# ---- flavours --------------------------------------------------------------------------------
comma := ,
FLAVOUR := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),release)
OUT     := build$(if $(SAN),/$(FLAVOUR))
OBJ     := build/obj/$(FLAVOUR)

# ---- rooms -----------------------------------------------------------------------------------
PROGRAM_ROOMS := app cli lab pcmd
ROOMS := $(filter-out $(PROGRAM_ROOMS),$(notdir $(patsubst %/,%,$(dir $(wildcard src/*/*.c)))))
ROOMS := $(sort $(ROOMS))
LIB_SRC := $(sort $(foreach r,$(ROOMS),$(wildcard src/$(r)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(OBJ)/%.o)
APP_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard src/app/*.c)))
CLI_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard src/cli/*.c)))
LAB_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard src/lab/*.c)))
PCM_OBJ := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard src/pcmd/*.c)))
LIB     := $(OBJ)/libkm.a

# ---- flags -----------------------------------------------------------------------------------
PKGS := libmicrohttpd gnutls libcurl libcjson yaml-0.1 xgboost zlib
# Asked once, and only when something is compiled: the packages may be what `make deps` installs.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wwrite-strings -Wpointer-arith -Wformat=2 -Wvla $(if $(filter 1,$(WERROR)),-Werror)
# Rooms that do arithmetic on outside numbers take no silent conversion.
CONVERSION_ROOMS := base core place wire
HARDEN  := -fstack-protector-strong -fstack-clash-protection -fPIE $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
ifeq ($(SAN),)
OPT     := -O2 -D_FORTIFY_SOURCE=2
else
OPT     := -O1 -fno-omit-frame-pointer -fsanitize=$(SAN) $(if $(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined)
endif
CFLAGS  ?= -g
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Iinclude $(OPT) $(WARN) $(HARDEN) $(CFLAGS) $(PKG_CFLAGS) -pthread -MMD -MP
LDFLAGS ?=
ALL_LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) -pie -Wl,-z,relro,-z,now $(LDFLAGS)
LDLIBS  = $(PKG_LIBS) -lgomp -lm -pthread

# ---- tests -----------------------------------------------------------------------------------
UNIT_SRC   := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN   := $(UNIT_SRC:tests/unit/%.c=$(OUT)/tests/%)
WIRE_SRC   := $(sort $(wildcard tests/wire/test_*.c))
WIRE_BIN   := $(WIRE_SRC:tests/wire/%.c=$(OUT)/tests/wire-%)
# A library too: a test takes what it calls, and may stand in for the rest of libkm.
SUPPORT_OBJ:= $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard tests/support/*.c)))
SUPPORT    := $(OBJ)/libsupport.a
# Scripts that print TAP: what no C program is needed for.
SCRIPT_TESTS := $(sort $(wildcard tests/script/test_*.sh))
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(OUT)/tests/replay-%)
FUZZ_BIN   := $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)
TOOL_SRC   := $(sort $(wildcard tests/fixtures/*.c))
TOOL_BIN   := $(TOOL_SRC:tests/fixtures/%.c=$(OUT)/tests/%)
# Stand-ins for what is not here: shared objects without sanitizers, as a real one would be, and
# programs.
FAKE_BIN   := $(OUT)/tests/libpcm_fake.so $(OUT)/tests/pcm_helper_fake $(OUT)/tests/nginx_fake
BENCH_SRC  := $(sort $(wildcard tests/bench/*.c))
BENCH_BIN  := $(BENCH_SRC:tests/bench/%.c=$(OUT)/bench/%)
FUZZ_SECONDS ?= 30

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

##@ Everyday
.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	      /^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: $(addprefix $(OUT)/,kubemarlad kubemarla kubectl-marla kubemarla-lab kubemarla-pcm) ## the programs into build/

# Asked before anything is compiled, once for all goals (10 ms when nothing is missing). DEPS= skips
# it, for libraries that did not come as Debian packages.
DEPS ?= build $(if $(filter deps test fuzz bench lint e2e,$(MAKECMDGOALS)),test) \
	$(if $(filter fuzz bench lint,$(MAKECMDGOALS)),dev)
.PHONY: deps
deps: ## install what is missing to build and test (apt; sudo when not root)
	$(if $(strip $(DEPS)),$(Q)deploy/dev/deps.sh $(DEPS))

.PHONY: demo run
demo: build $(OUT)/tests/gen_trace ## replay three synthetic nodes, ask for a placement, show the table
	$(Q)deploy/demo/demo.sh $(OUT) once
run: build $(OUT)/tests/gen_trace ## the same, staying in the foreground on 127.0.0.1:9191
	$(Q)deploy/demo/demo.sh $(OUT) stay

.PHONY: lab-demo
lab-demo: build ## three minutes of the laboratory: run a plan, train on it, print where the report is
	$(Q)deploy/demo/lab-demo.sh $(OUT)

.PHONY: test
test: build $(UNIT_BIN) $(WIRE_BIN) $(REPLAY_BIN) $(TOOL_BIN) $(FAKE_BIN) ## all tests that need no hardware, root, cluster or network
	$(Q)DATASET=$(DATASET) tests/run.sh $(OUT) $(UNIT_BIN) $(WIRE_BIN) $(REPLAY_BIN) \
		$(SCRIPT_TESTS)

##@ Model
.PHONY: model
model: build ## train models/ from DATASET (default ../shared/data/nginx-pcm) or their own data/
	$(Q)models/make.sh $(OUT) $(DATASET)

##@ Heavier checks
.PHONY: lint
lint: deps ## layers, format, clang-tidy, cppcheck, shellcheck, man pages, spelling
	$(Q)tests/lint/lint.sh

.PHONY: fuzz
fuzz: $(FUZZ_BIN) ## libFuzzer, FUZZ_SECONDS (30) for each target
	$(Q)tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_BIN)

.PHONY: bench
bench: build $(BENCH_BIN) $(TOOL_BIN) $(FAKE_BIN) ## the figures of docs/PERFORMANCE.md, beside their baselines
	$(Q)tests/bench/run.sh $(OUT)

.PHONY: e2e
e2e: build $(OUT)/tests/gen_trace $(OUT)/tests/kube_mirror ## a real control plane and fake nodes; builds Kubernetes once (8 min)
	$(Q)tests/e2e/run.sh $(OUT) '$(SCENARIO)'

.PHONY: soak
soak: build $(TOOL_BIN) ## ten minutes of load with a SIGHUP every second (SOAK_SECONDS)
	$(Q)tests/soak.sh $(OUT)

##@ Installing
.PHONY: install
install: build ## programs and man pages into PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 build/kubemarlad $(DESTDIR)$(PREFIX)/sbin/kubemarlad
	install -m 755 build/kubemarla-pcm $(DESTDIR)$(PREFIX)/sbin/kubemarla-pcm
	install -m 755 build/kubemarla $(DESTDIR)$(PREFIX)/bin/kubemarla
	ln -sf kubemarla $(DESTDIR)$(PREFIX)/bin/kubectl-marla
	install -m 755 build/kubemarla-lab $(DESTDIR)$(PREFIX)/bin/kubemarla-lab
	install -m 644 docs/man/kubemarlad.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 docs/man/kubemarla-pcm.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 docs/man/kubemarla.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 docs/man/kubemarla.1 docs/man/kubemarla-lab.1 $(DESTDIR)$(PREFIX)/share/man/man1/

##@ On a cluster
.PHONY: image lab-image deploy undeploy
image: ## the image, with docker, podman or buildah (IMAGE, PCM_LIB=FILE)
	$(Q)deploy/image/build.sh $(IMAGE)
lab-image: ## the laboratory's image, for experiments on a cluster (LAB_IMAGE; wants Go)
	$(Q)LAB=1 deploy/image/build.sh $(LAB_IMAGE)
deploy: ## image, load into Minikube, apply, wait; DRY_RUN=1 prints the steps
	$(Q)deploy/cluster.sh up
undeploy: ## delete what deploy applied
	$(Q)deploy/cluster.sh down

##@ Tidying
.PHONY: clean
clean: ## remove build/
	rm -rf build

# ---- rules -----------------------------------------------------------------------------------
$(foreach r,$(PROGRAM_ROOMS),$(OBJ)/src/$(r)/%.o): ALL_CFLAGS += -DKM_VERSION='"$(VERSION)"'
# A model, a recording says which version made it: what bears the version is compiled with each.
VERSION_FILE := $(OBJ)/version
$(VERSION_FILE): FORCE
	@mkdir -p $(@D); echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
.PHONY: FORCE
FORCE:
VERSIONED := $(shell grep -ls KM_VERSION $(foreach r,$(PROGRAM_ROOMS),src/$(r)/*.c))
$(VERSIONED:%.c=$(OBJ)/%.o): $(VERSION_FILE)
$(foreach r,$(CONVERSION_ROOMS),$(eval $(OBJ)/src/$(r)/%.o: WARN += -Wconversion))

$(OBJ)/%.o: %.c | deps
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(SUPPORT): $(SUPPORT_OBJ)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(OUT)/kubemarlad: $(APP_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/kubemarla: $(CLI_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/kubemarla-lab: $(LAB_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# `kubectl marla` looks for it in PATH.
$(OUT)/kubectl-marla: $(OUT)/kubemarla
	$(call say,LINK,$@)ln -sf kubemarla $@

# No third-party library: what libpcm shares an address space with is as little as can be.
$(OUT)/kubemarla-pcm: $(PCM_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm -pthread

# Manifests that are part of the program.
$(OBJ)/src/rig/cluster_manifest.o build/obj/fuzz/src/rig/cluster_manifest.o: $(wildcard deploy/experiments/*.yaml)

# Tests may look behind a room's interface: src/ is on their include path.
$(OBJ)/tests/%.o: ALL_CFLAGS += -Isrc -Itests

$(OUT)/tests/test_%: $(OBJ)/tests/unit/test_%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# The rig's own tests want the rig, not its stand-in in tests/support, which the others get.
$(OUT)/tests/test_rig_%: $(OBJ)/tests/unit/test_rig_%.o $(LIB) $(SUPPORT)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB) -lcmocka $(LDLIBS)

$(OUT)/tests/wire-%: $(OBJ)/tests/wire/%.o $(SUPPORT) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(OUT)/tests/replay-%: $(OBJ)/tests/fuzz/%.o $(OBJ)/tests/fuzz/replay_main.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/tests/%: $(OBJ)/tests/fixtures/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/tests/%_fake: $(OBJ)/tests/fakes/%_fake.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm -pthread

$(OUT)/tests/%.so: tests/fakes/%.c | deps
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -std=c17 -D_GNU_SOURCE -O1 -g $(WARN) -fPIC -shared -o $@ $< -pthread

$(OUT)/bench/%: $(OBJ)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

# The fuzzers have a library of their own: clang, with coverage for libFuzzer.
FUZZ_FLAGS = -std=c17 -D_GNU_SOURCE -Iinclude -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined $(PKG_CFLAGS) -pthread -MMD -MP
FUZZ_LIB   := build/obj/fuzz/libkm.a

build/obj/fuzz/src/%.o: src/%.c | deps
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

build/obj/fuzz/tests/%.o: tests/%.c | deps
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(CLANG) $(FUZZ_FLAGS) -Isrc -Itests -fsanitize=fuzzer-no-link -c -o $@ $<

$(FUZZ_LIB): $(LIB_SRC:%.c=build/obj/fuzz/%.o)
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

build/fuzz/%: build/obj/fuzz/tests/fuzz/%.o $(FUZZ_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(PKG_LIBS) \
		$(shell $(CC) -print-file-name=libgomp.so) -lm -pthread

.SECONDARY:
-include $(shell find build/obj -name '*.d' 2>/dev/null)
