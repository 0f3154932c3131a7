# Nightshift's commands. `make help` prints them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt deps-up deps-down bench bench-jobs chaos soak fuzz real-org simulator-conformance manifests-check

help: ## This list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/  make \1\t\2/p' Makefile | expand -t 30

demo: ## A night of 12 simulated orgs, from nothing: builds, starts a private PostgreSQL, syncs twice, shows what came out (ARGS='--keep', ARGS='--json')
	@tests/deps/install postgresql
	cargo build --release --locked -p nightshift >&2
	@target/release/nightshift demo $(ARGS)

test: lint ## Format, clippy, every test of the workspace (and the audit of dependencies, in the test `house`) on private servers; installs them where missing
	@tests/deps/install postgresql rabbitmq pika faketime schema
	@# one test more at a time than there are cores: most of the long ones wait for servers and leases
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) + 1))} tests/deps/with test cargo test --workspace --locked --no-fail-fast

lint: ## Format and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Formats every crate
	cargo fmt --all

deps-up: ## Starts empty private PostgreSQL and RabbitMQ for a developer and writes target/deps.env (use: set -a; . target/deps.env; set +a)
	@tests/deps/install postgresql rabbitmq pika faketime schema
	@tests/deps/up dev >/dev/null
	@echo 'now: set -a; . target/deps.env; set +a'

deps-down: ## Stops them and deletes their data
	@tests/deps/down dev

bench: ## Ratios of the speed bars beside their parts, on private servers
	@tests/deps/install postgresql rabbitmq
	tests/deps/with bench cargo bench --workspace --locked --benches $(ARGS)

bench-jobs: ## Jobs beside a bare loop of the same calls, beside peers, a million rows, a held snapshot; a million orgs' slots; polls beside bare reqwest; PostgreSQL writes to the disk (ARGS='whole' chooses)
	@tests/deps/install postgresql rabbitmq venv
	NIGHTSHIFT_TEST_FSYNC=on tests/deps/with bench cargo bench --locked -p nightshift-jobs -p nightshift-scheduler -p nightshift-salesforce \
		--bench jobs --bench firing --bench polls -- $(ARGS)

chaos: ## A bad night: everything breaks at random for MINUTES (10), from SEED (random, printed)
	@tests/deps/install postgresql rabbitmq faketime
	NIGHTSHIFT_CHAOS_MINUTES=$(or $(MINUTES),10) NIGHTSHIFT_CHAOS_SEED=$(SEED) \
		tests/deps/with chaos cargo test --workspace --locked --test chaos -- --nocapture

soak: ## What takes too long for `make test`: 10,000 drawn lives of jobs, 100 stops past a lease, outages at their full length, the previous commit's processes beside these (COMMIT=HEAD~1)
	@tests/deps/install postgresql rabbitmq pika faketime schema
	NIGHTSHIFT_HISTORIES=10000 tests/deps/with soak cargo test --workspace --locked --test histories -- --nocapture
	NIGHTSHIFT_STOPS=100 NIGHTSHIFT_SOAK=1 tests/deps/with soak cargo test --workspace --locked --test fleet -- --nocapture stops deaths
	NIGHTSHIFT_SOAK=1 tests/deps/with soak cargo test --workspace --locked --test outages -- --nocapture
	tests/upgrade/run $(COMMIT)

fuzz: ## Runs each fuzzer for SECONDS (600), from the corpus in tests/fuzz (ARGS='zip metadata' chooses); needs a C++ compiler
	tests/fuzz/run "$(or $(SECONDS),600)" $(ARGS)

real-org: ## Syncs two nights of a real org with a fleet of processes and compares with independent counts (DIR=path of real-org)
	@test -n "$(DIR)" || { echo 'say where the trees are: make real-org DIR=../shared/real-org' >&2; exit 2; }
	@tests/deps/install postgresql rabbitmq
	cargo build --release --locked -p nightshift >&2
	tests/deps/with realorg tests/real-org/run "$(DIR)"

simulator-conformance: ## Judges the simulator by real clients (simple-salesforce, jsforce, the Salesforce CLI), and our fleet by the CLI (needs npm, python3, openssl; ARGS='--tree DIR --project DIR')
	@tests/deps/install postgresql rabbitmq
	cargo build --locked -p nightshift >&2
	tests/deps/with conformance tests/simulator-conformance/run $(ARGS)

manifests-check: ## Judges manifests, Dockerfile, alerts and dashboards by kustomize, schemas, hadolint, promtool and a private PostgreSQL (needs npm)
	@tests/deps/install promtool venv postgresql rabbitmq
	tests/manifests/check $(ARGS)
