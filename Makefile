# EMSmail. Needs Node.js 20 or newer, npm and make; everything else is fetched by `make tools` into this folder.

ENGINE ?= node
DENO := .tools/bin/deno
NODE := .tools/bin/node
SOURCES = $(shell find main.ts src -type f 2>/dev/null) deno.json deno.lock $(wildcard .ci/*.mjs .ci/*.cjs)

export DENO_NO_UPDATE_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help tools clients build run check test bench clean

help: ## Prints this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

tools: ## Installs the pinned toolchain into .tools/ and the packages into node_modules/
	@node .ci/tools.mjs

clients: ## Installs the mail programs the end-to-end tests use (Debian, as root; elsewhere names what is missing)
	@.ci/clients

build: tools ## Makes dist/emsmail, one file (ENGINE=deno makes it with "deno compile")
	@$(MAKE) --no-print-directory dist/emsmail-$(ENGINE)

# Rebuilt only when a source is newer: the stamp beside the executable says which engine it was made with.
ifeq ($(wildcard dist/emsmail),)
$(shell rm -f dist/.stamp-*)
endif
.PHONY: dist/emsmail-node dist/emsmail-deno
dist/emsmail-node dist/emsmail-deno: dist/emsmail-%: dist/.stamp-%
	@:

dist/.stamp-%: $(SOURCES)
	@$(NODE) .ci/build.mjs --engine=$*
	@rm -f dist/.stamp-* && touch $@

run: build ## Builds, then serves with the embedded defaults
	@exec dist/emsmail serve

check: tools ## The quick part: format, lint, types, layout rules and unit tests
	@$(DENO) run -A tests/run.ts check

test: clients build ## Everything: check, contract, property, fuzz and end-to-end tests
	@$(DENO) run -A tests/run.ts test

bench: clients build ## Measures EMSmail beside Postfix and Dovecot and prints the tables
	@$(DENO) run -A tests/bench/run.ts

clean: ## Removes what was built (the toolchain stays; `git clean -xfd` removes that too)
	@rm -rf dist coverage
