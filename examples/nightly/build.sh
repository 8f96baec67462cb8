#!/bin/sh
# The mirror refuses the first download.
echo "fetching 212 packages"
if [ "$SPANWRIGHT_ATTEMPT" -lt 2 ]; then
  echo "GET https://mirror.example/zlib-1.3.1.tgz: 503 Service Unavailable" >&2
  exit 69
fi
sleep 0.5
echo "version=4.18.0" >> "$SPANWRIGHT_OUTPUTS"
