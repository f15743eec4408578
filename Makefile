# The front door: `make demo` shows what ringbd does, `make test` passes the tests, on a fresh machine.

CARGO ?= cargo
DEMO_DIR ?= target/demo

.PHONY: all setup build demo test bench lint fmt doc fuzz soak clean

all: build

# What ringbd needs from the system: installed when this is Debian and we are root, named otherwise.
setup:
	@.ci/setup

build: setup
	$(CARGO) build --release --workspace

# A store and a 1 GiB image, filled, measured in three cache modes with real fio; under five minutes on two cores.
demo: build
	target/release/ringbd bench demo --dir $(DEMO_DIR)

test: build
	$(CARGO) test --workspace

# Criterion benches of the hot functions, and the runtime lane (our reactor beside tokio-uring).
bench: setup
	$(CARGO) bench --workspace

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline check licenses bans sources; fi

fmt:
	$(CARGO) fmt --all

doc:
	$(CARGO) doc --workspace --no-deps --open

# Ten minutes a fuzz target (needs cargo-fuzz).
fuzz:
	tests/fuzz/run 600

# The simulated power cuts and failing clusters and the kill -9 rounds, many more of them than `make test` runs.
soak: build
	RINGBD_SEEDS=1000000 RINGBD_KILL_ROUNDS=500 $(CARGO) test --release -p ringbd-tests -- --nocapture

clean:
	$(CARGO) clean
