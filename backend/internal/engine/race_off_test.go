//go:build !race

package engine_test

const mostLines = 1000
