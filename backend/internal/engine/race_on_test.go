//go:build race

package engine_test

// mostLines bounds the scripts of TestReference: the race detector makes each line
// ten times as slow, and finds nothing in an engine that starts no goroutine.
const mostLines = 20
