# The commands of the house. `make` alone lists them.
#
# One target directory and one profile per purpose: tests use cargo's dev profile, `run`, `build`, `accept` and `bench`
# use release; nothing is built twice for the same purpose.

DATA ?= data
DEMO ?= 1
CARGO ?= cargo
NPM ?= npm
WEIR := target/release/weir
PLAYER_SOURCES := $(shell find player -path player/node_modules -prune -o -path player/dist -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run build player test check accept bench fuzz sim soak clean install

help: ## list these commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make run DEMO=0 DATA=/srv/weir   no test card; another data directory (default ./data)"
	@echo "  make accept ONLY=latency         one section of the acceptance run"
	@echo "  make sim SEED=4711               one seed of the simulator with its story; make sim SEEDS=500 for more or fewer"
	@echo "  make soak MINUTES=10 SEED=4711   a shorter soak; the same faults in the same order"
	@echo "  make fuzz SECONDS=600            ten minutes for each parser, one parser on each core"

run: install ## install what is missing, build, start the server
	@$(MAKE) --no-print-directory build
	@exec $(WEIR) serve --data-dir "$(DATA)" $(if $(filter 0 off no false,$(DEMO)),--no-demo,)

install:
	@scripts/install run

build: player ## target/release/weir with the player inside
	$(CARGO) build --release --locked --bin weir

player: player/dist/index.html

# npm writes .package-lock.json when an install is complete, so it is the stamp of the install.
player/node_modules/.package-lock.json: player/package-lock.json player/package.json
	cd player && $(NPM) ci --no-audit --no-fund
	@touch $@

player/dist/index.html: player/node_modules/.package-lock.json $(PLAYER_SOURCES)
	cd player && $(NPM) run build
	@touch $@
# Cargo does not see new files of an embedded folder, nor the folder itself when it was not there before.
	@touch src/pages.rs

test: ## everything that ends in under 30 minutes: unit, property, engines, journeys, browser
	@scripts/install test
	@$(MAKE) --no-print-directory player
	@scripts/test

check: ## formatting, lints, the order of the floors, types of the player
	@scripts/install build
	@$(MAKE) --no-print-directory player
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --locked --workspace --test tidy
	cd player && $(NPM) run --silent check

accept: ## every promised figure, long and loud; results go to ACCEPTANCE.md
	@scripts/install accept
	@$(MAKE) --no-print-directory build
	@scripts/accept $(ONLY)

bench: ## cost against other programs in the same run; results go to BENCHMARKS.md
	@scripts/install bench
	@$(MAKE) --no-print-directory build
	@scripts/bench $(ONLY)

sim: ## ten thousand made-up streams over a made-up network through the pure cores
	@scripts/install build
	$(CARGO) build --release --locked -p simulator
	@target/release/simulator $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),10000))

soak: ## an hour of the real server with publishers, viewers and faults at random; a row goes to ACCEPTANCE.md
	@scripts/install test
	@$(MAKE) --no-print-directory build
	@MINUTES="$(MINUTES)" SEED="$(SEED)" scripts/soak

fuzz: ## feed the parsers of outside bytes with made-up input
	@scripts/install build
	@scripts/fuzz $(ONLY)

clean: ## remove everything that was built (keeps ./data)
	rm -rf target player/dist player/node_modules
