# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: build build-sim test race check check-root check-page check-report check-rules sim sidebyside bench-server bench-racks fuzz bench run clean

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
RACY := ./internal/auth ./internal/cmdclient ./internal/command ./internal/control ./internal/ctl ./internal/daemon ./internal/guard ./internal/logfile \
	./internal/metrics ./internal/process ./internal/prober ./internal/racksctl ./internal/resolve ./internal/udpstamp ./internal/web ./internal/worker

# Packages whose tests run daemons in real time, and are spoilt by neighbours.
ALONE := ./tests/chronyc ./tests/conformance ./tests/netns ./tests/serverbench ./internal/prober ./internal/udpstamp ./internal/worker

build: ## bin/foliotd and bin/foliotctl
	$(STATIC) -o bin/ ./cmd/foliotd ./cmd/foliotctl

build-sim: ## bin/foliotd-clknetsim, which runs inside the clknetsim simulator
	$(STATIC) -tags clknetsim -o bin/foliotd-clknetsim ./cmd/foliotd

test: ## every test; with root, those in network namespaces too
	@./tests/prepare.sh
	@mkdir -p bin && $(GO) build -o bin/tally ./tests/tally
	@echo "== all packages but those that need the machine to themselves"
	$(UNCLOCKED) bin/tally -again $(GO) test -json -shuffle=on -timeout 10m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(ALONE))")
	@echo "== those, one by one"
	$(UNCLOCKED) bin/tally -again $(GO) test -json -shuffle=on -timeout 15m -p 1 $(ALONE)
	@echo "== the simulator's world"
	$(UNCLOCKED) bin/tally $(GO) test -json -shuffle=on -tags clknetsim ./internal/clknetsim/...
	@$(MAKE) --no-print-directory race

race:
	@if [ "$$(CGO_ENABLED=1 $(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null; then \
		mkdir -p bin; $(GO) build -o bin/tally ./tests/tally; \
		echo "== with the race detector"; \
		CGO_ENABLED=1 $(UNCLOCKED) bin/tally $(GO) test -json -race -shuffle=on -timeout 10m $(RACY); \
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
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags clknetsim ./...
	$(GO) test -count=1 ./internal/rings

check-root: ## the tests that need root: kernel, namespaces, stock chronyd
	@[ -n "$(ROOT)" ] || { echo "check-root needs root: sudo make check-root" >&2; exit 1; }
	@./tests/prepare.sh
	$(UNCLOCKED) $(GO) test -count=1 -v -timeout 15m ./tests/netns ./tests/conformance ./internal/sysclock ./internal/udpstamp ./internal/guard ./internal/process

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

bench-racks: ## foliotctl racks with 10 and 2000 hosts, beside chronyd -Q and beevik/ntp, BENCHFLAGS="-hosts 500" (root)
	@[ -n "$(ROOT)" ] || { echo "bench-racks needs root: sudo make bench-racks" >&2; exit 1; }
	@mkdir -p bin && $(GO) build -o bin/racksbench ./tests/racksbench
	$(UNCLOCKED) bin/racksbench $(BENCHFLAGS)

fuzz: ## every fuzz target, FUZZTIME=5m each
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; \
			$(UNCLOCKED) $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg"; \
		done; \
	done

BENCHTIME ?= 1s
bench: ## every benchmark; BENCHTIME=1x only proves that they run
	$(UNCLOCKED) $(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) ./...

run: build ## the daemon in the foreground with its built-in configuration; STEER=1 lets it set the clock
	@echo "foliotd runs in the foreground, $(if $(filter 1,$(STEER)),steers the clock of this machine,leaves the clock alone (STEER=1 lets it steer)) and serves time to private networks; Ctrl-C ends it."
	@echo "Look at it from another terminal: sudo bin/foliotctl status"
	@$(if $(filter 1,$(STEER)),bin/foliotd -d -f default,$(UNCLOCKED) bin/foliotd -d -x -f default)

clean:
	rm -rf bin
