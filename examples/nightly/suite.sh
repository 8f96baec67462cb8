#!/bin/sh
# `cart` fails every time for the same reason, `search` fails the first time.
echo "running suite $1"
sleep 0.4
case "$1-$SPANWRIGHT_ATTEMPT" in
  cart-*)
    echo "not ok 17 - an empty cart costs nothing" >&2
    echo "  expected 0, got NaN (src/cart/total.ts:41)" >&2
    exit 1 ;;
  search-1)
    echo "not ok 3 - the index answers within 50 ms" >&2
    echo "  took 73 ms" >&2
    exit 1 ;;
esac
echo "24 tests, 24 ok"
