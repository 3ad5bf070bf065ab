# A thin front for Meson; every target works alone from a fresh clone. `make help` lists them.
BUILD ?= build
JOBS ?= $(shell nproc)

all: program

help:
	@echo 'make              build $(BUILD)/synthvlm (installs what is missing first: tools/setup.sh)'
	@echo 'make demo         caption pool to verified data set with the bundled model, in demo-run/'
	@echo 'make test         unit tests, text cases and end-to-end tests'
	@echo 'make test-asan    unit tests and text cases under address and undefined-behaviour sanitizers'
	@echo 'make fuzz-smoke   every parser fuzzed for SECONDS=20 (clang, libFuzzer); make fuzz: for SECONDS=600'
	@echo 'make bench        the benchmarks of bench/ (an hour; each can be run alone)'
	@echo 'make install      into PREFIX=/usr/local (DESTDIR is obeyed)'
	@echo 'make style        the house rules that a program can check'
	@echo 'make clean        remove build directories (.deps/ stays)'
	@echo 'make setup        only the set-up'

setup:
	@tools/setup.sh

program:
	@tools/setup.sh
	@tools/build.sh $(BUILD) $(JOBS)

demo: program
	@$(BUILD)/synthvlm run recipes/demo.yaml -o demo-run
	@echo
	@echo 'Your own captions: synthvlm help recipe > my.yaml; set captions.sources, generate.model and score.clip.model; synthvlm run my.yaml'
	@echo 'A real model:      optimum-cli export onnx --model stable-diffusion-v1-5/stable-diffusion-v1-5 sd15; synthvlm describe sd15  (docs/MODELS.md)'

test:
	@tools/setup.sh test
	@tools/build.sh $(BUILD) $(JOBS)
	@tests/run.sh $(BUILD) unit cases e2e

test-asan:
	@tools/setup.sh test
	@tools/build.sh $(BUILD)-asan $(JOBS) --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
	    -Dc_args=-Wno-maybe-uninitialized
	@tests/run.sh $(BUILD)-asan unit cases

fuzz: SECONDS = 600
fuzz-smoke: SECONDS = 20
fuzz fuzz-smoke:
	@tools/setup.sh fuzz
	@CC=clang tools/build.sh $(BUILD)-fuzz $(JOBS) --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true
	@tests/fuzz/run.sh $(BUILD)-fuzz $(SECONDS)

bench: program
	@for b in bench/*.sh; do echo "== $$b"; "$$b" || exit 1; done

install: program
	@meson install -C $(BUILD) --no-rebuild --quiet

style:
	@tools/check-style.sh

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz

.PHONY: all help setup program demo test test-asan fuzz fuzz-smoke bench install style clean
