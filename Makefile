# Two commands do everything on a machine with Rust and Node: `make demo` and `make test`.

.DEFAULT_GOAL := help
# The programs with all that they can do. One set of features everywhere: with another, half of the libraries would be
# compiled twice.
FEATURES := --features ashya-agent/native-rtsp
# Tests and measurements load ONNX Runtime themselves; it tells its makers nothing of this machine.
export ORT_DISABLE_TELEMETRY := 1
.PHONY: help setup packages demo test bench prove lint web build test-build rust-test solidity-test web-test models-test compose-test

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run everything on a local chain and print the page's address
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory build
	@target/release/ashya-demo $(DEMO_ARGS)

test: ## run every test: lint, Solidity, TypeScript, Rust, browser, end to end
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory lint solidity-test web-test models-test compose-test rust-test

bench: ## measure what the README claims
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory build
	@target/release/ashya-bench

prove: packages ## the long proofs, recorded in docs/proof; PARTS="slither mutation" runs some
	@scripts/prove.sh $(PARTS)

setup: ## fetch what is missing for demo and tests
	@scripts/setup.sh test

build: web ## build the page and the programs
	cargo build --release --locked --workspace $(FEATURES) --bins

# With the tests' own dependencies in one go: built apart, half of the libraries would be compiled twice.
test-build: web ## build the programs and the tests
	cargo build --release --locked --workspace $(FEATURES) --all-targets

packages: ## fetch the npm packages
	@scripts/setup.sh build

web: packages ## build the page
	npm run --silent --workspace web build

lint: web ## formats, clippy, svelte-check, forge fmt, licences and sources, shellcheck
	@scripts/setup.sh lint
	cargo fmt --all --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	cargo update --workspace --locked --quiet --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --release --locked --workspace $(FEATURES) --all-targets -- -D warnings
	scripts/deny.sh
	npm run --silent --workspace contracts lint
	npm run --silent --workspace web check
	shellcheck scripts/*.sh scripts/prove/*.sh $$(grep -lE '^#!.*bash' scripts/prove/*) .ci/run

solidity-test: packages ## contract tests and the drift of the committed ABI
	npm run --silent --workspace contracts test

web-test: packages ## unit tests of the page and the TypeScript client
	npm run --silent --workspace web test

models-test: packages ## the model files are the ones that the manifest names
	node scripts/check-models.mjs

compose-test: test-build ## every service of docker-compose.yml, run by hand as the file has it
	node --test tests/compose/by_hand.test.mjs

rust-test: test-build ## Rust unit tests, end-to-end tests and the browser test
	cargo test --release --locked --workspace $(FEATURES)
