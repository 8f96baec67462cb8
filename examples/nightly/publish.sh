#!/bin/sh
echo "publishing $1"
