#!/usr/bin/env bash
# Start-up script of a virtual machine that may be preempted: installs, fetches a corpus, converts it,
# trains, and shows the run in TensorBoard. Run at every boot, it goes on where it was; once the run
# is trained, it does nothing.
#
#     experiments/vm/start.sh [SETTINGS]
#
# SETTINGS is a file of lines VM_NAME=VALUE, by default /etc/reelgroove.env where there is one; they
# may stand in the environment as well:
#
#   VM_WORK              a folder on a disk that outlives the machine, for all that is made
#   VM_CORPUS, VM_INPUT  as --corpus and --input of convert; the input may be an https:// address
#   VM_INPUT_SHA256      its checksum, which an address needs
#   VM_CONVERT_FLAGS     more flags of convert, by spaces
#   VM_CONFIG, VM_NUM_STEPS, VM_SEED   as the flags of train
#   VM_TRAIN_FLAGS       more flags of train, by spaces
#   VM_RUN_DIR           the run's folder; by default VM_WORK/run
#   VM_BUCKET            where the run is kept besides, for a disk that does not outlive the machine:
#                        an address of rclone (:gcs,env_auth:bucket/run), or a folder
#   VM_BUCKET_SECONDS    how often it is put there: 60
#   VM_TENSORBOARD_PORT  on this machine alone; 6006, and 0 starts none
#   VM_SOURCE, VM_REF    a Git address and a branch or tag of the project, where this file does not
#                        lie in a checkout
#
# SIGTERM ends it in time: training saves a checkpoint first, and the status is 143. Where it is
# killed, what it has started ends as well.
set -euo pipefail

