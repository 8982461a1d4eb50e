#!/usr/bin/env bash
# Every job by name. Makes the environment, .venv beside this file, on first use.
# Written for bash 3.2 too, which macOS has.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: ./run.sh COMMAND [arguments]      (./run.sh COMMAND --help: its flags and an example)

  demo         the whole chain on the built-in corpora, offline after installation
  test         the test suite; takes pytest's arguments; --quick leaves out slow tests
  convert      corpus files to NoteSequence TFRecords
  tensors      NoteSequence TFRecords to training tensors for a config
  train        records to a trained model
  evaluate     measures a trained model on held-out records
  generate     new music from a trained model
  prior        how a trained model's latent vectors are distributed, to sample better
  attributes   how a trained model's music changes with its attributes, to edit by them
  titles       train, evaluate, match, search: titles for tunes, tunes for titles
  judge        verdicts on tunes: copied, rhythm, mode, form, melody
  style        render, separate, train, convert, evaluate and more: music with another sound, beside a truth
  pretrained   lists the trained models that come with the project; makes one of a run
  page         a page to listen to a folder of music, which opens from disk
  plot         curves and metrics of runs beside each other, as figures for papers
  corpora      lists the corpora that convert reads
  configs      lists the configs that train takes
  bench        measures this project beside stock Magenta
  doctor       says what of this installation works, and what to do about the rest
  tensorboard  shows the runs in a folder (by default, this one)

The first use makes the environment in .venv. It needs a network and Python 3.11, 3.12 or 3.13:
the one that the variable PYTHON names, else one that is found.
HELP
}

say() { printf 'run.sh: %s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=$(dirname -- "$self")/$link ;;
  esac
done
here=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P)
lock=$here/requirements.txt
venv=$here/.venv
# Copies of the lock: the first is there as soon as .venv is, the second when all is installed.
begun=$venv/installing.txt
stamp=$venv/installed.txt
in_venv=$venv/bin/python
install=$here/pipelines/runtime/install.py
python= # the interpreter to make .venv with, once it is known
child=  # the process group at work on .venv, if any

# Prints the command that begins with $1, or differs from it by the fewest letters if those are few.
nearest_command() {
  usage | word=$1 awk '
    function least(a, b) { return a < b ? a : b }
    function distance(s, t,    i, j, before, row, corner) {
      for (j = 0; j <= length(t); j++) row[j] = j
      for (i = 1; i <= length(s); i++) {
        corner = row[0]
        row[0] = i
        for (j = 1; j <= length(t); j++) {
          before = row[j]
          row[j] = least(least(row[j], row[j - 1]) + 1, \
            corner + (substr(s, i, 1) != substr(t, j, 1)))
          corner = before
        }
      }
      return row[length(t)]
    }
    BEGIN { word = ENVIRON["word"] }
    /^  [a-z]/ {
      d = length(word) > 2 && index($1, word) == 1 ? 0 : distance(word, $1)
      if (d < length(word) / 2 && (found == "" || d < fewest)) { found = $1; fewest = d }
    }
    END { print found }'
}

# Runs the interpreter $1; prints "ok" and its real path (a shim or another environment may go,
# and a link to a Python that was removed is easily seen), or what is wrong with it.
probe() {
  "$1" -I -c '
import importlib.util, os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    print("is Python %d.%d.%d" % sys.version_info[:3])
elif not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
    print("has no venv or ensurepip (Debian and Ubuntu: apt install python%d.%d-venv)"
          % sys.version_info[:2])
else:
    print("ok", os.path.realpath(sys.executable))
' 2>/dev/null || echo "does not run"
}

