# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: build build-sim man completions packages check-packages check-image test-vm test race check check-root check-page check-report check-rules check-exporter generate check-generated sim sidebyside bench-server bench-racks soak bench-xdp fuzz bench run clean

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
FUZZTIME ?= 5m
STEER    ?=
DURATION ?= 10m

# The version is linked in below; a repository of another user is no error.
export GOFLAGS += -buildvcs=false

LDFLAGS := -s -w -X foliot/internal/daemon.Version=$(VERSION) -X foliot/internal/ctl.Version=$(VERSION)
STATIC  := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)"

# Whatever runs as root here runs without the right to set the clock.
ROOT      := $(filter 0,$(shell id -u))
UNCLOCKED := $(if $(ROOT),setpriv --bounding-set=-sys_time)

# Packages with goroutines or shared memory, where the race detector matters.
RACY := ./internal/auth ./internal/chronyc ./internal/cmdclient ./internal/command ./internal/control ./internal/ctl ./internal/daemon ./internal/guard ./internal/keeper ./internal/logfile \
	./internal/metrics ./internal/process ./internal/prober ./internal/racksctl ./internal/resolve ./internal/top ./internal/udpstamp ./internal/web ./internal/worker

# Packages whose tests run daemons in real time, and are spoilt by neighbours.
ALONE := ./tests/chronyc ./tests/conformance ./tests/netns ./tests/serverbench ./tests/soak ./tests/xdpbench ./internal/fastpath ./internal/prober ./internal/udpstamp ./internal/worker

# Packages whose tests ask the kernel about networks, or make some. NETWORK=no leaves
# them out, for a kernel that does not answer (tests/healthy.sh).
NETWORK   ?= yes
NETWORKED := ./internal/daemon ./internal/diag ./internal/links ./internal/mode6 $(ALONE)
LEFT_OUT  := $(if $(filter no,$(NETWORK)),$(NETWORKED),$(ALONE))
PACKAGES  := $$($(GO) list ./... | grep -vxF "$$($(GO) list $(LEFT_OUT))")

build: ## bin/foliotd and bin/foliotctl
	$(STATIC) -o bin/ ./cmd/foliotd ./cmd/foliotctl

build-sim: ## bin/foliotd-clknetsim, which runs inside the clknetsim simulator
	$(STATIC) -tags clknetsim -o bin/foliotd-clknetsim ./cmd/foliotd

man completions: ## bin/man and bin/completions, from internal/manual
	$(GO) run ./tests/manual -dir bin

# The packager is pinned in a module of its own, and so none of foliot's
# dependencies; man pages and completions are taken along once they are made.
ARCHS ?= amd64 arm64
packages: ## bin/packages: deb and rpm for ARCHS="amd64 arm64"
	@rm -rf bin/packages bin/package && mkdir -p bin
	$(GO) -C packaging/tool build -o ../../bin/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	for arch in $(ARCHS); do GOARCH=$$arch $(STATIC) -o bin/package/$$arch/ ./cmd/foliotd ./cmd/foliotctl; done
	packaging/build "$(VERSION)" bin/packages bin/nfpm $(ARCHS)

# The lab's disks are kept in ~/.cache/foliot-vm; -outage 10m and others are flags of
# its tests.
VMFLAGS ?=
test-vm: ## the package on virtual machines whose clocks it steers (root, qemu-system-x86, debootstrap)
	@[ -n "$(ROOT)" ] || { echo "test-vm needs root: sudo make test-vm" >&2; exit 1; }
	@$(MAKE) --no-print-directory packages ARCHS=amd64 >/dev/null
	$(UNCLOCKED) $(GO) test -tags vm -count=1 -v -parallel 2 -timeout 30m ./tests/vm $(VMFLAGS)

# The unit is judged by systemd-analyze where there is one that can (252 or later).
check-packages: ## what is in the packages, their scripts, and the unit
	@$(MAKE) --no-print-directory packages ARCHS=amd64
	packaging/check bin/packages

check-image: build ## the container image's file system, made by the Dockerfile's own commands (root)
	@[ -n "$(ROOT)" ] || { echo "check-image needs root: sudo make check-image" >&2; exit 1; }
	$(UNCLOCKED) $(GO) run ./tests/image

test: ## every test; with root, those in network namespaces too
	@./tests/prepare.sh
	@mkdir -p bin && $(GO) build -o bin/tally ./tests/tally
	@echo "== all packages but those that need the machine to themselves"
	$(UNCLOCKED) bin/tally -again $(GO) test -json -shuffle=on -timeout 10m $(PACKAGES)
ifeq ($(NETWORK),no)
	@echo "== LEFT OUT, since NETWORK=no: $(NETWORKED)"
else
	@echo "== those, one by one"
	$(UNCLOCKED) bin/tally -again $(GO) test -json -shuffle=on -timeout 15m -p 1 $(ALONE)
endif
	@echo "== the simulator's world"
	$(UNCLOCKED) bin/tally $(GO) test -json -shuffle=on -tags clknetsim ./internal/clknetsim/...
	@$(MAKE) --no-print-directory race