say() { printf 'start.sh: %s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

settings=${1:-/etc/reelgroove.env}
if [ -f "$settings" ]; then
  set -a
  # shellcheck source=/dev/null
  . "$settings"
  set +a
elif [ $# -gt 0 ]; then
  fail "$settings: no such file of settings"
fi
for name in VM_WORK VM_CORPUS VM_INPUT VM_CONFIG VM_NUM_STEPS; do
  [ -n "${!name:-}" ] || fail "$name is not set; $settings or the environment has to say it"
done
work=$VM_WORK
records=$work/records
run_dir=${VM_RUN_DIR:-$work/run}
bucket=${VM_BUCKET:-}
port=${VM_TENSORBOARD_PORT:-6006}
read -ra convert_flags <<<"${VM_CONVERT_FLAGS:-}"
read -ra train_flags <<<"${VM_TRAIN_FLAGS:-}"
[ -z "${VM_SEED:-}" ] || train_flags+=("--seed=$VM_SEED")
# What the run is trained to; it stands in the run's folder once that is done.
marker=$run_dir/trained.txt
goal="$VM_CONFIG to step $VM_NUM_STEPS${train_flags[*]:+ with ${train_flags[*]}}"

stopped=  # the exit status, once a signal has come
child=    # the step at work
training= # whether training has begun
helpers=() # what is at work beside the steps

stop() {
  stopped=$1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}
# shellcheck disable=SC2317  # the trap below calls it
finish() {
  local status=$?
  trap '' HUP INT TERM
  [ ${#helpers[@]} -eq 0 ] || kill "${helpers[@]}" 2>/dev/null || true
  if [ -n "$training" ] && [ -n "$bucket" ]; then
    put_in_bucket || {
      say "error: the run could not be put into $bucket"
      [ "$status" != 0 ] || status=1
    }
  fi
  exit "$status"
}
trap 'stop 143' TERM
trap 'stop 130' INT HUP
trap finish EXIT

# Runs a command that ends where this script is killed. Bash heeds signals only while it waits.
step() {
  local status=0
  [ -z "$stopped" ] || exit "$stopped"
  setpriv --pdeathsig TERM -- "$@" </dev/null &
  child=$!
  # The signal may have come before the step was known.
  [ -z "$stopped" ] || stop "$stopped"
  while :; do
    status=0
    wait "$child" || status=$?
    # A signal ends the waiting, not the step.
    kill -0 "$child" 2>/dev/null || break
  done
  child=
  [ -z "$stopped" ] || exit "$stopped"
  return "$status"
}

# Installs Debian's packages, those of the commands that are missing.
need() {
  local missing=() command
  for command in "$@"; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "install ${missing[*]}: there is no apt-get here"
  say "installing ${missing[*]}"
  # A machine that has just started may be installing updates.
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
  step "${apt[@]}" update
  step "${apt[@]}" install --yes --no-install-recommends ca-certificates "${missing[@]}" >&2
}

# The project: the checkout that this file lies in, else a clone.
find_project() {
  project=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." 2>/dev/null && pwd) || project=
  if ! [ -x "$project/run.sh" ]; then
    project=$work/reelgroove
    [ -n "${VM_SOURCE:-}" ] || fail "VM_SOURCE has to name the project's Git address"
    if ! [ -d "$project" ]; then
      rm -rf "$project.part"
      step git clone --quiet --depth 1 ${VM_REF:+--branch "$VM_REF"} -- "$VM_SOURCE" "$project.part"
      mv "$project.part" "$project"
    fi
  fi
}

# The input, downloaded where it is an address.
fetch() {
  input=$VM_INPUT
  case $input in
    https://* | http://*) ;;
    *) return 0 ;;
  esac
  [ -n "${VM_INPUT_SHA256:-}" ] || fail "VM_INPUT_SHA256 has to give the checksum of $input"
  local file=$work/input/${input##*/}
  if ! [ -e "$file" ]; then
    mkdir -p "$work/input"
    say "fetching $input"
    step curl --fail --silent --show-error --location --retry 5 --output "$file.part" -- "$input"
    echo "$VM_INPUT_SHA256  $file.part" | sha256sum --check --quiet - >&2 ||
      fail "$input is not the file that VM_INPUT_SHA256 names"
    mv "$file.part" "$file"
  fi
  input=$file
}

# The run is kept in the bucket as archives NUMBER-SHA256.tar, of which the last whole one counts: one
# that was being written when the machine went has another checksum, if it can be seen at all.
in_bucket() {
  local status=0 names
  names=$(rclone lsf --quiet --files-only --include '*.tar' "$bucket" 2>"$work/rclone.log") || status=$?
  # 3: there is no such folder yet, as before the first time.
  if [ "$status" != 0 ] && [ "$status" != 3 ]; then
    cat "$work/rclone.log" >&2
    return "$status"
  fi
  [ -z "$names" ] || sort <<<"$names"
}

# Hashes of the files that say which other files count; training writes these after those.
state_of_run() {
  find "$run_dir" -type f '(' -name checkpoint -o -name '*.json' -o -name trained.txt ')' \
    -exec sha256sum '{}' + | sort
}

put_in_bucket() {
  local archive before sum names last status tries=0
  archive=$work/bucket.$BASHPID.tar
  while :; do
    before=$(state_of_run)
    status=0
    # The same files give the same archive. 1: a file, such as that of summaries, grew meanwhile.
    tar --create --file="$archive" --directory="$run_dir" --sort=name --numeric-owner \
      --exclude='*temp*' --exclude='*.lock' . 2>/dev/null || status=$?
    if [ "$status" -le 1 ] && [ "$before" = "$(state_of_run)" ]; then break; fi
    [ $((tries += 1)) -lt 20 ] || return 1
  done
  sum=$(sha256sum <"$archive")
  sum=${sum%% *}
  names=$(in_bucket) || return 1
  last=${names##*$'\n'}
  if [ "${last#*-}" != "$sum.tar" ]; then
    last=${last%%-*}
    last=$(printf '%08d' $((10#${last:-0} + 1)))
    setpriv --pdeathsig TERM -- \
      rclone copyto --quiet "$archive" "$bucket/$last-$sum.tar" </dev/null || return 1
    # The one before stays, in case that this one is not whole.
    while read -r name; do
      [ -z "$name" ] || rclone deletefile --quiet "$bucket/$name" </dev/null || return 1
    done < <(head -n -1 <<<"$names")
  fi
  rm -f "$archive"
}

keep_in_bucket() {
  local waited=0
  exec 8<> <(:) # Nothing comes from it: `read` waits, and no process is left that sleeps.
  while kill -0 $$ 2>/dev/null; do
    read -rt 1 -u 8 || true
    if [ $((waited += 1)) -ge "${VM_BUCKET_SECONDS:-60}" ]; then
      waited=0
      put_in_bucket || say "warning: the run could not be put into $bucket; trying again"
    fi
  done
}

get_from_bucket() {
  local names name archive=$work/bucket.tar
  rm -f "$work"/bucket.*.tar
  if compgen -G "$run_dir/train/*.index" >/dev/null; then return 0; fi
  names=$(in_bucket) || fail "cannot list $bucket"
  [ -n "$names" ] || return 0
  while read -r name; do
    step rclone copyto --quiet "$bucket/$name" "$archive" || fail "cannot read $bucket/$name"
    name=${name#*-}
    if echo "${name%.tar}  $archive" | sha256sum --check --status -; then
      say "going on with the run in $bucket"
      rm -rf "$run_dir.new"
      mkdir -p "$run_dir.new"
      tar --extract --file="$archive" --directory="$run_dir.new" --no-same-owner
      rm -f "$archive"
      # Where it is not empty it was begun without the bucket, and this fails.
      mv -T "$run_dir.new" "$run_dir" || fail "move $run_dir away; the run is in $bucket"
      return 0
    fi
  done < <(tac <<<"$names")
  fail "nothing in $bucket is whole; name another VM_BUCKET"
}

# A function is read as a whole, so that this file may be replaced while it runs.
main() {
  command -v setpriv flock >/dev/null || fail "install util-linux, which has setpriv and flock"
  mkdir -p "$work"
  # The kernel lets go of this lock when the last process that holds it ends: the script and its steps.
  exec 9>>"$work/start.lock"
  flock --wait 60 9 || fail "another start.sh is at work in $work"
  need curl git ${bucket:+rclone}
  mkdir -p "$(dirname -- "$run_dir")"
  [ -z "$bucket" ] || get_from_bucket
  if [ "$(cat "$marker" 2>/dev/null)" = "$goal" ]; then
    say "$run_dir is trained: $goal"
    # It may have been killed before the end was in the bucket.
    training=yes
    exit 0
  fi
  find_project
  say "installing the project"
  step "$project/run.sh" configs >/dev/null
  if [ "$port" != 0 ]; then
    mkdir -p "$run_dir"
    setpriv --pdeathsig TERM -- "$project/run.sh" tensorboard "$run_dir" --port="$port" \
      >"$work/tensorboard.log" 2>&1 </dev/null 9>&- &
    helpers+=($!)
    say "TensorBoard: http://localhost:$port, on this machine alone"
  fi
  fetch
  converted="$VM_CORPUS of $VM_INPUT${convert_flags[*]:+ with ${convert_flags[*]}}"
  if ! [ -e "$records/manifest.json" ]; then
    printf '%s\n' "$converted" >"$work/records.txt"
    say "converting $input"
    step "$project/run.sh" convert --corpus="$VM_CORPUS" --input="$input" --output="$records" \
      "${convert_flags[@]}" >/dev/null
  fi
  # The records may have been made by hand.
  made=$(cat "$work/records.txt" 2>/dev/null || echo "$converted")
  [ "$made" = "$converted" ] || fail "$records is $made, not $converted; name another VM_WORK"
  say "training $goal"
  training=yes
  if [ -n "$bucket" ]; then
    mkdir -p "$run_dir"
    keep_in_bucket 9>&- &
    helpers+=($!)
  fi
  step "$project/run.sh" train --config="$VM_CONFIG" --examples_path="$records/train.tfrecord*" \
    --run_dir="$run_dir" --num_steps="$VM_NUM_STEPS" "${train_flags[@]}"
  printf '%s\n' "$goal" >"$marker.new"
  mv "$marker.new" "$marker"
  say "trained: $goal"
}

main
exit
