#!/usr/bin/env bash
# Run the tests on every Python >= 3.11 of this machine, with the newest dependencies
# and with the oldest supported scikit-learn.
#
#   bash tests/matrix.sh                   all environments
#   bash tests/matrix.sh 3.11-oldest ...   only these
#
# An environment lives in .matrix/<python>-<newest|oldest>, beside a log of its set-up
# and its tests; it is made anew when pyproject.toml, constraints.txt or this file has
# changed. Prints one line for each environment; the exit status is 1 if any failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

OLDEST_SKLEARN=${OLDEST_SKLEARN:-1.6.0}
TOOLS=(pytest hypothesis polars)

# "<version> <path>" of each Python >= 3.11 that can make environments; of several
# with one minor version the first, pyenv's own before those on PATH.
find_pythons() {
  {
    ls -d "$HOME"/.pyenv/versions/*/bin/python
    compgen -c python3. | grep -E '^python3\.[0-9]+$' | sort -u | xargs which -a
  } 2>/dev/null | while read -r python; do
    "$python" - "$python" 2>/dev/null <<'PROBE'
import sys, ensurepip, venv
if sys.version_info >= (3, 11) and "t" not in sys.abiflags:
    print("%d.%d" % sys.version_info[:2], sys.argv[1])
PROBE
  done | sort -s -V -u -k 1,1
}

pip_install() { # environment, arguments of pip
  local environment=$1
  shift
  # Wheels only: a pin without one shall fail at once, not compile for an hour.
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --only-binary ':all:' --editable '.[boosting,cli,cma,report]' "${TOOLS[@]}" "$@"
}

install_newest() {
  # constraints.txt was written for one Python; others may lack a wheel of a pin.
  pip_install "$1" -c constraints.txt || pip_install "$1" --upgrade
}

# scikit-learn 1.6 gives L-BFGS the options disp and iprint, which scipy deprecates from
# 1.16 on: every LogisticRegression warns, and warnings are errors in the tests. Newest
# numpy (2.4) and pandas (3.1) work with it. Its parametrize_with_checks hands pytest a
# generator, which warns from pytest 9.1 on. It knows polars by the interchange protocol
# alone, which warns from polars 1.40 on and is gone in 2.0.
install_oldest() {
  local oldest=$OLDEST_SKLEARN scipy='scipy<1.16'
  if "$1/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 14))'; then
    # The first with wheels for Python 3.14; that scipy has none.
    oldest=1.7.2 scipy=scipy
  fi
  pip_install "$1" "scikit-learn==$oldest" "$scipy" \
    'pytest<9' 'polars<1.40'
}

set_up() { # environment, python, dependencies
  local environment=$1 python=$2 dependencies=$3
  local stamp=$environment/.installed
  if [[ -e $stamp && $stamp -nt pyproject.toml && $stamp -nt constraints.txt &&
    $stamp -nt tests/matrix.sh && $(cat "$stamp") == "$OLDEST_SKLEARN" ]]; then
    return 0
  fi
  "$python" -m venv --clear "$environment" &&
    "install_$dependencies" "$environment" &&
    echo "$OLDEST_SKLEARN" >"$stamp"
}

describe() { # environment
  "$1/bin/python" - <<'VERSIONS'
from importlib.metadata import version
names = "scikit-learn", "numpy", "scipy", "pandas", "numba"
print(" ".join(f"{name} {version(name)}" for name in names))
VERSIONS
}

run_tests() { # environment
  # Each environment has its own compiled kernels: numba versions differ.
  NUMBA_CACHE_DIR="$PWD/$1/numba_cache" "$1/bin/python" -m pytest -q tests
}

run() { # name, python
  local name=$1 python=$2 environment=.matrix/$1
  mkdir -p .matrix
  if ! set_up "$environment" "$python" "${name#*-}" >".matrix/$name.log" 2>&1; then
    echo "$name: SET-UP FAILED, see .matrix/$name.log"
    return 1
  fi
  run_tests "$environment" >>".matrix/$name.log" 2>&1
  local status=$?
  local verdict=passed
  ((status == 0)) || verdict="FAILED, see .matrix/$name.log"
  echo "$name: $verdict; $(tail -n 1 ".matrix/$name.log"); $(describe "$environment")"
  return "$status"
}

main() {
  local failed=0 ran=0 name version python dependencies
  while read -r version python; do
    for dependencies in newest oldest; do
      name=$version-$dependencies
      [[ $# -eq 0 || " $* " == *" $name "* ]] || continue
      ran=$((ran + 1))
      run "$name" "$python" </dev/null || failed=$((failed + 1))
    done
  done < <(find_pythons)
  echo "$ran environments, $failed failed"
  ((ran > 0 && failed == 0))
}

main "$@"
