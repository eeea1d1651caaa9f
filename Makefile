# Every target makes its own environment first; nothing but git, make and python3 is needed.
#
#   ARGS="..."      extra arguments of the command behind a target
#   ROBOT=...       the arm of `make demo`: fr3 (default), panda, ur5e, piper, ...
#   PIP_ARGS="..."  extra arguments of every pip install (an index with CPU wheels, a proxy)
#   PYTHON=...      the Python (3.10 to 3.12) to build the environment on

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

ARGS ?=
ROBOT ?= fr3
PIP_ARGS ?=
PYTHON ?=
MUJOCO_GL ?= egl
export PIP_ARGS PYTHON MUJOCO_GL
# Without its cache of compiled modules every start of Python would compile torch again.
unexport PYTHONDONTWRITEBYTECODE
ifndef HOME
export HOME := $(CURDIR)/out/home
endif

# An environment for ROS 2 from PyPI, and one for each distribution that was sourced.
VENV := $(if $(ROS_DISTRO),.venv-$(ROS_DISTRO),.venv)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TOOLS := $(VENV)/.ready-ros-tools
READY_BROWSER := $(VENV)/.ready-browser
# The vendors' SDKs and simulator want another numpy.
VENV_DRIVERS := .venv-drivers$(if $(ROS_DISTRO),-$(ROS_DISTRO))
READY_DRIVERS := $(VENV_DRIVERS)/.ready
# LIBERO wants another mujoco.
VENV_LIBERO := .venv-libero
READY_LIBERO := $(VENV_LIBERO)/.ready
# LeRobot wants Python 3.12 or newer, and another torch.
VENV_LEROBOT := .venv-lerobot
READY_LEROBOT := $(VENV_LEROBOT)/.ready
ifndef ROS_DISTRO
# Started from inside another environment with ROS 2 wheels: leave none of it to ours.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
endif

REQUIREMENTS := requirements.txt requirements-dev.txt \
	$(if $(ROS_DISTRO),requirements-ros-apt.txt,requirements-ros-wheels.txt)

TEST_ENV := OMP_NUM_THREADS=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
PYTEST := $(TEST_ENV) $(BIN)/python -m pytest
LIBERO := OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR) $(VENV_LIBERO)/bin/python -m faster_ros.cli.main libero
PYTEST_DRIVERS := $(TEST_ENV) PYTHONPATH=$(CURDIR):$$PYTHONPATH \
	$(VENV_DRIVERS)/bin/python -m pytest -s test/drivers

.PHONY: help demo test test-fast test-slow test-drivers test-drivers-real-time \
	test-drivers-long test-lerobot test-browser lint fix train-demo train-smoke evaluate-demo \
	evaluate-ab libero-smoke libero-venv venv rendering clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' Makefile

demo: $(READY) rendering ## watch a policy drive the simulated arm; results under out/demo
	$(BIN)/faster_ros demo --robot $(ROBOT) $(ARGS)

test: lint test-fast ## lint and the fast tests

test-fast: $(READY) rendering
	@mkdir -p "$$HOME"
	$(PYTEST) -m 'not slow and not browser' -n 2 --timeout=120 $(ARGS)

test-slow: $(READY) $(READY_TOOLS) rendering ## the slow tests: colcon install, training, demo
	@mkdir -p "$$HOME"
	$(PYTEST) -m slow --timeout=1500 $(ARGS)

test-drivers: $(READY_DRIVERS) ## the control path against libfranka's protocol and piper_sdk
	@mkdir -p "$$HOME"
	$(PYTEST_DRIVERS) -m 'drivers and not real_time' --reruns 2 --timeout=300 $(ARGS)

test-lerobot: $(READY_LEROBOT) ## LeRobot's own code against our data sets; needs Python 3.12 or newer
	@mkdir -p "$$HOME"
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONPATH=$(CURDIR) $(VENV_LEROBOT)/bin/python -m pytest -s \
		test/lerobot --timeout=300 $(ARGS)

test-drivers-real-time: $(READY_DRIVERS) ## the rest of these, which need a quiet machine
	@mkdir -p "$$HOME"
	$(PYTEST_DRIVERS) -m real_time --timeout=300 $(ARGS)

test-drivers-long: $(READY_DRIVERS) ## ten minutes of robot time of chunks against franka-sim
	@mkdir -p "$$HOME"
	FASTER_ROS_DRIVER_SECONDS=600 $(PYTEST_DRIVERS) -m drivers -k ten_minutes --timeout=3600 $(ARGS)

test-browser: $(READY_BROWSER) ## the operator's page of an evaluation in headless Chromium
	@mkdir -p "$$HOME"
	$(PYTEST) -m browser --timeout=300 $(ARGS)

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/mypy

fix: $(READY) ## let ruff sort imports and repair what it can
	$(BIN)/ruff check --fix

train-demo: $(READY) rendering ## train the demo's tokenizer and policy from nothing
	$(BIN)/faster_ros train demo $(ARGS)

train-smoke: $(READY) rendering ## the same in two minutes, to see that training learns
	$(BIN)/faster_ros train demo --quick $(ARGS)

evaluate-demo: $(READY) rendering ## measure the demo's policy on unseen layouts
	$(BIN)/faster_ros evaluate-demo $(ARGS)

out/train_demo_quick/report.html: | $(READY) rendering
	$(BIN)/faster_ros train demo --quick

evaluate-ab: out/train_demo_quick/report.html ## a blinded A/B of two checkpoints, 2 x 30 trials; goes on where it was ended
	$(BIN)/faster_ros eval run config/eval/sim_ab.yaml --out out/sim_ab --simulated --unattended $(ARGS)

libero-venv: $(READY_LIBERO) ## only make the environment with LIBERO's suites

libero-smoke: $(READY_LIBERO) rendering ## two short trials of LIBERO, policy of random weights
	@mkdir -p "$$HOME"
	rm -rf out/libero_smoke
	$(LIBERO) untrained --suite libero_object --out out/libero_smoke/untrained
	$(LIBERO) run out/libero_smoke/untrained --suite libero_object --tasks 0 --initial-states 2 \
		--steps 24 --device cpu --out out/libero_smoke/run $(ARGS)
	@echo 'The weights are random: this shows that the bridge works, and no success rate.'

venv: $(READY) ## only make the environment

$(READY): $(REQUIREMENTS) setup.py setup.cfg .ci/setup_env.sh
	@.ci/setup_env.sh venv $(VENV)
	@touch $@

$(READY_TOOLS): requirements-ros-tools.txt $(READY)
	@.ci/setup_env.sh ros-tools $(VENV)
	@touch $@

$(READY_BROWSER): requirements-browser.txt $(READY)
	@.ci/setup_env.sh browser $(VENV)
	@touch $@

$(READY_DRIVERS): requirements-drivers.txt .ci/setup_env.sh
	@.ci/setup_env.sh drivers $(VENV_DRIVERS)
	@touch $@

$(READY_LIBERO): requirements-libero.txt .ci/setup_env.sh
	@.ci/setup_env.sh libero $(VENV_LIBERO)
	@touch $@

$(READY_LEROBOT): requirements-lerobot.txt .ci/setup_env.sh
	@.ci/setup_env.sh lerobot $(VENV_LEROBOT)
	@touch $@

rendering:
	@.ci/setup_env.sh rendering

clean: ## remove build products and caches; out/ and the environment stay
	rm -rf build dist install log *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove the environments and out/ too
	rm -rf .venv .venv-* out
