#!/usr/bin/env bash
# whole.sh build|test OPTION...: cargo on the whole workspace with the features that the Makefile has. With fewer packages
# half of the libraries would be compiled once more, with other features.
exec cargo "$1" --release --locked --workspace --features ashya-agent/native-rtsp "${@:2}"
