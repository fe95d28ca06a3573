# Everything a developer types. `make` alone lists the targets.

PYTHON ?= python3

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export LC_ALL := C.UTF-8
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export ANSIBLE_HOME := $(CURDIR)/.ansible
# Not in the checkout, which may lie deep: a socket's path has 107 characters and no more.
export ANSIBLE_SSH_CONTROL_PATH_DIR := $(HOME)/.ansible/cp
export MOLECULE_GLOB := molecule/*/molecule.yml

# ansible finds the checkout here (ansible.cfg), and so does mypy.
COLLECTION := .ansible/collections/ansible_collections/shoal/swarm

# What takes long has a target of its own.
LONG := molecule-nodes molecule-operations
MOLECULE := $(patsubst molecule/%/molecule.yml,molecule-%,$(wildcard $(MOLECULE_GLOB)))
MOLECULE := $(filter-out $(LONG) molecule-newest,$(MOLECULE))

.DEFAULT_GOAL := help
.PHONY: help venv lint types sanity units units-every build molecule test stacks operations newest faults demo bench lab lab-down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/installed $(COLLECTION) ## make the development environment in .venv

lint: venv ## ruff, yamllint, ansible-lint, the changelog's fragments
	ruff check && ruff format --check
	yamllint --strict .
	ansible-lint
	antsibull-changelog lint

types: venv ## mypy
	mypy $(COLLECTION)/plugins $(COLLECTION)/tests/unit
	mypy $(wildcard .ci lab bench tests/cli)

sanity: venv ## ansible-test sanity, on every Python that is here
	python .ci/ansible_test.py sanity --local

units: venv ## ansible-test units, on the oldest and the newest Python that is here; TEST=path for one file
	pytest --quiet lab/tests
	python .ci/ansible_test.py --ends units $(TEST) --venv

units-every: venv ## the same, on every Python that is here
	python .ci/ansible_test.py units $(TEST) --venv

build: venv ## build the artifact, install it into an empty path, use it there
	python .ci/artifact.py

molecule: venv ## every scenario in molecule/, one after another
	python .ci/steps.py '$(MOLECULE)'

molecule-%: venv ## one scenario
	molecule test --scenario-name $*

test: venv ## all of the above
	python .ci/steps.py 'lint types sanity units build' '$(MOLECULE)'

stacks: venv ## compose files, beside what the Docker CLI (28 or newer) makes of them; needs no engine
	PYTHONPATH=.ansible/collections pytest --quiet tests/cli

operations: $(LONG) ## drains, reboots, upgrades, backups and losses: the playbooks, on five hosts

newest: molecule-newest ## services on the newest engine that Debian has, 28.5

faults: venv ## hosts that are killed in the middle of an update, and what else takes long
	PYTEST_ADDOPTS="-m faults -rP" molecule test --scenario-name service
	PYTEST_ADDOPTS="-m faults -rP" molecule test --scenario-name stack

demo: lab ## a swarm on five hosts of the lab, a service and a stack on it, and answers from them
	ansible-playbook -i inventory/lab -i lab/demo/stacks.yml playbooks/site.yml
	ansible-playbook -i inventory/lab -i lab/demo/stacks.yml lab/demo/show.yml

bench: venv ## ratios of times, against the lab
	python bench/bench.py

lab: venv ## bring up the lab's hosts and write inventory/lab
	python lab/lab.py up

lab-down: venv ## take them down
	python lab/lab.py down

clean: ## remove everything that was made here
	$(PYTHON) lab/lab.py clean
	rm -rf .ansible .cache .venv changelogs/.plugin-cache.yaml
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install python3-venv; }
	$(PYTHON) -m venv .venv
	python -m pip install --disable-pip-version-check --quiet --requirement requirements-dev.txt
	@touch $@

$(COLLECTION):
	@mkdir -p $(@D)
	ln -s ../../../.. $@
