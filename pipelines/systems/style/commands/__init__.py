"""The commands of `./run.sh style`, a program each."""
