"""The data sets. Adding one means adding a file to this folder; `registry` finds it by name."""
