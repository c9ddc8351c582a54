# Everything that is done to this tree, on a laptop and in CI alike. It needs python3
# (3.11 or later) with its venv module, make and git; the rest is installed into .venv.
# `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
GENERATOR := build/generate-venv/installed
GOOGLEAPIS := build/googleapis/copied
GENERATED := clients/python/accredit/v1
DESCRIPTORS := service/accredit_service/contract.binpb
EXAMPLE := examples/guarded_service
GRPCURL := build/bin/grpcurl
GHZ := build/bin/ghz
# Folders of programs that are checked when they are there.
CHECKED := $(wildcard tests bench tools $(EXAMPLE)/notes)

# What `make breaking` compares with.
BASE ?= main
# How many tests run at a time, and which: `make test FILTER='tokens and not slow'`.
JOBS ?= 2
FILTER ?=
# More arguments for pytest, or for the benchmarks.
ARGS ?=
# `make lock LOCK_ARGS=--upgrade` takes the newest versions, otherwise the lock is kept.
LOCK_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# `check` goes through its steps in the order they are written, cheapest first.
.NOTPARALLEL:

.PHONY: help
help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 18

.PHONY: venv
venv: $(INSTALLED) ## Make or renew .venv: locked dependencies, both distributions editable

# Hashes cannot be had for a folder, so the two distributions come apart from the rest.
# Neither looks at an index: no stranger's package can stand in for `accredit`.
$(INSTALLED): requirements.txt pyproject.toml clients/python/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-deps \
		--no-build-isolation -e clients/python -e .
	$(BIN)/pip check
	@touch $@

# Apart from .venv: the generator needs protobuf 5.29, the server 7.
$(GENERATOR): requirements-generate.txt
	$(PYTHON) -m venv --clear build/generate-venv
	build/generate-venv/bin/pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-generate.txt
	@touch $@

# The wheel carries the sources of google.api and google.rpc.
$(GOOGLEAPIS): $(INSTALLED)
	@rm -rf build/googleapis
	@from=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	for package in api rpc type; do \
		mkdir -p build/googleapis/google/$$package && \
		cp "$$from"/google/$$package/*.proto build/googleapis/google/$$package/ || exit 1; \
	done
	@touch $@

.PHONY: generated
generated: $(GENERATOR) $(GOOGLEAPIS)
	@rm -rf build/generated
	@$(BIN)/buf generate --output build/generated
	@mkdir -p build/generated/$(dir $(DESCRIPTORS))
	@# With comments. google.rpc's details are imported by nothing, but come with every error.
	@$(BIN)/buf build --as-file-descriptor-set --output build/generated/$(DESCRIPTORS) \
		--path protos/accredit --path build/googleapis/google/rpc/error_details.proto

.PHONY: generate
generate: generated ## Generate from protos/ the Python messages and stubs, and the descriptors
	@for file in $(GENERATED)/*_pb2.py* $(GENERATED)/*_pb2_grpc.py*; do \
		test -e "build/generated/$$file" || rm -f "$$file"; \
	done
	@# mypy keeps believing that a module which was missing at its last run is missing.
	@for file in build/generated/$(GENERATED)/*; do \
		test -e "$${file#build/generated/}" || rm -rf .mypy_cache; \
	done
	@cp build/generated/$(GENERATED)/* $(GENERATED)/
	@cp build/generated/$(DESCRIPTORS) $(DESCRIPTORS)
	@$(BIN)/python -m tools.client_faces

.PHONY: generate-check
generate-check: generated ## Fail if generating would change anything
	@rm -rf build/committed && mkdir -p build/committed
	@cp $(GENERATED)/*_pb2.py* $(GENERATED)/*_pb2_grpc.py* build/committed/ 2>/dev/null || true
	@diff -ru build/committed build/generated/$(GENERATED) && \
	cmp $(DESCRIPTORS) build/generated/$(DESCRIPTORS) || \
		{ echo "the generated code is not what protos/ makes: run make generate" >&2; exit 1; }

.PHONY: contract-bundle
contract-bundle: generate-check ## Write dist/accredit-contract-VERSION.tar.gz: all that generates a client
	@$(BIN)/python -m tools.contract_bundle

.PHONY: example-generated
example-generated: $(GENERATOR)
	@rm -rf build/example && mkdir -p build/example
	@build/generate-venv/bin/python -m grpc_tools.protoc -I $(EXAMPLE)/protos \
		--python_out=build/example --pyi_out=build/example --grpc_python_out=build/example \
		$(EXAMPLE)/protos/notes/v1/notes.proto

.PHONY: example-generate
example-generate: example-generated ## Generate the messages and stubs of examples/guarded_service
	@cp build/example/notes/v1/* $(EXAMPLE)/notes/v1/

.PHONY: example-check
example-check: example-generated ## Fail if generating the example's would change anything
	@for file in build/example/notes/v1/*; do \
		diff -u "$(EXAMPLE)/notes/v1/$${file##*/}" "$$file" || \
		{ echo "not what the example's proto makes: run make example-generate" >&2; exit 1; }; \
	done

.PHONY: docs
docs: $(INSTALLED) ## Write what docs/ repeats of the code: permissions, settings
	@$(BIN)/python -m tools.pages

.PHONY: format
format: $(GOOGLEAPIS) ## Format Python and protos, and fix what ruff can fix
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format --quiet
	$(BIN)/buf format --write protos