choose_python() {
  local candidate answer seen=
  if [ -n "${PYTHON:-}" ]; then
    answer=$(probe "$PYTHON")
    python=${answer#ok }
    [ "$python" != "$answer" ] || fail "PYTHON=$PYTHON $answer; it has to be 3.11, 3.12 or 3.13"
    return
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[123].*/bin/python; do
    command -v "$candidate" >/dev/null || continue
    answer=$(probe "$candidate")
    python=${answer#ok }
    [ "$python" = "$answer" ] || return 0
    seen="$seen; $candidate $answer"
  done
  fail "no Python 3.11, 3.12 or 3.13 here$seen. Install one, or name it: PYTHON=/path/to/python"
}

# Whether .venv is complete and made from this lock (and from the PYTHON that was asked for).
ready() {
  cmp -s "$lock" "$stamp" && [ -x "$in_venv" ] &&
    { [ -z "${PYTHON:-}" ] || grep -qxF "executable = $python" "$venv/pyvenv.cfg"; }
}

# Runs a command in a process group of its own, which a signal to run.sh can then end as a whole.
step() {
  local status=0
  set -m
  "$@" </dev/null >&2 &
  child=$!
  set +m
  wait "$child" || status=$?
  child=
  return "$status"
}

remove_unfinished() {
  local status=$? tries=0
  trap '' HUP INT TERM
  if [ -n "$child" ]; then
    kill -TERM -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
    while kill -0 -- "-$child" 2>/dev/null && [ $((tries += 1)) -lt 50 ]; do sleep 0.1; done
  fi
  rm -rf "$venv"
  say "removed the unfinished .venv"
  exit "$status"
}

make_environment() {
  local take='import fcntl; fcntl.flock(9, fcntl.LOCK_EX'
  [ -n "$python" ] || choose_python
  # The kernel lets go of this lock when the last process that holds file 9 ends, however it ends.
  exec 9>>"$here/.venv.lock" || fail "cannot write in $here"
  if ! "$python" -I -c "$take | fcntl.LOCK_NB)" 2>/dev/null; then
    say "another run.sh is making .venv; waiting for it"
    "$python" -I -c "$take)" || fail "cannot lock $here/.venv.lock"
  fi
  if ! ready; then
    if [ -e "$venv" ] && ! [ -e "$begun" ] && ! [ -e "$stamp" ]; then
      fail "$venv was not made by run.sh; move it away"
    fi
    say "making .venv with $("$python" -V) ($python); this happens once and takes 4 GB of disk"
    trap remove_unfinished EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    rm -rf "$venv"
    mkdir "$venv"
    cp "$lock" "$begun"
    if ! { step "$python" -I -m venv "$venv" && step "$in_venv" -I "$install" "$begun" "$venv"; }; then
      fail "making .venv failed, see above. It needs a network that reaches PyPI (or pip's" \
        "configuration to name a mirror) and 5 GB of disk; free at $here:" \
        "$(df -Ph "$here" | awk 'END { print $4 }')"
    fi
    mv "$begun" "$stamp"
    trap - EXIT HUP INT TERM
    say "made .venv"
  fi
  exec 9>&-
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
  help | -h | --help)
    usage
    exit
    ;;
  demo | convert | tensors | train | evaluate | generate | prior | attributes | titles | judge | style | pretrained | page | plot | corpora | bench | tensorboard)
    set -- "pipelines.$command" "$@"
    ;;
  configs) set -- configs "$@" ;;
  test) set -- tests "$@" ;;
  doctor) set -- pipelines.doctor "$@" ;;
  *)
    near=$(nearest_command "$command")
    say "error: no command is named '$command'${near:+; did you mean '$near'?}"
    usage >&2
    exit 2
    ;;
esac

[ -z "${PYTHON:-}" ] || choose_python
if [ "$command" != doctor ]; then
  ready || make_environment
elif ! "$in_venv" -I -c '' 2>/dev/null; then
  # It needs no package, and looks at an environment that is missing or broken.
  [ -n "$python" ] || choose_python
  in_venv=$python
fi
# The project's packages come before any of the same name where the caller stands or keeps others.
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1
# note-seq imports pydub, which misses ffmpeg (nothing here uses it) and has regular expressions
# without r'', both aloud.
quiet="ignore:Couldn't find ffmpeg or avconv:RuntimeWarning,ignore:invalid escape sequence"
export PYTHONWARNINGS="$quiet${PYTHONWARNINGS:+,$PYTHONWARNINGS}"
exec "$in_venv" -m "$@"
