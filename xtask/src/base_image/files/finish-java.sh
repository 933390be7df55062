#!/bin/sh
# Runs once inside the new root file system, as its root: brings the JVM to where AWS has it, and
# checks the outcome.
set -eu
version=$1
rm -f "$0"

home=$(echo /usr/lib/jvm/java-"$version"-openjdk-*)
cp -a "$home/." /var/lang/
rm -rf "$home"
ln -s /var/lang "$home"
rm -rf /var/lang/man

/var/lang/bin/java -version 2>&1 | grep -q "\"$version\."
ls /var/runtime/lib/aws-lambda-java-runtime-interface-client-*.jar >/dev/null
