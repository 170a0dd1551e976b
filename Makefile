# Every target makes its own .venv. The targets that CI runs are `check` and `test`.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
GOLDEN ?= tests/golden
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROTOS := $(wildcard protos/bagel/v1/*.proto)
PROTOC := -m grpc_tools.protoc -I protos
# Parity runs are small: more threads cost more than they bring.
ONE_THREAD := OMP_NUM_THREADS=1
# Threads of two processes that spin for each other take twenty times as long as threads that sleep.
TWO_AT_ONCE := OMP_WAIT_POLICY=PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo serve test clients images wheel wheel-test sbom check lint format types imports stubs protos limits parity parity-bf16 \
	parity-services chaos bench toy-eval gallery clean

help:  ## what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

demo: $(VENV)/.stage  ## start a server, send the four tasks, save the pictures under out/, stop
	$(BIN)/python -m examples.demo

serve: $(VENV)/.stage  ## serve the default model on port 8091 until Ctrl-C
	$(BIN)/bagel serve

test: $(VENV)/.dev  ## all tests of what is here
	$(TWO_AT_ONCE) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

clients: $(VENV)/.dev  ## other projects' clients against a running server; installs them under build/clients (OPEN_WEBUI=0: not that one)
	$(BIN)/python -m pytest tests/clients --timeout 1200

images: $(VENV)/.dev  ## every Dockerfile built line by line, the compose files' services started from that; needs root, no Docker
	$(BIN)/python -m pytest -s tests/images/installed.py --timeout 900

wheel-test: $(VENV)/.release  ## the wheel in a fresh environment: `bagel serve` draws a cat
	$(BIN)/python -m pytest tests/packaging --timeout 1200

wheel: $(VENV)/.release  ## wheel and sdist under build/dist
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist

sbom: wheel  ## what the wheel installs with its extra `stage`, as CycloneDX, beside it
	rm -rf build/sbom
	$(PYTHON) -m venv --without-pip build/sbom
	$(BIN)/python -m pip --python build/sbom/bin/python install --quiet --disable-pip-version-check \
		--constraint constraints.txt "$$(ls build/dist/*.whl)[stage]"
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--output-file build/dist/bagel-serve.cdx.json build/sbom/bin/python

check: lint types imports stubs  ## lint, format, types, imports, stubs up to date

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

stubs: $(VENV)/.dev
	@rm -rf build/stubs && mkdir -p build/stubs
	@$(BIN)/python $(PROTOC) --python_out=build/stubs --pyi_out=build/stubs --grpc_python_out=build/stubs $(PROTOS)
	@diff -r --exclude=__init__.py --exclude=__pycache__ build/stubs/bagel/v1 bagel/v1 \
		&& echo "stubs are up to date" || { echo "stubs differ from protos/: run 'make protos'"; exit 1; }

protos: $(VENV)/.dev  ## generate the stubs in bagel/v1 from protos/
	$(BIN)/python $(PROTOC) --python_out=. --pyi_out=. --grpc_python_out=. $(PROTOS)

limits: $(VENV)/.dev  ## print docs/limits.md and docs/api.md from the code
	$(BIN)/python -m bagel.limits_page > docs/limits.md
	$(BIN)/python -m services.gateway.api_page > docs/api.md

parity: $(VENV)/.dev  ## every golden case through the engines: make parity GOLDEN=DIR
	$(ONE_THREAD) $(BIN)/python -m tests.parity.direct $(GOLDEN)

parity-bf16: $(VENV)/.dev  ## the same in bfloat16, against twice the reference's own drift
	$(ONE_THREAD) $(BIN)/python -m tests.parity.direct $(GOLDEN) --dtype bfloat16

parity-services: $(VENV)/.dev  ## the image cases through a Thinker and a DiT process: make parity-services GOLDEN=DIR
	$(ONE_THREAD) $(BIN)/python -m tests.parity.services $(GOLDEN)

chaos: $(VENV)/.dev  ## kills of stages and in the middle of transfers, contract cases, bombs beside other users; writes docs/evidence/
	@CONTRACT_CASES=210 bash -o pipefail -c \
		'$(BIN)/python -m pytest tests/transport/test_contract_generated.py | tee docs/evidence/contract-transport.txt'
	@SCHEMATHESIS_PHASES=examples,coverage,fuzzing SCHEMATHESIS_EXAMPLES=160 SCHEMATHESIS_LEAST=2000 bash -o pipefail -c \
		'$(BIN)/python -m pytest -s tests/e2e/test_schemathesis.py | tee docs/evidence/schemathesis.txt'
	@bash -o pipefail -c '$(BIN)/python -m tests.chaos.bombs --seconds 40 | tee docs/evidence/bombs.txt'
	@bash -o pipefail -c '$(BIN)/python -m tests.chaos.failover | tee docs/evidence/chaos-failover.txt'
	@$(ONE_THREAD) bash -o pipefail -c '$(BIN)/python -m tests.chaos.transport | tee docs/evidence/chaos-transport.txt'

bench: $(VENV)/.dev  ## every way to move KV pages, ten-fold overload, what the gateway adds, 1,000 workers; writes docs/evidence/
	@bash -o pipefail -c '$(BIN)/python -m benchmarks.transport --planes shm,zeromq,mooncake | tee docs/evidence/transport-bench.txt'
	@bash -o pipefail -c '$(BIN)/python -m benchmarks.overload --seconds 90 | tee docs/evidence/overload.txt'
	@bash -o pipefail -c '$(BIN)/python -m benchmarks.gateway_overhead | tee docs/evidence/gateway-overhead.txt'
	@bash -o pipefail -c '$(BIN)/python -m benchmarks.registry | tee docs/evidence/registry.txt'

toy-eval: $(VENV)/.stage  ## 400 held-out tasks through the services, judged by code: a table, out/toy-eval.json and .png
	$(BIN)/python -m training.evaluation

gallery: $(VENV)/.stage  ## make docs/gallery.md and its pictures again
	$(BIN)/python -m training.evaluation.gallery

clean:  ## remove what was made
	rm -rf $(VENV) build out

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stage: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --editable ".[stage]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) --editable ".[stage,dev]"
	@touch $@ $(VENV)/.stage

$(VENV)/.release: $(VENV)/.dev
	$(PIP_INSTALL) --editable ".[release]"
	@touch $@
