#!/bin/sh
# The entry point of the image: serves the handler that is its one argument, through the interface
# emulator on port 8080 unless a runtime interface is given.

if [ $# -ne 1 ]; then
  echo "lambda-entrypoint.sh: give the handler, and nothing else, as the argument" >&2
  exit 142
fi
export _HANDLER="$1"

if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /var/runtime/bootstrap
fi
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
