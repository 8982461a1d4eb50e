"""The commands of `./run.sh titles`, a program each."""
