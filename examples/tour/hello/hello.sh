#!/bin/sh
echo "Hello from commit @COMMIT@"
