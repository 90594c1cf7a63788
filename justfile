# Every check is a recipe here and runs the same in CI. `just` alone lists them.

default:
    @just --list

# Everything that CI runs.
check:
    cargo xtask check

# All tests on SQLite and on a private PostgreSQL.
test *ARGS:
    cargo xtask test {{ARGS}}

# The rules that no compiler knows.
tidy:
    cargo xtask tidy

# Measure, print a table, write bench.json.
bench:
    cargo xtask bench

# Official clients: of Scaleway against the emulator, of OpenAI through the gateway.
clients:
    cargo xtask clients

# Recordings of the real API against the emulator.
replay DIR *ARGS:
    cargo xtask replay {{DIR}} {{ARGS}}

# Write openapi.json from the code.
openapi:
    cargo xtask openapi

# Two instance life cycles against an emulated cloud.
demo *ARGS:
    cargo run -- demo {{ARGS}}

# Stories of users, strangers, faults and crashes, drawn from seeds.
simulate *ARGS:
    cargo xtask simulate {{ARGS}}

# Every call and commit of every scenario, struck in every way.
crash-matrix *ARGS:
    cargo xtask crash-matrix {{ARGS}}

# The real executable, killed again and again.
soak *ARGS:
    cargo xtask soak {{ARGS}}

# Three servers of an older commit, replaced one after the other.
upgrade COMMIT:
    cargo xtask upgrade --from {{COMMIT}}

# Each rule broken once: a trial must turn red.
mutants *ARGS:
    cargo xtask mutants {{ARGS}}

# Every page and action of the console in a real Chromium.
browser *ARGS:
    cargo xtask browser {{ARGS}}
