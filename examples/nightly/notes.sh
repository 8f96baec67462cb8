#!/bin/sh
# What a model was asked for, and what it cost, as a program that calls one would report it.
sleep 0.5
cat > "$SPANWRIGHT_OUTCOME" <<END
{ "usage": { "model": "m-large", "input_tokens": 18240, "cache_read_tokens": 12000, "output_tokens": 911, "cost_usd": 0.041265 } }
END