.PHONY: lint
lint: $(GOOGLEAPIS) ## Style, import directions and the contract's style
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code protos

.PHONY: types
types: $(INSTALLED) ## Check types: strictly in abilities and storage
	$(BIN)/mypy service/accredit_service storage/accredit_storage clients/python/accredit $(CHECKED)

.PHONY: breaking
breaking: $(GOOGLEAPIS) ## Fail if protos/ breaks clients of what branch main holds (BASE=v1.2.0: of that)
	@if git cat-file -e "$(BASE):protos" 2>/dev/null; then \
		rm -rf build/base && mkdir -p build/base/build && \
		git archive "$(BASE)" protos buf.yaml | tar -x -C build/base && \
		cp -r build/googleapis build/base/build/ && \
		$(BIN)/buf breaking --against build/base && \
		echo "breaking: nothing that $(BASE) promised is broken"; \
	else \
		echo "breaking: $(BASE) holds no protos yet, so there is nothing to break"; \
	fi

.PHONY: compat
compat: $(INSTALLED) ## Import the client's wheel on the oldest and newest libraries it allows
	@sh tools/compat.sh

.PHONY: test
test: $(INSTALLED) $(GENERATOR) build/locale ## Run the tests (FILTER='a and not b', ARGS=tests/storage)
	$(BIN)/pytest -q -n $(JOBS) $(if $(FILTER),-k '$(FILTER)') $(ARGS)

.PHONY: coverage
coverage: $(INSTALLED) $(GENERATOR) build/locale ## Run the tests and say which lines nobody ran
	$(BIN)/coverage run -m pytest -q -n $(JOBS) $(if $(FILTER),-k '$(FILTER)') $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --show-missing

.PHONY: soak
soak: $(INSTALLED) build/locale ## Run the long tests of what faults do
	$(BIN)/pytest tests -m soak --timeout 1800 $(if $(FILTER),-k '$(FILTER)') $(ARGS)

# A locale that does not sort by code point, for the PostgreSQL of the tests: a query
# that forgot to say how it sorts looks right under C. It is compiled here because few
# machines have it; without glibc's sources of it (Debian: locales) the folder is empty.
build/locale:
	@mkdir -p $@
	@localedef -i en_US -f UTF-8 $@/en_US.UTF-8 2>/dev/null || \
		echo "build/locale: localedef cannot make en_US.UTF-8 here (Debian: install locales)"

.PHONY: bench
bench: $(INSTALLED) $(GHZ) ## Measure beside an echo: bench/latest.json, docs/performance.md
	$(BIN)/python -m bench $(ARGS)

.PHONY: bench-quick
bench-quick: $(INSTALLED) $(GHZ) ## The same from fewer and shorter runs, in under five minutes
	$(BIN)/python -m bench --quick $(ARGS)

.PHONY: figures
figures: $(INSTALLED) ## Write docs/performance.md and its picture again from bench/latest.json
	@$(BIN)/python -m bench.page

.PHONY: bench-peers
bench-peers: ## Build OpenFGA and SpiceDB, for the benchmarks to measure beside them
	@command -v go >/dev/null || { echo "the peers are built with Go: install Go" >&2; exit 1; }
	GOBIN="$(CURDIR)/build/bin" go install github.com/openfga/openfga/cmd/openfga@v1.11.2
	cd bench/peers && go build -o "$(CURDIR)/build/bin/spicedb" .

# A compiled load generator: one in Python would be measured instead of the server.
$(GHZ):
	@command -v go >/dev/null || { echo "ghz is built with Go: install Go" >&2; exit 1; }
	GOBIN="$(CURDIR)/$(@D)" go install github.com/bojand/ghz/cmd/ghz@v0.93.0

.PHONY: run
run: $(INSTALLED) ## Run a server with a few agents in it, and say what to try
	@$(BIN)/python -m tools.run

# Beside `make run`, which makes the token that it calls Accredit with.
.PHONY: example
example: $(INSTALLED) ## Run the service of examples/guarded_service beside `make run`
	@ACCREDIT_ADDRESS="$${ACCREDIT_ADDRESS:-$${ACCREDIT_LISTEN:-127.0.0.1:50051}}" \
	ACCREDIT_TOKEN_FILE="$${ACCREDIT_TOKEN_FILE:-$${ACCREDIT_DATA_DIR:-accredit-data}/notes.token}" \
	PYTHONPATH=$(EXAMPLE) $(BIN)/python -m notes $(ARGS)

# A client that we did not write, for README.md and the tests that hold it to its word.
.PHONY: grpcurl
grpcurl: $(GRPCURL) ## Install grpcurl into build/bin; needs Go

$(GRPCURL):
	@command -v go >/dev/null || { echo "grpcurl is built with Go: install Go, or put a" \
		"grpcurl of your own on the PATH" >&2; exit 1; }
	GOBIN="$(CURDIR)/$(@D)" go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4

.PHONY: check
check: lint types generate-check example-check breaking compat test ## All that CI checks, in its order

.PHONY: lock
lock: ## Make requirements.txt and requirements-generate.txt again (LOCK_ARGS=--upgrade)
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet uv; }
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-package accredit --custom-compile-command "make lock" $(LOCK_ARGS) \
		--extra postgres --group dev -o requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" $(LOCK_ARGS) \
		--group generate -o requirements-generate.txt

.PHONY: clean
clean: ## Remove what was built, but not .venv
	rm -rf build dist clients/python/dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
