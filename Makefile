# One-line targets; everything else is in `lifeboat --help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
# Much of a test's time is waiting for AWS's own delays, so four fit on two cores.
WORKERS ?= 4
# The tests copy thousands of small files: they do so in memory where 8 GiB of it may be used and programs run from it.
IN_MEMORY = $(shell findmnt -no OPTIONS /dev/shm | grep -qvw noexec && [ $$(df -m --output=avail /dev/shm | tail -1) -gt 8192 ] && echo /dev/shm)
# Terraform and its provider live for seconds: collecting their garbage less often saves a fifth of the CPU.
GOGC ?= 400
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where Python may keep what it compiled, each command starts in half the time.
unexport PYTHONDONTWRITEBYTECODE

# ENV names an environment and nothing else: its raw text is compared with the files in environments/ and is never
# expanded, neither by make (hence `value`, and no export) nor by a shell (hence only a checked word reaches one).
ENV ?= local
unexport ENV
# A name is of these alone (variable "environment" of terraform/stack): a file of any other name is no environment.
override LETTERS := a b c d e f g h i j k l m n o p q r s t u v w x y z
override DIGITS := 0 1 2 3 4 5 6 7 8 9
override without = $(if $(1),$(call without,$(wordlist 2,$(words $(1)),$(1)),$(subst $(firstword $(1)),,$(2))),$(2))
override FILES := $(filter-out $(addsuffix %,- $(DIGITS)),$(basename $(notdir $(wildcard environments/*.toml))))
override KNOWN := $(sort $(foreach name,$(FILES),$(if $(call without,$(LETTERS) $(DIGITS) -,$(name)),,$(if $(wildcard environments/$(name).toml),$(name)))))
override GIVEN := $(value ENV)
override ENV_OK := $(if $(filter 1,$(words $(GIVEN))),$(filter $(KNOWN),$(GIVEN)))
ifeq ($(ENV_OK),)
$(error ENV must be one of: $(KNOWN))
endif
override SAFE_ENV := $(ENV_OK)

# AMI is "latest" or an image id: what is left of it without its letters and digits must be nothing.
AMI ?= latest
unexport AMI
override HEX := $(DIGITS) a b c d e f
override GIVEN_AMI := $(value AMI)
override AMI_DIGITS := $(patsubst ami-%,%,$(filter ami-%,$(GIVEN_AMI)))
override AMI_OK := $(and $(filter 1,$(words $(GIVEN_AMI))),$(if $(filter latest,$(GIVEN_AMI)),yes,$(if $(AMI_DIGITS),$(if $(call without,$(HEX),$(AMI_DIGITS)),,yes))))
ifeq ($(AMI_OK),)
$(error AMI must be latest or an image id: ami-...)
endif
override SAFE_AMI := $(GIVEN_AMI)

# SCOPE is what recover brings back, TO the moment that the database comes back to: latest, or 2026-03-01T03:11:00Z.
SCOPE ?= instance
unexport SCOPE
override GIVEN_SCOPE := $(value SCOPE)
override SAFE_SCOPE := $(and $(filter 1,$(words $(GIVEN_SCOPE))),$(filter instance database full,$(GIVEN_SCOPE)))
ifeq ($(SAFE_SCOPE),)
$(error SCOPE must be instance, database or full)
endif
TO ?= latest
unexport TO
override GIVEN_TO := $(value TO)
override TO_OK := $(and $(filter 1,$(words $(GIVEN_TO))),$(if $(filter latest,$(GIVEN_TO)),yes,$(if $(call without,$(DIGITS),$(GIVEN_TO)),$(if $(filter --T::Z,$(call without,$(DIGITS),$(GIVEN_TO))),yes))))
ifeq ($(TO_OK),)
$(error TO must be latest or a time in UTC: 2026-03-01T03:11:00Z)
endif
override SAFE_TO := $(if $(filter latest,$(GIVEN_TO)),,--to $(GIVEN_TO))

# DRILL is what a drill brings back, in isolation.
DRILL ?= full
unexport DRILL
override GIVEN_DRILL := $(value DRILL)
override SAFE_DRILL := $(and $(filter 1,$(words $(GIVEN_DRILL))),$(filter database instance full state,$(GIVEN_DRILL)))
ifeq ($(SAFE_DRILL),)
$(error DRILL must be database, instance, full or state)
endif

.PHONY: help
help: ## Print the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 12
	@echo; echo "ENV=<name> chooses the environment ($(KNOWN)); default: local"

.PHONY: setup
setup: $(BIN)/.installed ## Create .venv from the lock file; TERRAFORM_DOWNLOAD=1 also fetches Terraform
ifeq ($(TERRAFORM_DOWNLOAD),1)
	@$(BIN)/python scripts/fetch_terraform.py $(BIN)
endif

$(BIN)/.installed: requirements-dev.lock pyproject.toml
	@echo "installing into .venv from requirements-dev.lock" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true  # on all cores; pip would on one
	@touch $@

.PHONY: scan-tools
scan-tools: .venv-scan/.installed ## Create .venv-scan with checkov, from its own lock file

.venv-scan/.installed: requirements-scan.lock
	@echo "installing into .venv-scan from requirements-scan.lock" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -m venv .venv-scan
	@.venv-scan/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements-scan.lock
	@.venv-scan/bin/python -m compileall -qq -j 0 .venv-scan/lib || true
	@touch $@

.PHONY: apply
apply: setup ## Build or mend ENV and show what is protected (local: on a local cloud)
	@lifeboat apply -e $(SAFE_ENV)

.PHONY: plan
plan: setup ## Show what apply would change in ENV
	@lifeboat plan -e $(SAFE_ENV)

.PHONY: scan
scan: setup scan-tools ## Judge the plans of ENV by the rules of disaster recovery and by checkov; write reports
	@lifeboat scan -e $(SAFE_ENV)

.PHONY: recover
recover: setup ## Bring ENV back, timed until it answers: SCOPE=instance, database or full, AMI=latest, TO=latest
	@lifeboat recover -e $(SAFE_ENV) --scope $(SAFE_SCOPE) --ami $(SAFE_AMI) $(SAFE_TO)

.PHONY: drill
drill: setup ## Bring ENV back in isolation, prove it, take it away again: DRILL=database, instance, full or state
	@lifeboat drill $(SAFE_DRILL) -e $(SAFE_ENV)

.PHONY: status
status: setup ## Show whether ENV could be recovered: each copy and its proof, drills, alarms, what is red and what to type
	@lifeboat status -e $(SAFE_ENV)

.PHONY: doctor
doctor: setup ## Look at everything that is needed on this machine
	@lifeboat doctor -e $(SAFE_ENV)

.PHONY: destroy
destroy: setup ## Take a disposable ENV down, with its local cloud
	@lifeboat destroy -e $(SAFE_ENV)

.PHONY: test
test: setup scan-tools ## Run the tests: real Terraform, provider, PostgreSQL and checkov
	@GOGC=$(GOGC) TMPDIR=$${TMPDIR:-$(IN_MEMORY)} python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder \
	  --durations 60 --durations-min 10 --ignore tests/modules/test_validate.py --ignore tests/long --ignore tests/damage  # make lint, test-long, test-damage

.PHONY: test-long
test-long: setup scan-tools ## Run what `make test` leaves out: other ways to where it goes, applies killed at ten moments (an hour)
	@GOGC=$(GOGC) TMPDIR=$${TMPDIR:-$(IN_MEMORY)} LIFEBOAT_STACKS=$(WORKERS) LIFEBOAT_SHARDS=$(WORKERS) LIFEBOAT_KILLS=10 \
	  python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder \
	  tests/long --ignore tests/long/test_state_accidents.py  # make test-accidents

.PHONY: test-damage
test-damage: setup ## Look at 500 damaged dumps in five ways, restore each hostile one on its own (half an hour)
	@TMPDIR=$${TMPDIR:-$(IN_MEMORY)} python -m tests.damage.report
	@TMPDIR=$${TMPDIR:-$(IN_MEMORY)} python -m pytest tests/damage

# What a run recorded itself is no other version.
EDITED = $(shell git diff --quiet HEAD -- . ':!tests/faults/*recovery_calls.txt' || echo -edited)
FAULTS = .lifeboat/faults-$(shell git rev-parse --short HEAD)$(EDITED).jsonl
.PHONY: test-faults test-database-faults
test-faults: CUT_OFF = tests/long/test_cut_off_recoveries.py
test-faults: setup ## Kill, cut, refuse and throttle a recovery at every call that changes something (hours; goes on after a stop)
test-database-faults: CUT_OFF = tests/long/test_cut_off_database_recoveries.py
test-database-faults: setup ## The same with recoveries of the database (longer still)
test-faults test-database-faults:
	@mkdir -p $(dir $(FAULTS))
	@GOGC=$(GOGC) TMPDIR=$${TMPDIR:-$(IN_MEMORY)} LIFEBOAT_ROUNDS=50 LIFEBOAT_RECOVERY_FAULTS=all LIFEBOAT_SHARDS=$(WORKERS) \
	  LIFEBOAT_FAULT_REPORT=$(CURDIR)/$(FAULTS) python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder \
	  $(CUT_OFF); \
	  status=$$?; python -m tests.faults.report $(FAULTS); exit $$status

ACCIDENTS = .lifeboat/accidents-$(shell git rev-parse --short HEAD)$(EDITED).jsonl
.PHONY: test-accidents
test-accidents: setup ## Lose Terraform's state in each way and lock mode, beside plain Terraform, and get it back (an hour)
	@mkdir -p $(dir $(ACCIDENTS)) && rm -f $(ACCIDENTS)
	@GOGC=$(GOGC) TMPDIR=$${TMPDIR:-$(IN_MEMORY)} LIFEBOAT_ACCIDENT_REPORT=$(CURDIR)/$(ACCIDENTS) python -m pytest -n $(WORKERS) \
	  --dist loadgroup --no-loadscope-reorder tests/long/test_state_accidents.py; \
	  status=$$?; python -m tests.accidents.report $(ACCIDENTS); exit $$status

.PHONY: test-policy
test-policy: setup ## Seed one defect after another into production, judge each, and write docs/measured/seeded-defects.md (ten minutes; goes on after a stop)
	@GOGC=$(GOGC) TMPDIR=$${TMPDIR:-$(IN_MEMORY)} python -m tests.variants.report docs/measured/seeded-defects.md

.PHONY: lint
lint: setup ## ruff, mypy --strict, import contracts, terraform fmt and validate
	@ruff check scripts tests terraform/policies
	@ruff format --check scripts tests terraform/policies
	@mypy
	@lint-imports
	@terraform fmt -check -recursive terraform modules environments
	@python -m pytest -q -p no:cacheprovider --no-header tests/modules/test_validate.py

.PHONY: docs
docs: setup ## Write docs/runbooks from the tables of steps, docs/policy.md and docs/status.md from rules and checks, docs/evidence.schema.json
	@python -m lifeboat.runbooks.pages docs/runbooks
	@python -m lifeboat.runbooks.policy_page docs/policy.md
	@python -m lifeboat.runbooks.status_page docs/status.md
	@python -m lifeboat.runbooks.evidence_page docs/evidence.schema.json

.PHONY: bench
bench: setup ## Measure: plan and apply without changes, save and load, recoveries, state histories, dumps and restores beside stock tools (an hour)
	@python -m tests.bench
