# What each target does is in a script: the demo in tests/demo, the checks in noxfile.py, set-up in tests/setup.

# Ansible refuses locales that are not UTF-8; what the caller's shell has for other Pythons and clusters stays out.
export LC_ALL := C.UTF-8
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

PYTHON := .venv/bin/python
CHECKS := $(PYTHON) tests/setup/checks.py
CLUSTER := build/cluster
CLUSTER_MIG := build/cluster-mig
SCENARIO := tests/simulator/scenarios/reference.yml

.PHONY: help demo test test-gpu lint bench cluster cluster-down setup setup-test clean

help: ## Show this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: setup ## Show it on simulated clusters: 2 GPU slots become 11, an H20 is cut (KEEP=1 leaves them running)
	@$(PYTHON) -m demo

test: setup-test ## Run every check: lint, docs, sanity, units, contract, integration, build
	@$(CHECKS)

test-gpu: setup ## Compare what GPUs of this machine report with the tables, and look for a process that takes 256 MiB
	@$(PYTHON) -m gpu

lint: setup-test ## Run the linters and the type checker
	@$(CHECKS) lint

bench: setup ## Measure plan, no-op rollout, the emptying of a node, MIG layouts, sampling and container runtimes, on simulated nodes
	@$(PYTHON) -m benchmarks

cluster: setup ## Start the simulated reference cluster for hands-on use with inventories/demo
	@$(PYTHON) -m simulator up --scenario $(SCENARIO) --dir $(CLUSTER)
	@echo "Next:"
	@echo "  .venv/bin/ansible-playbook kubegpu.sharing.inspect -i inventories/demo"
	@echo "  .venv/bin/ansible-playbook kubegpu.sharing.plan -i inventories/demo"
	@echo "  kubectl --kubeconfig $(CLUSTER)/kubeconfig get nodes"
	@echo "  make cluster-down"

cluster-down: setup ## End it, and the clusters that KEEP=1 make demo left running
	@$(PYTHON) -m simulator down --dir $(CLUSTER)
	@$(PYTHON) -m simulator down --dir $(CLUSTER_MIG)

setup:
	@sh tests/setup/prepare.sh runtime

setup-test:
	@sh tests/setup/prepare.sh test

clean: ## Remove what set-up, tests and demo made
	@for dir in $(CLUSTER) $(CLUSTER_MIG); do \
	  if [ -e $$dir/pid ] && [ -x $(PYTHON) ]; then $(PYTHON) -m simulator down --dir $$dir; fi; done
	@for host in build/molecule/*/host.json; do \
	  if [ -e $$host ] && [ -x $(PYTHON) ]; then $(PYTHON) -m hosts down --dir $$(dirname $$host); fi; done
	rm -rf .venv .venv-* .cache .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible build tests/output
