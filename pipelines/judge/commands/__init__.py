"""The programs of `./run.sh judge`."""