race:
	@if [ "$$(CGO_ENABLED=1 $(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null; then \
		mkdir -p bin; $(GO) build -o bin/tally ./tests/tally; \
		echo "== with the race detector"; \
		CGO_ENABLED=1 $(UNCLOCKED) bin/tally $(GO) test -json -race -shuffle=on -timeout 10m $(if $(filter no,$(NETWORK)),$(filter-out $(NETWORKED),$(RACY)),$(RACY)); \
	elif [ "$${CI:-}" = true ]; then \
		echo "the race detector needs a C compiler, and there is none" >&2; exit 1; \
	else \
		echo "== the race detector needs a C compiler: left out"; \
	fi

check: ## format, vet, staticcheck, the rings and the size budgets
	@unformatted=$$(gofmt -l cmd configs internal tests); \
	if [ -n "$$unformatted" ]; then echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags clknetsim ./...
	$(GO) vet -tags vm ./tests/vm
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags clknetsim ./...
	$(GO) test -count=1 ./internal/rings

generate: ## what is generated from bpf/, which needs clang
	$(GO) generate ./...

check-generated: ## that it is what is committed, where there is clang
	@./tests/generated.sh

check-root: ## the tests that need root: kernel, namespaces, stock chronyd
	@[ -n "$(ROOT)" ] || { echo "check-root needs root: sudo make check-root" >&2; exit 1; }
	@./tests/prepare.sh
	$(UNCLOCKED) $(GO) test -count=1 -v -timeout 15m ./tests/netns ./tests/conformance ./internal/sysclock ./internal/udpstamp ./internal/guard ./internal/process ./internal/fastpath

check-page: ## the status page in headless Chromium; screenshots in bin/page (installs chromium when root on Debian)
	@command -v chromium >/dev/null || { [ -n "$(ROOT)" ] && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; }
	@mkdir -p bin && $(GO) build -o bin/page-check ./tests/page
	$(UNCLOCKED) bin/page-check -out bin/page

check-report: ## the report of foliotctl racks in headless Chromium; screenshots in bin/report
	@command -v chromium >/dev/null || { [ -n "$(ROOT)" ] && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; }
	@mkdir -p bin && $(GO) build -o bin/page-check ./tests/page
	$(UNCLOCKED) bin/page-check -racks -out bin/report

# Debian has promtool in the package of the Prometheus server, which is only
# unpacked here: installed, it would start.
check-rules: ## the Prometheus rules, with promtool (unpacked from Debian's package when missing)
	@mkdir -p bin && promtool=$$(command -v promtool || echo bin/promtool); \
	if [ ! -x "$$promtool" ]; then \
		unpacked=$$(mktemp -d); trap 'rm -rf "$$unpacked"' EXIT; \
		(cd "$$unpacked" && { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; }) && \
		dpkg-deb -x "$$unpacked"/prometheus_*.deb "$$unpacked" && cp "$$unpacked/usr/bin/promtool" bin/promtool; \
	fi; \
	"$$promtool" check rules configs/prometheus/foliot.rules.yml && \
	"$$promtool" test rules configs/prometheus/foliot.rules.test.yml

sim: ## the accuracy table of the simulated scenarios
	$(GO) run ./tests/accuracy

sidebyside: ## chronyd and foliotd as clients of one server, DURATION=10m (root)
	@[ -n "$(ROOT)" ] || { echo "sidebyside needs root: sudo make sidebyside" >&2; exit 1; }
	@mkdir -p bin && $(GO) build -o bin/sidebyside ./tests/sidebyside
	$(UNCLOCKED) bin/sidebyside -duration $(DURATION)

bench-server: ## foliotd beside chronyd as servers, BENCHFLAGS="-only throughput" (root)
	@[ -n "$(ROOT)" ] || { echo "bench-server needs root: sudo make bench-server" >&2; exit 1; }
	@mkdir -p bin && $(GO) build -o bin/serverbench ./tests/serverbench
	$(UNCLOCKED) bin/serverbench $(BENCHFLAGS)

bench-xdp: ## the programs in the kernel as servers, BENCHFLAGS="-rounds 3" (root)
	@[ -n "$(ROOT)" ] || { echo "bench-xdp needs root: sudo make bench-xdp" >&2; exit 1; }
	@mkdir -p bin && $(GO) build -o bin/xdpbench ./tests/xdpbench
	$(UNCLOCKED) bin/xdpbench $(BENCHFLAGS)

SOAK ?= 5m
soak: ## random octets at every socket of foliotd, SOAK=5m (root)
	@[ -n "$(ROOT)" ] || { echo "soak needs root: sudo make soak" >&2; exit 1; }
	@mkdir -p bin && $(GO) build -o bin/soak ./tests/soak
	cd tests/soak && $(UNCLOCKED) ../../bin/soak -duration $(SOAK)

bench-racks: ## foliotctl racks with 10 and 2000 hosts, beside chronyd -Q and beevik/ntp, BENCHFLAGS="-hosts 500" (root)
	@[ -n "$(ROOT)" ] || { echo "bench-racks needs root: sudo make bench-racks" >&2; exit 1; }
	@mkdir -p bin && $(GO) build -o bin/racksbench ./tests/racksbench
	$(UNCLOCKED) bin/racksbench $(BENCHFLAGS)

fuzz: ## every fuzz target, FUZZTIME=5m each
	@for pkg in $(if $(filter no,$(NETWORK)),$(PACKAGES),$$($(GO) list ./...)); do \
		for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; \
			$(UNCLOCKED) $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg"; \
		done; \
	done

BENCHTIME ?= 1s
bench: ## every benchmark; BENCHTIME=1x only proves that they run
	$(UNCLOCKED) $(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) $(if $(filter no,$(NETWORK)),$(PACKAGES),./...)

run: build ## the daemon in the foreground with its built-in configuration; STEER=1 lets it set the clock
	@echo "foliotd runs in the foreground, $(if $(filter 1,$(STEER)),steers the clock of this machine,leaves the clock alone (STEER=1 lets it steer)) and serves time to private networks; Ctrl-C ends it."
	@echo "Look at it from another terminal: sudo bin/foliotctl status"
	@$(if $(filter 1,$(STEER)),bin/foliotd -d -f default,$(UNCLOCKED) bin/foliotd -d -x -f default)

clean:
	rm -rf bin
